"""Answers from sales reach the table of hand-overs once, whole, and only where they can be used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mqlml.config import Config, Handovers
from mqlml.errors import DataRefused, UsageError
from mqlml.history.answers import Merged, merge_answers
from mqlml.workflows.importing import import_handovers

BERLIN = ZoneInfo("Europe/Berlin")
TABLE = """lead,handed_at,by,rejected_at,reason,note
1,2026-03-01T09:00:00,policy,,,keep me
2,2026-03-02T09:00:00,policy,,,
"""
ANSWERS = """lead,handed_at,rejected_at,reason,first_touch_at,region
2,2026-03-02T08:00:00Z,2026-03-03T10:00:00Z,"no budget, no need",2026-03-02T12:00:00+01:00,North
3,2026-03-04 09:00,,,,
1,2026-03-01T09:00:00+01:00,,,,
"""


def settings() -> Handovers:
    """Settings in which the lead's id is called ``lead``."""
    return Handovers(path="handovers.csv", lead_id="lead")


def merge(folder: Path, answers: str, *, table: str | None = TABLE) -> Merged:
    """Merge a text into a table of text."""
    if table is not None:
        (folder / "handovers.csv").write_text(table)
    (folder / "answers.csv").write_text(answers)
    return merge_answers(folder / "answers.csv", folder / "handovers.csv", source=settings(), zone=BERLIN)


def test_merge_when_rows_are_new_old_and_answered_then_each_is_counted(tmp_path: Path) -> None:
    done = merge(tmp_path, ANSWERS)
    assert done == Merged(rows_in=3, added=1, updated=1, unchanged=1, rows=3, ignored_columns=("region",))
    assert (tmp_path / "handovers.csv").read_text() == (
        "lead,handed_at,by,rejected_at,reason,note,first_touch_at\n"
        "1,2026-03-01T09:00:00,policy,,,keep me,\n"
        '2,2026-03-02T09:00:00,policy,2026-03-03T10:00:00Z,"no budget, no need",,2026-03-02T11:00:00Z\n'
        "3,2026-03-04T09:00:00,,,,,\n"
    )


def test_merge_when_imported_twice_then_not_a_byte_changes(tmp_path: Path) -> None:
    merge(tmp_path, ANSWERS)
    before = (tmp_path / "handovers.csv").read_bytes()
    done = merge(tmp_path, ANSWERS, table=None)
    assert (done.added, done.updated, done.unchanged) == (0, 0, 3)
    assert (tmp_path / "handovers.csv").read_bytes() == before


def test_merge_when_the_table_is_missing_then_it_is_made(tmp_path: Path) -> None:
    done = merge(tmp_path, ANSWERS, table=None)
    assert (done.added, done.rows) == (3, 3)


def test_merge_when_rows_cannot_be_used_then_all_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    wrong = "lead,handed_at,by,rejected_at\n,2026-03-01,policy,\n4,yesterday,policy,\n5,2026-03-05,boss,2026-03-01\n"
    with pytest.raises(DataRefused) as refused:
        merge(tmp_path, wrong)
    said = str(refused.value)
    assert "column 'lead': 1 of 3 rows: is empty (lines 2)" in said
    assert "column 'handed_at': 1 of 3 rows: a time that cannot be read (lines 3)" in said
    assert "column 'by': 1 of 3 rows: is none of policy, control, rule, override, other (lines 4)" in said
    assert "column 'rejected_at': 1 of 3 rows: lies before the hand-over (lines 4)" in said
    assert (tmp_path / "handovers.csv").read_text() == TABLE


def test_merge_when_there_is_no_key_then_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="has no column 'handed_at'"):
        merge(tmp_path, "lead\n1\n")


def test_merge_when_the_table_is_parquet_then_its_types_stay(tmp_path: Path) -> None:
    file = tmp_path / "handovers.parquet"
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    pq.write_table(pa.table({"lead": pa.array([2]), "handed_at": pa.array([at], pa.timestamp("us", "UTC"))}), file)
    (tmp_path / "answers.csv").write_text(ANSWERS)
    done = merge_answers(tmp_path / "answers.csv", file, source=settings(), zone=BERLIN)
    found = pq.read_table(file)
    assert (done.added, done.updated) == (2, 1)
    assert found.schema.field("lead").type == pa.int64()
    assert found["lead"].to_pylist() == [2, 3, 1]
    assert found["reason"].to_pylist() == ["no budget, no need", None, None]
    assert found["handed_at"].to_pylist()[1] == datetime(2026, 3, 4, 8, tzinfo=UTC)


def test_import_when_there_is_no_table_to_import_into_then_it_says_what_to_add(tmp_path: Path) -> None:
    bare = Config.of({"leads": {"path": "l.csv"}, "outcomes": {}}, root=tmp_path)
    with pytest.raises(UsageError, match="add \\[handovers\\]"):
        import_handovers(bare, tmp_path / "answers.csv")
    remote = {"leads": {"path": "l.csv"}, "outcomes": {}, "handovers": {"path": "h.duckdb", "table": "h"}}
    with pytest.raises(UsageError, match=r"only a \.csv or \.parquet file"):
        import_handovers(Config.of(remote, root=tmp_path), tmp_path / "answers.csv")
