"""Files appear whole or not at all, and the same rows give the same bytes."""

from __future__ import annotations

import os
import shutil
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mqlml.errors import EngineError, MqlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

ROWS_PER_GROUP = 122_880
"""Rows of one Parquet row group; fixed, so that bytes do not depend on how the rows arrived."""


@contextmanager
def publish(path: Path) -> Iterator[Path]:
    """Let the caller fill a temporary path, then put it in the place of ``path`` in one step.

    Parameters
    ----------
    path : Path
        The file to replace or create, or a directory that does not exist yet. Missing parent folders are made.

    Yields
    ------
    Path
        A free path in the same directory, so that the rename stays in one file system; write a file or make a
        directory there.

    Raises
    ------
    EngineError
        Writing failed (disk full, no permission, the directory exists already). What stood at ``path`` is untouched.
    """
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _move(temporary, path)
    except MqlError:
        raise
    except OSError as error:
        raise EngineError(
            f"MQL-write {path}: {error.strerror or error}.", hint="what stood there before is unchanged; run again"
        ) from error
    finally:
        _remove(temporary)


@contextmanager
def table_writer(
    path: Path, schema: pa.Schema, *, rows_per_group: int | None = None
) -> Iterator[Callable[[pa.Table], None]]:
    """Publish a table that arrives in pieces; memory holds a row group, and another one that is being written.

    Parameters
    ----------
    path : Path
        Ends in ``.parquet`` (zstd) or ``.csv`` (UTF-8, header, ISO timestamps, empty for null).
    schema : pyarrow.Schema
        Of every piece.
    rows_per_group : int, optional
        Rows of one Parquet row group; None takes the usual number, which long rows undercut.

    Yields
    ------
    callable
        Takes the next piece, of any number of rows, whose memory must not change later; the bytes of the file do not
        depend on how the rows were cut. A failure may show only when a later piece is handed over.

    Raises
    ------
    UsageError
        Another suffix.
    EngineError
        Writing failed; see `publish`.
    """
    suffix = path.suffix.lower()
    if suffix not in {".parquet", ".csv"}:
        raise UsageError(f"'{path}' does not say how to write a table.", hint="end the name in .parquet or .csv")
    plain = schema if suffix == ".parquet" else _without_dictionaries(schema)
    with publish(path) as temporary, _sink(temporary, plain, suffix) as sink:
        groups = _Groups(plain, sink, rows_per_group or ROWS_PER_GROUP)
        yield groups.add
        groups.close()


def write_table(table: pa.Table | pa.RecordBatchReader, path: Path) -> int:
    """Publish a table as Parquet or CSV, by the suffix of ``path``.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    UsageError
        Another suffix.
    EngineError
        Writing failed; what stood at ``path`` is untouched.
    """
    batches: Iterable[pa.RecordBatch] = table.to_batches() if isinstance(table, pa.Table) else table
    rows = 0
    with table_writer(path, table.schema) as add:
        for batch in batches:
            add(pa.Table.from_batches([batch], schema=table.schema))
            rows += batch.num_rows
    return rows


def write_text(path: Path, text: str) -> None:
    """Publish ``text`` as UTF-8 with line feeds."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Publish ``data``."""
    with publish(path) as temporary:
        temporary.write_bytes(data)


def refuse_other_text(path: Path, text: str) -> None:
    """Keep settings that somebody may have edited from being replaced.

    Raises
    ------
    UsageError
        ``path`` exists and says something else than ``text``.
    """
    if path.exists() and path.read_bytes() != text.encode("utf-8"):
        raise UsageError(f"'{path}' exists already and differs.", hint="name another folder with --out, or remove it")


class _Groups:
    """Cut arriving pieces into row groups of equal size."""

    def __init__(self, schema: pa.Schema, sink: Callable[[pa.Table], None], size: int) -> None:
        self._schema = schema
        self._sink = sink
        self._size = size
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, piece: pa.Table) -> None:
        self._waiting.append(piece.cast(self._schema))
        self._rows += piece.num_rows
        if self._rows >= self._size:
            self._flush(self._rows - self._rows % self._size)

    def close(self) -> None:
        if self._rows:
            self._flush(self._rows)

    def _flush(self, rows: int) -> None:
        table = pa.concat_tables(self._waiting)
        for start in range(0, rows, self._size):
            stop = min(start + self._size, rows)
            self._sink(table.slice(start, stop - start).unify_dictionaries().combine_chunks())
        self._waiting = [table.slice(rows)]
        self._rows -= rows


@contextmanager
def _sink(temporary: Path, schema: pa.Schema, suffix: str) -> Iterator[Callable[[pa.Table], None]]:
    if suffix == ".parquet":
        with (
            pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=_repetitive(schema)) as writer,
            _behind(lambda group: writer.write_table(group, row_group_size=max(group.num_rows, 1))) as write,
        ):
            yield write
    else:
        with pa_csv.CSVWriter(temporary, schema) as writer:
            yield writer.write_table


@contextmanager
def _behind(write: Callable[[pa.Table], None]) -> Iterator[Callable[[pa.Table], None]]:
    """Write each group in another thread while the caller makes the next one."""
    pending: list[Future[None]] = []
    with ThreadPoolExecutor(1, thread_name_prefix="write") as thread:

        def hand_over(group: pa.Table) -> None:
            while pending:
                pending.pop().result()
            pending.append(thread.submit(write, group))

        yield hand_over
        while pending:
            pending.pop().result()


def _repetitive(schema: pa.Schema) -> list[str]:
    """Columns that repeat long values; a dictionary of floats costs time, and compressed it takes more room."""
    return [field.name for field in schema if not pa.types.is_floating(field.type)]


def _without_dictionaries(schema: pa.Schema) -> pa.Schema:
    """Spell out categories: the CSV writer takes plain text only."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema
    ]
    return pa.schema(fields)


def _move(temporary: Path, path: Path) -> None:
    if not temporary.is_dir():
        _flush_to_disk(temporary)
        temporary.replace(path)
    elif path.exists():
        raise EngineError(f"MQL-write {path}: the directory exists already.", hint="name another one")
    else:
        for inner in sorted(temporary.rglob("*")):
            _flush_to_disk(inner)
        _flush_to_disk(temporary)
        temporary.rename(path)
    _flush_to_disk(path.parent)


def _flush_to_disk(path: Path) -> None:
    """Flush data before, the directory entry after the rename: only then does it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> None:
    if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        temporary.unlink(missing_ok=True)
