"""Scores that earlier runs wrote into PostgreSQL, read back."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.history.postgres import Address, fetch, place_of
from mqlml.history.session import literal, quoted
from mqlml.operation.sinks import TABLE

__all__ = ["served_scores"]


def served_scores(place: str, columns: Sequence[str], *, newest_before: datetime | None = None) -> pa.Table:
    """Read some columns of a table of scores, in a read-only transaction.

    Parameters
    ----------
    place : str
        ``postgresql://user@host/database#table``; the table is ``scores`` unless named.
    columns : sequence of str
    newest_before : datetime, optional
        Only the rows of the newest moment before this one.

    Raises
    ------
    UsageError
        There is no such table, or it lacks a column.
    EngineError
        The server cannot be reached, or was lost on the way.
    """
    address = Address.of(place)
    table = place_of(address.table or TABLE)
    query = f"SELECT {', '.join(map(quoted, columns))} FROM {table}"  # noqa: S608 - names are quoted
    if newest_before is not None:
        moment = f"as_of < {literal(newest_before.isoformat())}::timestamptz"
        query += f" WHERE as_of = (SELECT max(as_of) FROM {table} WHERE {moment})"  # noqa: S608
    with tempfile.TemporaryDirectory(prefix="mqlml-") as folder:
        into = Path(folder) / "scores.parquet"
        fetch(address, section="scores", table=None, query=query, into=into)
        with pq.ParquetFile(into) as file:
            return file.read()
