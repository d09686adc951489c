"""Compiled sorting of tape rows: spread by key, then, key after key, the exact order of the tape.

Keys are small consecutive numbers, so spreading costs one pass; only the few rows of one key are ever compared. All
functions release the lock of the interpreter and work on columns, so that every column type compiles once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mqlml.tape.compiling import compiled, inner
from mqlml.tape.state import Float64, Int8, Int32, Int64

_SHORT = 16  # rows up to which inserting beats merging


class Rows(NamedTuple):
    """Unsorted rows, one array a column; a column that no row fills may be empty, it then decides nothing."""

    key: Int32
    time: Int64
    kind: Int8
    lead: Int32
    type: Int32
    asset: Int64
    channel: Int32
    value: Float64
    known: Int64


@compiled
def count_buckets(key: Int32, keys: int, counts: Int64) -> None:
    """Add to ``counts`` how many rows fall into each of its equal ranges of ``keys`` keys."""
    for i in range(key.size):
        counts[np.int64(key[i]) * counts.size // keys] += 1


@compiled
def place_rows(key: Int32, keys: int, ends: Int64, places: Int64) -> None:
    """Give every row the next free place of its bucket; ``ends`` holds those places and moves on."""
    for i in range(key.size):
        bucket = np.int64(key[i]) * ends.size // keys
        places[i] = ends[bucket]
        ends[bucket] += 1


@compiled
def scatter(source: npt.NDArray[Any], places: Int64, target: npt.NDArray[Any]) -> None:
    """Put ``source[i]`` at ``target[places[i]]``."""
    for i in range(places.size):
        target[places[i]] = source[i]


@compiled
def gather(source: npt.NDArray[Any], places: Int64, target: npt.NDArray[Any]) -> None:
    """Put ``source[places[i]]`` at ``target[i]``."""
    for i in range(places.size):
        target[i] = source[places[i]]


@compiled
def order_rows(
    rows: Rows,
    first_key: int,
    starts: Int64,
    order: Int64,
    times: Int64,
    spare_order: Int64,
    spare_times: Int64,
) -> None:
    """Write the order of the tape into ``order``.

    Parameters
    ----------
    rows : Rows
    first_key : int
        Smallest key.
    starts : ndarray of int64, all 0
        Two longer than the range of keys.
    order, times, spare_order, spare_times : ndarray of int64
        As long as the rows; scratch but for ``order``.
    """
    for i in range(rows.key.size):
        starts[rows.key[i] - first_key + 2] += 1
    for k in range(2, starts.size):
        starts[k] += starts[k - 1]
    for i in range(rows.key.size):
        k = rows.key[i] - first_key + 1
        order[starts[k]] = i
        times[starts[k]] = rows.time[i]
        starts[k] += 1
    for k in range(starts.size - 1):
        _sort(rows, starts[k], starts[k + 1], order, times, spare_order, spare_times)


@inner
def _sort(
    rows: Rows,
    start: int,
    end: int,
    order: Int64,
    times: Int64,
    spare_order: Int64,
    spare_times: Int64,
) -> None:
    # Short runs by insertion, then runs are merged in pairs of doubling length; what is in order already stays.
    for low in range(start, end, _SHORT):
        _insert(rows, low, min(low + _SHORT, end), order, times)
    width = _SHORT
    while width < end - start:
        for low in range(start, end - width, 2 * width):
            middle = low + width
            if not _before(rows, order[middle], times[middle], order[middle - 1], times[middle - 1]):
                continue
            for i in range(low, middle):
                spare_order[i] = order[i]
                spare_times[i] = times[i]
            _merge(rows, low, middle, min(middle + width, end), order, times, spare_order, spare_times)
        width *= 2


@inner
def _insert(rows: Rows, start: int, end: int, order: Int64, times: Int64) -> None:
    for i in range(start + 1, end):
        row, time = order[i], times[i]
        j = i
        while j > start and _before(rows, row, time, order[j - 1], times[j - 1]):
            order[j] = order[j - 1]
            times[j] = times[j - 1]
            j -= 1
        order[j] = row
        times[j] = time


@inner
def _merge(
    rows: Rows,
    low: int,
    middle: int,
    high: int,
    order: Int64,
    times: Int64,
    spare_order: Int64,
    spare_times: Int64,
) -> None:
    left, right, at = low, middle, low
    while left < middle:
        if right < high and _before(rows, order[right], times[right], spare_order[left], spare_times[left]):
            order[at] = order[right]
            times[at] = times[right]
            right += 1
        else:
            order[at] = spare_order[left]
            times[at] = spare_times[left]
            left += 1
        at += 1


@inner
def _before(rows: Rows, a: int, time_a: int, b: int, time_b: int) -> bool:
    if time_a != time_b:
        return time_a < time_b
    return _compare(rows, a, b) < 0


@inner
def _compare(rows: Rows, a: int, b: int) -> int:
    sign = _sign(rows.kind, a, b)
    if sign == 0:
        sign = _sign(rows.lead, a, b)
    if sign == 0:
        sign = _sign(rows.type, a, b)
    if sign == 0:
        sign = _sign(rows.asset, a, b)
    if sign == 0:
        sign = _sign(rows.channel, a, b)
    if sign == 0:
        sign = _sign_of_values(rows.value, a, b)
    if sign == 0:
        sign = _sign(rows.known, a, b)
    return sign


@inner
def _sign(column: npt.NDArray[Any], a: int, b: int) -> int:
    if column.size == 0 or column[a] == column[b]:
        return 0
    return -1 if column[a] < column[b] else 1


@inner
def _sign_of_values(column: Float64, a: int, b: int) -> int:
    # Missing values come first, as everywhere in Spark: of two changes at one moment the one with a value holds.
    if column.size == 0 or column[a] == column[b]:
        return 0
    if np.isnan(column[a]):
        return 0 if np.isnan(column[b]) else -1
    return 1 if np.isnan(column[b]) or column[a] > column[b] else -1
