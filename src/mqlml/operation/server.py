"""Scores into PostgreSQL: rows and manifest in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from mqlml.errors import DataRefused, Problem
from mqlml.history.postgres import Address, Incoming, upsert

__all__ = ["MANIFESTS", "RUN", "write_to_server"]

MANIFESTS = "_manifests"
"""Behind the name of the table of scores: one row a run, with the manifest as JSON."""
RUN = ("as_of", "model_version", "policy_version")
_SCHEMA = pa.schema(
    [
        ("as_of", pa.timestamp("us", "UTC")),
        ("model_version", pa.string()),
        ("policy_version", pa.string()),
        ("rows_written", pa.int64()),
        ("manifest", pa.string()),
    ]
)


def write_to_server(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    address: Address,
    *,
    table: str,
    key: tuple[str, ...],
    manifest: Mapping[str, Any],
    text: Callable[[int], str],
) -> None:
    """Insert or replace scores, and the manifest of the run beside them, or neither.

    Parameters
    ----------
    batches, schema
        Scores, read once.
    address : Address
        Its table, if it names one, takes the place of ``table``.
    table : str
    key : tuple of str
    manifest : mapping
        Read after the last batch.
    text : callable
        Makes the manifest's JSON for a number of rows.

    Raises
    ------
    DataRefused
        Keys are missing or stand twice, or the tables have another form.
    EngineError
        The server cannot be reached or was lost; its tables are as before.
    """
    named, rows = address.table or table, 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch.select(schema.names)

    def told() -> Iterator[pa.RecordBatch]:
        run = [manifest.get(name) for name in RUN]
        if isinstance(run[0], str):
            run[0] = datetime.fromisoformat(run[0])
        if run[0] is None:
            what = "a history without dates has no 'as_of', which the table's key needs"
            raise DataRefused([Problem("null-key", address.shown, what, "write to Parquet or CSV instead", "as_of")])
        values = [run[0], str(run[1] or ""), str(run[2] or ""), rows, text(rows)]
        columns = [pa.array([v], f.type) for v, f in zip(values, _SCHEMA, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)

    tables = [Incoming(named, schema, key, counted()), Incoming(f"{named}{MANIFESTS}", _SCHEMA, RUN, told())]
    upsert(address, tables)
