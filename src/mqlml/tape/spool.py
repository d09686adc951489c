"""Tape rows on their way to the kernel: kept by ranges of keys, in memory as long as they fit, then in a file.

Ranges are sorted by whoever takes them. Memory holds the rows that arrive, what fits the bound, and the ranges taken.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mqlml.errors import EngineError
from mqlml.tape.ordering import Rows
from mqlml.tape.sorting import ABSENT, COLUMNS, Array, sorted_tape, spread
from mqlml.tape.state import Int64, Tape

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa


@dataclass(frozen=True)
class Limits:
    """How much is held and handled at a time; results do not depend on any of it.

    Parameters
    ----------
    memory : int
        Bytes of rows that stay in memory; more goes to a file.
    chunk_rows : int
        Rows spread by key at a time.
    buckets : int
        Ranges of keys of equal width.
    part_rows : int
        Rows that a part has at least, unless it is the last one; more where a single bucket has more.
    """

    memory: int = 512 * 2**20
    chunk_rows: int = 2**20
    buckets: int = 256
    part_rows: int = 2**18


class Spool:
    """Takes rows in any order and gives them back by ranges of keys.

    Parameters
    ----------
    limits : Limits

    Raises
    ------
    EngineError
        The file for what memory cannot hold cannot be written or read.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._chunks: list[_Chunk] = []
        self._held = 0
        self._overflow = _Overflow()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chunks.clear()
        self._overflow.close()

    def fill(self, batches: Iterable[pa.RecordBatch], *, keys: int, pool: Executor) -> None:
        """Take rows, once.

        Parameters
        ----------
        batches : iterable of RecordBatch
            With ``COLUMNS``, or some of them left out.
        keys : int
            Keys are 0 to keys - 1.
        pool : Executor
            Where a chunk is spread while the next one arrives.
        """
        spreading: Future[None] | None = None
        for chunk in _chunks(batches, self._limits.chunk_rows):
            if spreading is not None:
                spreading.result()
            spreading = pool.submit(self._store, chunk, keys)
        if spreading is not None:
            spreading.result()

    def parts(self) -> Iterator[Part]:
        """Cut what was taken into ranges of keys, in order; together they hold every row once."""
        starts: Int64 = np.sum([chunk.starts for chunk in self._chunks], axis=0, dtype=np.int64, keepdims=False)
        first = 0
        for end in range(1, starts.size):
            rows = int(starts[end] - starts[first])
            if rows and (rows >= self._limits.part_rows or end == starts.size - 1):
                yield Part(self, first, end, rows)
                first = end

    def rows(self, first: int, end: int) -> Rows:
        """Read the rows of some buckets; a column that all of them leave out comes empty."""
        return Rows(**{name: self._column(name, first, end) for name in COLUMNS})

    def _store(self, batches: list[pa.RecordBatch], keys: int) -> None:
        chunk = spread(batches, keys=keys, buckets=self._limits.buckets)
        size = sum(column.nbytes for column in chunk.columns.values())
        if self._held + size <= self._limits.memory:
            self._held += size
            self._chunks.append(_Chunk(chunk.starts, chunk.columns))
        else:
            places = {name: self._overflow.write(column) for name, column in chunk.columns.items()}
            self._chunks.append(_Chunk(chunk.starts, places))

    def _column(self, name: str, first: int, end: int) -> Array:
        chunks = [chunk for chunk in self._chunks if chunk.starts[first] < chunk.starts[end]]
        if not any(name in chunk.columns for chunk in chunks):
            return np.empty(0, COLUMNS[name])
        return np.concatenate(
            [self._piece(name, chunk, int(chunk.starts[first]), int(chunk.starts[end])) for chunk in chunks]
        )

    def _piece(self, name: str, chunk: _Chunk, start: int, end: int) -> Array:
        if name not in chunk.columns:
            if name == "known":
                return self._piece("time", chunk, start, end)
            return np.full(end - start, ABSENT[name], COLUMNS[name])
        column = chunk.columns[name]
        if isinstance(column, int):
            return self._overflow.read(column + start * COLUMNS[name].itemsize, COLUMNS[name], end - start)
        return column[start:end]


@dataclass(frozen=True)
class Part:
    """Every row of a range of keys, not sorted yet; ``rows`` of them."""

    spool: Spool
    first: int
    end: int
    rows: int

    def sort(self) -> Tape:
        """Bring the rows into the order of the tape."""
        return sorted_tape(self.spool.rows(self.first, self.end))


@dataclass(frozen=True)
class _Chunk:
    """Rows in the order of their buckets (see ``Spread``); a column is held, or starts so many bytes into the file."""

    starts: Int64
    columns: dict[str, Array] | dict[str, int]


class _Overflow:
    """A temporary file of columns; several threads may read it at once."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._size = 0

    def write(self, column: Array) -> int:
        """Append a column; returns where it starts."""
        start = self._size
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="mqlml-tape-")  # noqa: SIM115 - see `close`
            self._file.write(column.data)
            self._file.flush()
        except OSError as error:
            raise _failed("written", error) from error
        self._size += column.nbytes
        return start

    def read(self, start: int, dtype: np.dtype[Any], rows: int) -> Array:
        """Read so many values of what was written."""
        assert self._file is not None
        try:
            data = os.pread(self._file.fileno(), rows * dtype.itemsize, start)
        except OSError as error:
            raise _failed("read", error) from error
        return np.frombuffer(data, dtype, rows)

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()


def _chunks(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[list[pa.RecordBatch]]:
    chunk: list[pa.RecordBatch] = []
    for batch in batches:
        chunk.append(batch)
        if sum(b.num_rows for b in chunk) >= rows:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _failed(what: str, error: OSError) -> EngineError:
    hint = "see whether the disk of the temporary folder (TMPDIR) has room; running again is safe"
    return EngineError(f"Tape rows that memory cannot hold cannot be {what}: {error.strerror or error}.", hint=hint)
