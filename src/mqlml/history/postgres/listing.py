"""The tables of a database: their names and columns, and a bounded look at their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mqlml.history.postgres.connecting import transaction
from mqlml.history.session import quoted

if TYPE_CHECKING:
    from mqlml.history.postgres.address import Address

__all__ = ["Listed", "list_tables"]

_SAMPLED = ("r", "p", "m")
_LARGE_BYTES = 32 << 20
_VIEW_ROWS = 100_000
_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, n.nspname = current_schema() AS here, c.relkind::text AS kind,
  greatest(c.reltuples, 0)::bigint AS about,
  (SELECT coalesce(sum(pg_relation_size(l.relid)), 0)::bigint FROM pg_partition_tree(c.oid) AS l WHERE l.isleaf)
  + CASE WHEN c.relkind IN ('r', 'm') AND NOT c.relispartition THEN pg_relation_size(c.oid) ELSE 0 END AS bytes,
  has_schema_privilege(n.oid, 'USAGE') AS enters, has_table_privilege(c.oid, 'SELECT') AS reads,
  array_to_string(ARRAY(SELECT a.attname FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), chr(31)) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY NOT (n.nspname = current_schema()), 1, 2
"""


@dataclass(frozen=True)
class Listed:
    """A table, view or foreign table.

    Attributes
    ----------
    name : str
        ``table``, or ``schema.table`` where it is not in the first schema of the search path.
    place : str
        Quoted, for SQL.
    columns : tuple of str
    missing : tuple of str
        Rights without which this user cannot read it, as GRANT has them.
    about : int
        Rows, as the server estimates them; 0 where it does not know.
    part : str
        What to read instead of the whole: a clause behind the place, empty where the whole is small.
    """

    name: str
    place: str
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    about: int
    part: str

    def cut(self, rows: int) -> bool:
        """Whether ``part`` gave ``rows`` rows that need not be all."""
        return bool(self.part) and (not self.part.startswith("LIMIT") or rows >= _VIEW_ROWS)


def list_tables(address: Address) -> list[Listed]:
    """List what a user sees, those of the first schema of the search path before the others.

    Returns
    -------
    list of Listed
        Partitions stand under their table alone. Of tables above 32 MiB ``part`` takes about as much in random pages,
        the same ones each time; of views and foreign tables the first 100,000 rows.

    Raises
    ------
    UsageError
        The driver is missing, or the address cannot be read.
    EngineError
        The server cannot be reached.
    """
    with transaction(address, read_only=True) as cursor:
        cursor.execute(_TABLES)
        return [_listed(row) for row in cursor.fetchall()]


def _listed(row: Sequence[Any]) -> Listed:
    schema, name, here, kind, about, size, enters, reads, columns = row
    place = f"{quoted(schema)}.{quoted(name)}"
    missing = [] if enters else [f"USAGE ON SCHEMA {quoted(schema)}"]
    missing += [] if reads else [f"SELECT ON {place}"]
    names = tuple(columns.split("\x1f")) if columns else ()
    return Listed(
        name if here else f"{schema}.{name}", place, names, tuple(missing), int(about), _part(kind, int(size))
    )


def _part(kind: str, size: int) -> str:
    if kind not in _SAMPLED:
        return f"LIMIT {_VIEW_ROWS}"
    if size <= _LARGE_BYTES:
        return ""
    return f"TABLESAMPLE SYSTEM ({100 * _LARGE_BYTES / size:.6f}) REPEATABLE (0)"
