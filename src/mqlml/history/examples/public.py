"""A public data set: where it comes from, which files it needs, how they become the contract's tables."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mqlml.errors import DataRefused, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    Content: TypeAlias = pa.Table | pa.RecordBatchReader
    Tables: TypeAlias = Callable[[duckdb.DuckDBPyConnection], Iterable[tuple[str, Content]]]

UTC = pa.timestamp("us", "UTC")
_MISSING = ["", "NULL", "NA", "?"]


@dataclass(frozen=True)
class PublicSet:
    """One public set.

    Parameters
    ----------
    name : str
        As on the command line.
    folder : str
        Name of its folder inside the folder above it.
    files : mapping of str to tuple of str
        File names without suffix, and the columns each must have.
    url, licence : str
        Where the publisher offers it, and under which terms.
    settings : str
        The explained ``mqlml.toml``.
    convert : callable
        Takes a connection with one view a file; gives the contract's tables, one after the other.
    """

    name: str
    folder: str
    files: Mapping[str, tuple[str, ...]]
    url: str
    licence: str
    settings: str
    convert: Tables

    def tables(self, source: Path | None) -> Iterator[tuple[str, Content]]:
        """Give the contract's tables.

        Raises
        ------
        UsageError
            The files are not in ``source``.
        DataRefused
            A file cannot be read or lacks columns.
        """
        with _opened(self._found(source), self.files) as connection:
            yield from self.convert(connection)

    def _found(self, source: Path | None) -> dict[str, Path]:
        if source is None:
            raise self._absent(f"The data set '{self.name}' is not part of mqlml.")
        for folder in (source, source / self.folder):
            files = {stem: _file(folder, stem) for stem in self.files}
            found = {stem: file for stem, file in files.items() if file is not None}
            if len(found) == len(files):
                return found
            if found:
                missing = ", ".join(sorted(files.keys() - found.keys()))
                raise self._absent(f"'{folder}' lacks {missing} of the data set '{self.name}'.")
        raise self._absent(f"'{source}' does not hold the data set '{self.name}'.")

    def _absent(self, what: str) -> UsageError:
        names = ", ".join(f"{stem}.parquet (or .csv)" for stem in self.files)
        return UsageError(
            what, hint=f"get it from {self.url} ({self.licence}), put {names} into a folder and name it with --source"
        )


def utc(table: pa.Table) -> pa.Table:
    """Mark the timestamps of a table as UTC; they are the source's own clock."""
    fields = [field.with_type(UTC) if pa.types.is_timestamp(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def query(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Run one statement; timestamps come back as UTC microseconds."""
    return utc(connection.sql(sql).to_arrow_table())


def grouped(view: str, *, prefix: str, digits: int, without: Sequence[str]) -> str:
    """Number the rows of a view and name the group of rows that are equal in all columns but ``without``.

    Returns
    -------
    str
        A SELECT of ``lead_id``, ``equal_inputs`` and the view's columns.
    """
    return f"""
WITH numbered AS (SELECT row_number() OVER () AS number, * FROM {view}),
    compared AS (
        SELECT *, row(*COLUMNS(* EXCLUDE (number, {", ".join(without)})))::VARCHAR AS inputs FROM numbered)
SELECT '{prefix}-' || lpad(number::VARCHAR, {digits}, '0') AS lead_id,
    'group-' || lpad((min(number) OVER (PARTITION BY inputs))::VARCHAR, {digits}, '0') AS equal_inputs,
    * EXCLUDE (number, inputs)
FROM compared"""


def _file(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / f"{stem}.parquet", folder / f"{stem}.csv") if path.is_file()), None)


@contextmanager
def _opened(files: Mapping[str, Path], columns: Mapping[str, tuple[str, ...]]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection in which every file is a view under its own name."""
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '1GB'")
        problems = [p for stem, path in files.items() for p in _view(connection, stem, path, columns[stem])]
        if problems:
            raise DataRefused(problems)
        yield connection


def _view(connection: duckdb.DuckDBPyConnection, stem: str, path: Path, columns: tuple[str, ...]) -> Iterator[Problem]:
    name = str(path)
    try:
        relation = (
            connection.read_parquet(name)
            if path.suffix == ".parquet"
            else connection.read_csv(
                name,
                header=True,
                sample_size=-1,
                na_values=_MISSING,
                auto_type_candidates=["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR"],
            )
        )
    except duckdb.Error as error:
        yield Problem("file", name, f"cannot be read: {str(error).splitlines()[0]}", "download it again")
        return
    for column in columns:
        if column not in relation.columns:
            yield Problem("column", name, "is missing", "use the publisher's file unchanged", column=column)
    relation.create_view(stem.replace("-", "_"))
