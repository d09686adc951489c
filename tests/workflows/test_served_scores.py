"""Scores read back from PostgreSQL are those of the files that hold the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from postgres_server import PASSWORD, Server

from mqlml.config import Config
from mqlml.errors import UsageError
from mqlml.operation.scoring import SCORES
from mqlml.operation.sinks import write_scores
from mqlml.workflows.previous import previous_list
from mqlml.workflows.stored_scores import stored_scores

pytestmark = pytest.mark.engine

MARCH = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 8)]
CONFIG = Config.of({"leads": {"path": "leads.csv"}, "outcomes": {}})


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA own")
    yield f"{postgres.url}#own.scores"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA own CASCADE")


def rows(moment: datetime, mqls: str) -> pa.Table:
    """Return scores of leads A to D, of whom ``mqls`` are MQLs since the first list."""
    leads = list("ABCD")
    given = {
        "lead_id": leads,
        "as_of": [moment] * 4,
        "probability": [0.1, 0.2, 0.3, 0.1 + 0.2],
        "is_mql": [lead in mqls for lead in leads],
        "mql_since": [MARCH[0] if lead in mqls else None for lead in leads],
        "control": [lead == "D" for lead in leads],
        "model_version": ["m1"] * 4,
        "policy_version": ["p1"] * 4,
    }
    return pa.table({f.name: given.get(f.name, pa.nulls(4, f.type)) for f in SCORES}, schema=SCORES)


@pytest.fixture
def files(url: str, tmp_path: Path) -> list[Path]:
    """Write two weeks of scores into the table, and the same into files."""
    paths = []
    for moment, mqls in zip(MARCH, ("AB", "BC"), strict=True):
        paths.append(tmp_path / f"{moment:%d}.parquet")
        for out in (url, paths[-1]):
            manifest = {"as_of": moment, "model_version": "m1", "policy_version": "p1"}
            write_scores(rows(moment, mqls).to_batches(), SCORES, out, manifest=manifest)
    return paths


def test_stored_scores_when_in_postgres_then_equal_to_files(url: str, files: list[Path]) -> None:
    found = stored_scores([url], CONFIG)
    assert found.num_rows == 8
    assert found.equals(stored_scores(files, CONFIG))


@pytest.mark.parametrize(("day", "week"), [(2, 0), (8, 0), (9, 1)])
def test_previous_list_when_in_postgres_then_the_newest_before_this_run(
    day: int, week: int, url: str, files: list[Path]
) -> None:
    opened = SimpleNamespace(as_of=datetime(2026, 3, day, tzinfo=UTC))
    found, expected = previous_list(url, opened), previous_list(files[week], opened)  # type: ignore[arg-type]
    assert found is not None
    assert expected is not None
    order = np.argsort(found.lead_id)
    for name in ("lead_id", "mql"):
        np.testing.assert_array_equal(getattr(found, name)[order], getattr(expected, name))


def test_stored_scores_when_there_is_no_such_table_then_usage_error_without_the_password(url: str) -> None:
    with pytest.raises(UsageError, match=r"\[scores\] query: .*does not exist") as error:
        stored_scores([url], CONFIG)
    assert PASSWORD not in str(error.value)
