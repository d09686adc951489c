"""Rows into tables of PostgreSQL: several tables in one transaction, each key once, however often a run is repeated."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, Problem
from mqlml.history.databases import check_staged, stage_rows
from mqlml.history.postgres.address import Address
from mqlml.history.postgres.connecting import Cursor, transaction
from mqlml.history.session import literal, quoted

__all__ = ["Incoming", "columns_of_table", "place_of", "upsert"]

_BATCH_ROWS = 65_536
_LONGEST_WAIT = "60s"
_KINDS = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_floating, "double precision"),
    (pa.types.is_timestamp, "timestamp with time zone"),
)
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
WHERE a.attrelid = to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped
"""
_KEY = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = to_regclass({table}) AND i.indisprimary
"""


@dataclass(frozen=True)
class Incoming:
    """Rows for one table.

    Attributes
    ----------
    table : str
        ``table`` or ``schema.table``.
    schema : pyarrow.Schema
        Texts, numbers, flags and UTC timestamps; also decides the types of the table when it is made.
    key : tuple of str
        Columns of the primary key.
    batches : iterable of pyarrow.RecordBatch
        Read once, after those of the table before.
    """

    table: str
    schema: pa.Schema
    key: tuple[str, ...]
    batches: Iterable[pa.RecordBatch]


def upsert(address: Address, tables: Sequence[Incoming]) -> list[int]:
    """Insert rows, or replace those whose key is there already, in all tables or in none.

    The database is asked first whether the tables fit, so that a mistake is told before work is done. Then all rows are
    collected in a local file, and the transaction takes no longer than their copy.

    Parameters
    ----------
    address : Address
    tables : sequence of Incoming

    Returns
    -------
    list of int
        Rows of each table.

    Raises
    ------
    DataRefused
        A key column has nulls, a key stands twice among the rows, or an existing table has other columns or another
        primary key. Nothing was changed.
    UsageError
        The driver is missing, or the address cannot be read.
    EngineError
        The server cannot be reached, or was lost on the way: the tables are as before.
    """
    with transaction(address, read_only=True) as cursor:
        for incoming in tables:
            _check_table(cursor, address, incoming)
    with tempfile.TemporaryDirectory(prefix="mqlml-") as folder:
        staged = [Path(folder) / f"{number}.parquet" for number in range(len(tables))]
        rows = []
        for incoming, path in zip(tables, staged, strict=True):
            stage_rows(map(_plain, incoming.batches), _plain_schema(incoming.schema), path)
            rows.append(check_staged(path, where=address.naming(incoming.table).shown, key=incoming.key))
        with transaction(address) as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT}'")
            for number, (incoming, path) in enumerate(zip(tables, staged, strict=True)):
                _write(cursor, address, incoming, path, waiting=f"mqlml_incoming_{number}")
    return rows


def _write(cursor: Cursor, address: Address, incoming: Incoming, staged: Path, *, waiting: str) -> None:
    place, names = place_of(incoming.table), [quoted(name) for name in incoming.schema.names]
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in _columns_of(incoming.schema).items())
    key = ", ".join(quoted(name) for name in incoming.key)
    # one writer at a time, also while neither has made the table yet
    cursor.execute(f"SELECT pg_advisory_xact_lock(hashtextextended({literal('mqlml ' + place)}, 0))")
    if not columns_of_table(cursor, place):
        cursor.execute(f"CREATE TABLE {place} ({columns}, PRIMARY KEY ({key}))")
    _check_table(cursor, address, incoming)
    cursor.execute(f"CREATE TEMPORARY TABLE {waiting} ({columns}) ON COMMIT DROP")
    with pq.ParquetFile(staged) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            cursor.adbc_ingest(waiting, batch, mode="append", temporary=True)
    others = [name for name in names if name not in map(quoted, incoming.key)]
    action = f"UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in others)}" if others else "NOTHING"
    listed = ", ".join(names)
    cursor.execute(
        f"INSERT INTO {place} ({listed}) SELECT {listed} FROM {waiting} ORDER BY {key} ON CONFLICT ({key}) DO {action}"
    )


def columns_of_table(cursor: Cursor, place: str) -> dict[str, str]:
    """Names and types of the columns of a quoted table; empty where there is none."""
    cursor.execute(_COLUMNS.format(table=literal(place)))
    return dict(cursor.fetchall())


def _check_table(cursor: Cursor, address: Address, incoming: Incoming) -> None:
    """Refuse a table of another form; one that does not exist yet fits."""
    place, where = place_of(incoming.table), address.naming(incoming.table).shown
    existing = columns_of_table(cursor, place)
    if not existing:
        return
    problems = []
    for name, kind in _columns_of(incoming.schema).items():
        found = existing.get(name)
        if found is None:
            fix = f"ALTER TABLE {place} ADD COLUMN {quoted(name)} {kind}, or name another table"
            problems.append(Problem("table-changed", where, "is missing in the table", fix, name))
        elif found != kind:
            fix = "name another table, or rename the old one"
            problems.append(Problem("table-changed", where, f"is {found} in the table, not {kind}", fix, name))
    cursor.execute(_KEY.format(table=literal(place)))
    key = sorted(name for (name,) in cursor.fetchall())
    if key != sorted(incoming.key):
        what = f"the table's primary key is ({', '.join(key)}), not ({', '.join(incoming.key)})"
        problems.append(Problem("table-changed", where, what, "name another table, or rename the old one"))
    if problems:
        raise DataRefused(problems)


def place_of(table: str) -> str:
    """Quote ``table`` or ``schema.table``."""
    return ".".join(quoted(part) for part in table.split(".", 1))


def _columns_of(schema: pa.Schema) -> dict[str, str]:
    return {field.name: next((k for test, k in _KINDS if test(field.type)), "text") for field in schema}


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """The Arrow types whose binary form is that of the columns."""
    kinds = {
        "boolean": pa.bool_(),
        "bigint": pa.int64(),
        "double precision": pa.float64(),
        "timestamp with time zone": pa.timestamp("us", "UTC"),
        "text": pa.string(),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in _columns_of(schema).items()])


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    schema = _plain_schema(batch.schema)
    columns = [c.cast(field.type) for c, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
