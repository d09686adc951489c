"""Play the tape of a history on this machine: rows arrive unsorted, ranges of keys are sorted and played in parallel.

What is under way at a time is bounded, and parts come back in the order of the tape, so that neither memory nor results
depend on how many rows, threads or keys there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mqlml.tape.engine import Played
from mqlml.tape.kernel import play
from mqlml.tape.machines import drop_machines, rules_of
from mqlml.tape.spool import Part, Spool
from mqlml.tape.state import MARK, Float64, Int64, Tape

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.contract import History
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.machines import Rules
    from mqlml.tape.recipe import Recipe
    from mqlml.tape.traffic import Tally

T = TypeVar("T")
R = TypeVar("R")

_TYPES = {
    "key": "i4",
    "time": "i8",
    "kind": "i1",
    "lead": "i8",
    "type": "i4",
    "asset": "i8",
    "channel": "i4",
    "value": "f8",
    "known": "i8",
}
_TAPE_ROWS = 2**16  # played at a time: what the kernel looks back at stays near the processor
_OUTPUT_BYTES = 2**24  # written by the kernel at a time
_SORTED_ROWS = 2**20  # sorted ahead of the kernel


@contextmanager
def played(
    history: History,
    marks: pa.Table,
    features: FeatureSet,
    recipe: Recipe,
    *,
    threads: int,
    batch_rows: int,
    tally: Tally | None = None,
) -> Iterator[Played]:
    """Read the facts of the leads in ``marks``, then play them part by part while the caller takes the rows.

    Parameters
    ----------
    history : History
    marks : pa.Table
        lead_id, time (int64, microseconds UTC), position (int64, the output row); at least one row.
    features : FeatureSet
    recipe : Recipe
        Made of ``features``.
    threads : int
        Threads that sort and play.
    batch_rows : int
        Rows that DuckDB hands over at a time.
    tally : Tally, optional
        Counts what the rules against machine traffic changed, while the parts are taken.

    Raises
    ------
    EngineError
        DuckDB or the disk failed.
    """
    from mqlml.tape import local

    with Spool() as spool, _workers(threads) as pool:
        with local.tape_rows(history, marks, features, batch_rows=batch_rows) as source:
            spool.fill(source.batches, keys=source.keys, pool=pool)
        parts = in_order(pool, Part.sort, spool.parts(), weight=lambda part: part.rows, most=_SORTED_ROWS)
        tapes = (tape for part in parts for tape in cut(part, recipe.width))
        play_part = partial(play_keys, recipe=recipe, rules=rules_of(features))
        rows = in_order(pool, play_part, tapes, weight=_rows, most=2 * threads * _TAPE_ROWS)
        yield Played(_counted(rows, features, tally), source.levels)


def play_keys(tape: Tape, *, recipe: Recipe, rules: Rules | None) -> tuple[Int64, Float64, Int64 | None]:
    """Leave out what machines did, then play.

    Parameters
    ----------
    tape : Tape
        Whole keys; events that are left out are marked in it.
    recipe : Recipe
    rules : Rules or None
        None: everything counts.

    Returns
    -------
    position : ndarray of int64, shape (marks,)
        Output rows of the marks, in tape order.
    values : ndarray of float64, shape (recipe width, marks)
    counts : ndarray of int64 or None
        What the rules left out, as ``drop_machines`` counts it.
    """
    counts = None if rules is None else drop_machines(tape, rules)
    return tape.asset[tape.kind == MARK], np.ascontiguousarray(play(tape, recipe).T), counts


def tape_of(batches: Sequence[pa.RecordBatch]) -> Tape:
    """Take sorted rows of whole keys as one tape; its arrays are copies that the kernel may keep."""
    # Copies always, with fixed types: the kernel then compiles once, whatever memory Arrow handed over.
    columns = {
        name: np.concatenate([batch[name].to_numpy(zero_copy_only=False) for batch in batches], dtype=dtype)
        for name, dtype in _TYPES.items()
    }
    return Tape(**columns)


def tally_dropped(
    tally: Tally | None, history: History, lead_ids: pa.ChunkedArray, features: FeatureSet, *, end: int
) -> None:
    """Count the opens before ``end`` (microseconds) that are not looked at at all."""
    from mqlml.tape import local

    if tally is not None and features.dropped_opens:
        tally.add_dropped(local.count_events(history, lead_ids, features.dropped_opens, end=end))


@contextmanager
def _workers(threads: int) -> Iterator[Executor]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tape")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def cut(tape: Tape, width: int) -> Iterator[Tape]:
    """Cut a tape between keys so that few rows are played at a time and few written.

    Parameters
    ----------
    tape : Tape
    width : int
        Numbers that the kernel writes at a mark.
    """
    borders = np.flatnonzero(np.diff(tape.key, prepend=tape.key[0] - 1, append=tape.key[-1] + 1))
    marks = np.concatenate([[0], np.cumsum(tape.kind == MARK)])[borders]
    most_marks = max(1, _OUTPUT_BYTES // (8 * max(width, 1)))
    start = 0
    while start < borders.size - 1:
        by_rows = np.searchsorted(borders, borders[start] + _TAPE_ROWS, "right") - 1
        by_marks = np.searchsorted(marks, marks[start] + most_marks, "right") - 1
        end = max(start + 1, int(min(by_rows, by_marks)))
        yield Tape._make(column[borders[start] : borders[end]] for column in tape)
        start = end


def in_order(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], *, weight: Callable[[T], int], most: int
) -> Iterator[R]:
    """Apply a function in a pool and give the results in the order of the items.

    Parameters
    ----------
    pool : Executor
    function : callable
    items : iterable
        Taken only as results are.
    weight : callable
        What an item weighs.
    most : int
        What the items under way may weigh together; a heavier one is under way alone.
    """
    waiting: deque[tuple[Future[R], int]] = deque()
    total = 0
    try:
        for item in items:
            heavy = weight(item)
            while waiting and total + heavy > most:
                future, lighter = waiting.popleft()
                yield future.result()
                total -= lighter
            waiting.append((pool.submit(function, item), heavy))
            total += heavy
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        for future, _ in waiting:
            future.cancel()


def _rows(tape: Tape) -> int:
    return int(tape.key.size)


def _counted(
    rows: Iterable[tuple[Int64, Float64, Int64 | None]], features: FeatureSet, tally: Tally | None
) -> Iterator[tuple[Int64, Float64]]:
    for position, columns, dropped in rows:
        if tally is not None and dropped is not None:
            tally.add_counts(features, dropped)
        yield position, columns
