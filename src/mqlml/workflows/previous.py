"""An earlier list of scores, to tell who is new, stays and leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.decision.memory import Listed
from mqlml.errors import DataRefused, Problem, UsageError
from mqlml.history.postgres import is_postgres
from mqlml.workflows.served_scores import served_scores

if TYPE_CHECKING:
    from mqlml.workflows.opening import Opened

__all__ = ["previous_list"]


_COLUMNS = ("lead_id", "as_of", "is_mql", "rule", "control", "mql_since")


def previous_list(previous: Path | str | None, opened: Opened) -> Listed | None:
    """Who was on an earlier list, and since when; of a table of PostgreSQL, the newest list before this run.

    Raises
    ------
    UsageError
        The list is not older than this run: comparing with oneself would make every MQL stay.
    """
    if previous is None:
        return None
    if isinstance(previous, str) and is_postgres(previous):
        return Listed.of(served_scores(previous, _COLUMNS, newest_before=opened.as_of))
    try:
        there = pq.read_schema(previous).names
        asked = ["lead_id", "as_of", "is_mql", *(n for n in _COLUMNS[3:] if n in there)]
        table = pq.read_table(previous, columns=asked)
    except FileNotFoundError:
        raise UsageError(f"--previous {previous}: there is no such file.", hint="leave it out on a first run") from None
    except (pa.ArrowInvalid, KeyError) as error:
        what = f"cannot be read as scores: {error}"
        raise DataRefused([Problem("previous", str(previous), what, "name a Parquet file of scores")]) from error
    moments = {value for value in table["as_of"].unique().to_pylist() if value is not None}
    if opened.as_of is not None and any(moment >= opened.as_of for moment in moments):
        raise UsageError(f"--previous {previous}: is not older than this run.", hint="name the list before this one")
    return Listed.of(table)
