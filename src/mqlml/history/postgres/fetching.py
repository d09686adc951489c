"""A table or query of PostgreSQL, copied in batches into a file beside the session that cleans it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mqlml.errors import DataRefused, Problem, UsageError, shown
from mqlml.history.postgres.address import Address
from mqlml.history.postgres.connecting import Cursor, lost, state_of, transaction
from mqlml.history.session import quoted
from mqlml.history.writing import table_writer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Fetched", "fetch"]

_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, n.nspname = current_schema() AS here
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1, 2
"""
_PLAIN = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)


@dataclass(frozen=True)
class Fetched:
    """What was copied.

    Attributes
    ----------
    path : Path
        A Parquet file.
    name : str
        The table or query, for messages.
    """

    path: Path
    name: str


def fetch(address: Address, *, section: str, table: str | None, query: str | None, into: Path) -> Fetched:
    """Copy what a section of the configuration names; memory holds a few batches.

    The database sees a read-only transaction. Types that Arrow lacks arrive as text, ``numeric`` and ``money`` as
    float64; an infinite date or timestamp is missing.

    Parameters
    ----------
    address : Address
    section : str
        For messages.
    table : str or None
        Instead of the table of the address; of several tables one must be named.
    query : str or None
        A SELECT, instead of a table.
    into : Path
        The Parquet file to write.

    Raises
    ------
    DataRefused
        There is no such table.
    UsageError
        The query cannot be understood, or the driver is missing.
    EngineError
        The server cannot be reached, or was lost on the way.
    """
    with transaction(address, read_only=True) as cursor:
        if query is None:
            place, named = _find(cursor, address, section, table or address.table)
            name = address.naming(named).shown
        else:
            place, name = f"({query.strip().rstrip(';')}\n) AS source", f"{address.shown} (query)"
        try:
            select = _select(cursor, place)
            cursor.execute(select)
        except Exception as error:
            if state_of(error)[:2] == "42" and state_of(error) != "42501" and query is not None:
                line = address.without_secrets(str(error).splitlines()[0].rpartition("ERROR:")[2].strip())
                raise UsageError(f"[{section}] query: {line}.", hint="write one SELECT statement") from None
            raise
        _copy(cursor, address, into)
    return Fetched(into, name)


def _copy(cursor: Cursor, address: Address, into: Path) -> None:
    reader = cursor.fetch_record_batch()
    schema = pa.schema([pa.field(f.name, f.type) for f in reader.schema])
    with table_writer(into, schema) as add:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                raise lost(address, error) from None
            add(pa.Table.from_batches([pa.RecordBatch.from_arrays(batch.columns, schema=schema)]))


def _find(cursor: Cursor, address: Address, section: str, wanted: str | None) -> tuple[str, str]:
    from mqlml.history.files import nearest

    cursor.execute(_TABLES)
    tables: dict[str, str] = {}
    for schema, name, here in cursor.fetchall():
        place = f"{quoted(schema)}.{quoted(name)}"
        tables[f"{schema}.{name}"] = place
        if here:
            tables[name] = place
    only = list(dict.fromkeys(tables.values()))
    if wanted is None and len(only) == 1:
        return only[0], next(name for name, place in reversed(tables.items()) if place == only[0])
    if wanted is not None and wanted in tables:
        return tables[wanted], wanted
    what = f"there is no table '{shown(wanted)}'" if wanted else "the database holds several tables or none"
    fix = f'set [{section}] path = "postgresql://...#table"'
    raise DataRefused([Problem("no-table", address.shown, f"{what}; {nearest(wanted or '', list(tables))}", fix)])


def _select(cursor: Cursor, place: str) -> str:
    cursor.execute(f"SELECT * FROM {place} LIMIT 0")
    fields = list(cursor.fetch_record_batch().schema)
    names = [field.name for field in fields]
    if len(set(names)) < len(names):  # the same message as for a file; only positions could tell them apart
        return f"SELECT * FROM {place}"
    return f"SELECT {', '.join(_column(field) for field in fields)} FROM {place}"


def _column(field: Any) -> str:
    name, kind = quoted(field.name), field.type
    own = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    if own in ("numeric", "money") or getattr(kind, "type_name", "") == "numeric":
        return f"{name}::{'numeric::' if own == 'money' else ''}float8 AS {name}"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return f"CASE WHEN isfinite({name}) THEN {name} END AS {name}"
    if any(test(kind) for test in _PLAIN):
        return name
    return f"{name}::text AS {name}"
