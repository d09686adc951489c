"""The DuckDB session a history lives in, and the only place where names and values become SQL."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "mqlml:row"
"""Column of every raw relation: the data row in its file, from 1."""
LINE = "mqlml:line"
"""Column of every raw relation: the physical line in a CSV file, null where unknown."""


def quoted(name: str) -> str:
    """Quote a column or table name for SQL, whatever characters it holds.

    Examples
    --------
    >>> quoted('utm"source')
    '"utm""source"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """Quote a text for SQL where a value cannot be bound (views, table functions).

    Examples
    --------
    >>> literal("O'Brien")
    "'O''Brien'"
    """
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: tuple[str, ...] | list[str]) -> str:
    """Quote texts as the inside of an SQL list."""
    return ", ".join(literal(value) for value in values)


@dataclass(frozen=True)
class Session:
    """An in-memory database in UTC that spills to its own temporary directory.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    scratch : Path
        Removed by ``close`` or when the session is garbage.
    sources : dict of Path to (int, int)
        Input files with size and modification time in nanoseconds when they were opened.
    folders : list of Path
        Where rows are kept from run to run.
    """

    connection: duckdb.DuckDBPyConnection
    scratch: Path
    sources: dict[Path, tuple[int, int]] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    @classmethod
    def open(cls) -> Session:
        """Start an empty session that loads no extensions and sees no Python variables."""
        scratch = Path(tempfile.mkdtemp(prefix="mqlml-"))
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {literal(scratch / 'spill')}")
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "python_enable_replacements"):
            connection.execute(f"SET {setting} = false")
        # A progress bar of DuckDB's own would stand in the middle of a result on stdout. In a notebook without widgets
        # it cannot have one, and refuses to be told so.
        with suppress(duckdb.InvalidInputException):
            connection.execute("SET enable_progress_bar = false")
        connection.execute("CREATE SCHEMA raw")
        session = cls(connection=connection, scratch=scratch)
        weakref.finalize(connection, shutil.rmtree, scratch, ignore_errors=True)
        return session

    def watch(self, path: Path) -> None:
        """Remember how large and how old an input file is, to see later whether it changed."""
        status = path.stat()
        self.sources.setdefault(path, (status.st_size, status.st_mtime_ns))

    def changed(self) -> list[Path]:
        """List the input files that changed since they were opened."""
        now = {path: path.stat() if path.exists() else None for path in self.sources}
        return [p for p, s in now.items() if s is None or (s.st_size, s.st_mtime_ns) != self.sources[p]]

    def run(self, sql: str) -> None:
        """Execute a statement without a result."""
        self.connection.execute(sql)

    def table(self, sql: str) -> pa.Table:
        """Fetch a query as Arrow; zoned timestamps never pass through Python objects."""
        return self.connection.sql(sql).to_arrow_table()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Fetch a small result as dictionaries."""
        return self.table(sql).to_pylist()  # type: ignore[no-any-return]

    def one(self, sql: str) -> dict[str, Any]:
        """Fetch the single row of an aggregate."""
        return self.rows(sql)[0]

    def forget(self, section: str) -> None:
        """Drop the raw texts of a CSV file once its typed table exists."""
        self.run(f"DROP VIEW IF EXISTS raw.{quoted(section)}")
        for table in (f"{section}:text", f"{section}_rows"):
            self.run(f"DROP TABLE IF EXISTS raw.{quoted(table)}")

    def finish(self) -> None:
        """Drop what only the reading needed; views and the ids they leave out stay."""
        tables = self.rows("SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'raw'")
        for name in (table["name"] for table in tables):
            if name.endswith(":text"):
                self.forget(name.removesuffix(":text"))
            elif name != "suppressed":
                self.run(f"DROP TABLE IF EXISTS raw.{quoted(name)}")
        # nothing below asks for rows without saying in which order
        self.run("SET preserve_insertion_order = false")

    def harden(self) -> None:
        """From here on SQL may read the watched files, keep rows where they are kept and spill, and nothing else."""
        self.run(f"SET allowed_paths = [{literals([str(path) for path in self.sources])}]")
        self.run(f"SET allowed_directories = [{literals([str(f) for f in (self.scratch, *self.folders)])}]")
        self.run("SET enable_external_access = false")

    def close(self) -> None:
        """Close the connection and remove the temporary files."""
        self.connection.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
