"""Rows into a table of a DuckDB file: in one transaction, each key once, however often the same run is repeated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from mqlml.errors import DataRefused, EngineError, Problem
from mqlml.history.writing import publish, table_writer


def upsert_table(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    path: Path,
    *,
    table: str,
    key: Sequence[str],
    before_commit: Callable[[int], None] | None = None,
) -> None:
    """Insert rows into a table, or replace those whose key is there already.

    All rows are first collected in a file beside ``path`` (memory holds one row group) and checked; the database is
    opened only then, so that nothing that goes wrong earlier can touch it.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Rows of ``schema``.
    schema : pyarrow.Schema
        Also decides the types of the table when it is made.
    path : Path
        The DuckDB file; made, whole or not at all, if missing.
    table : str
        Any text; it is quoted.
    key : sequence of str
        Columns of the primary key.
    before_commit : callable, optional
        Called with the number of rows when all are known to be good; what it raises stops the run.

    Raises
    ------
    DataRefused
        A key column has nulls, a key stands twice among the rows, or the existing table has other columns or
        another primary key.
    EngineError
        The file is no database, is in use by another program, or cannot be written. Tables are as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            staged = Path(folder) / "rows.parquet"
            stage_rows(batches, schema, staged)
            with duckdb.connect(
                config={"temp_directory": folder, "autoinstall_known_extensions": "false"}
            ) as connection:
                connection.execute(f"CREATE VIEW incoming AS SELECT * FROM read_parquet({_text(str(staged))})")
                rows = _check_keys(connection, str(path), key)
                if before_commit is not None:
                    before_commit(rows)
                with _target(path, Path(folder)) as file:
                    _upsert(connection, file, shown_as=path, table=table, key=key)
                    _fold_log(connection, needed=file != path)
    except (duckdb.Error, OSError) as error:
        if isinstance(error, EngineError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineError(
            f"MQL-database {path}: {reason.removesuffix('.')}.",
            hint="its tables are as before; close other programs that use the file, or name another one, and run again",
        ) from error


def erase_rows(path: Path, *, table: str, column: str, value: str, references: Sequence[str] = ()) -> int:
    """Take the rows of a value out of a table of a DuckDB file, and the value out of other rows that refer to it.

    What was deleted would stay in the file until its space is used again, so the file is written anew without it and
    put in its place in one step.

    Parameters
    ----------
    path : Path
    table, column, value : str
    references : sequence of str
        Columns that may hold the value in rows of others; those that the table lacks are passed over.

    Returns
    -------
    int
        Rows deleted or changed; 0 where there is no such table or column, and the file is then left alone.

    Raises
    ------
    EngineError
        The file is no database, is in use by another program, or cannot be written; no row of others is lost, and
        running again is safe.
    """
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            touched = _erase(connection, path, table=table, column=column, value=value, references=references)
            if touched:
                with publish(path) as new:
                    connection.execute("CHECKPOINT target")
                    connection.execute(f"ATTACH {_text(str(new))} AS renewed (TYPE duckdb)")
                    connection.execute("COPY FROM DATABASE target TO renewed")
                    connection.execute("DETACH renewed")
                    connection.execute("DETACH target")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        hint = "close other programs that use the file, and run again"
        raise EngineError(f"MQL-database {path}: {reason}.", hint=hint) from error
    return touched


def _erase(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    table: str,
    column: str,
    value: str,
    references: Sequence[str],
) -> int:
    connection.execute(f"ATTACH {_text(str(path))} AS target (TYPE duckdb)")
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'target' AND schema_name = 'main' "
        "AND table_name = ?",
        [table],
    ).fetchall()
    columns, touched, place = {name for (name,) in found}, 0, f"target.main.{_name(table)}"
    if column not in columns:
        return 0
    connection.execute("BEGIN")
    statements = [f"DELETE FROM {place} WHERE {_name(column)} = ?"]
    statements += [f"UPDATE {place} SET {_name(n)} = NULL WHERE {_name(n)} = ?" for n in references if n in columns]
    for statement in statements:
        touched += connection.execute(statement, [value]).fetchall()[0][0]
    connection.execute("COMMIT")
    return touched


def stage_rows(batches: Iterable[pa.RecordBatch], schema: pa.Schema, staged: Path) -> None:
    """Collect rows in a Parquet file; memory holds one row group."""
    with table_writer(staged, schema) as add:
        for batch in batches:
            add(pa.Table.from_batches([batch]).select(schema.names))


def check_staged(staged: Path, *, where: str, key: Sequence[str]) -> int:
    """Count staged rows.

    Raises
    ------
    DataRefused
        A key column has nulls, or a key stands twice; ``where`` names the place they were meant for.
    """
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(f"CREATE VIEW incoming AS SELECT * FROM read_parquet({_text(str(staged))})")
        return _check_keys(connection, where, key)


def _check_keys(connection: duckdb.DuckDBPyConnection, where: str, key: Sequence[str]) -> int:
    """Count the rows; refuse keys that no primary key could hold."""
    columns = ", ".join(_name(column) for column in key)
    nulls = ", ".join(f"count(*) - count({_name(column)})" for column in key)
    total, *missing = _row(connection, f"SELECT count(*), {nulls} FROM incoming")
    fix = "write to Parquet or CSV instead"
    problems = [
        Problem("null-key", where, "has no value but is part of the key", fix, name, count, total)
        for name, count in zip(key, missing, strict=True)
        if count
    ]
    grouped = f"SELECT count(*) AS n FROM incoming GROUP BY {columns} HAVING count(*) > 1"
    (repeated,) = _row(connection, f"SELECT coalesce(sum(n), 0)::BIGINT FROM ({grouped})")
    if repeated and not problems:
        what = f"the same ({', '.join(key)}) more than once"
        problems.append(Problem("dup-key", where, what, "give each key one row", count=repeated, total=total))
    if problems:
        raise DataRefused(problems)
    return int(total)


@contextmanager
def _target(path: Path, folder: Path) -> Iterator[Path]:
    """Change an existing database in place, by one transaction; let a new one appear when it is complete."""
    if path.exists():
        yield path
        return
    new = folder / "new.duckdb"  # its log, should anything go wrong, goes away with the folder
    with publish(path) as temporary:
        yield new
        new.replace(temporary)


def _upsert(
    connection: duckdb.DuckDBPyConnection, file: Path, *, shown_as: Path, table: str, key: Sequence[str]
) -> None:
    # A commit that also folds the log into the file could fail with the rows already in place.
    connection.execute("SET checkpoint_threshold = '1TB'")
    connection.execute(f"ATTACH {_text(str(file))} AS target (TYPE duckdb)")
    connection.execute("BEGIN")
    columns = _columns(connection, "incoming")
    definition = ", ".join(f"{_name(name)} {kind}" for name, kind in columns)
    names = [_name(column) for column in key]
    target = f"target.main.{_name(table)}"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {target} ({definition}, PRIMARY KEY ({', '.join(names)}))")
    _check_table(connection, shown_as, table=table, columns=columns, key=key)
    replaced = ", ".join(f"{_name(n)} = excluded.{_name(n)}" for n, _ in columns if n not in key)
    action = f"UPDATE SET {replaced}" if replaced else "NOTHING"
    connection.execute(
        f"INSERT INTO {target} BY NAME SELECT * FROM incoming ON CONFLICT ({', '.join(names)}) DO {action}"
    )
    connection.execute("COMMIT")


def _fold_log(connection: duckdb.DuckDBPyConnection, *, needed: bool) -> None:
    """Fold the log into the file; on a full disk the committed rows stay in the log, where every reader sees them."""
    try:
        connection.execute("CHECKPOINT target")
        connection.execute("DETACH target")
    except duckdb.Error:
        if needed:
            raise


def _check_table(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    table: str,
    columns: Sequence[tuple[str, str]],
    key: Sequence[str],
) -> None:
    existing = dict(_columns(connection, f"target.main.{_name(table)}"))
    found = connection.execute(
        "SELECT constraint_column_names FROM duckdb_constraints() WHERE database_name = 'target' "
        "AND schema_name = 'main' AND table_name = ? AND constraint_type = 'PRIMARY KEY'",
        [table],
    ).fetchone()
    fix = "write to another file, or rename the old table"
    problems = [
        Problem("table-changed", str(path), f"is {existing.get(name, 'missing')} in '{table}', not {kind}", fix, name)
        for name, kind in columns
        if existing.get(name) != kind
    ]
    if found is None or set(found[0]) != set(key):
        problems.append(Problem("table-changed", str(path), f"table '{table}' has another primary key", fix))
    if problems:
        raise DataRefused(problems)


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {relation}").fetchall()]


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    return connection.execute(query).fetchall()[0]


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
