"""Compiled sorting of tape rows: spread by key, sorted by key and time, then put into the exact order of the tape.

Keys are small consecutive numbers, so spreading costs one pass. Key, time and place of a row are packed into one
number, since numbers sort ten times as fast as rows; what they cannot hold is left to comparing rows. All functions
release the lock of the interpreter and work on columns, so that every column type compiles once.
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
def pack_rows(key: Int32, time: Int64, first_key: int, packed: Int64) -> None:
    """Pack key, time and place of each row into one number: sorted, these put rows nearly into order.

    Of the time as many of its higher bits are taken as there is room for.

    Parameters
    ----------
    key : ndarray of int32
    time : ndarray of int64
    first_key : int
        Smallest key.
    packed : ndarray of int64
        Where the numbers go; the place is in the lowest bits.
    """
    low, high, last_key = time[0], time[0], first_key
    for i in range(key.size):
        low, high, last_key = min(low, time[i]), max(high, time[i]), max(last_key, key[i])
    key_bits, time_bits, place_bits = _bits(last_key - first_key), _bits(high - low), _bits(key.size)
    dropped = max(0, key_bits + time_bits + place_bits - 63)
    for i in range(key.size):
        moment = (time[i] - low) >> dropped
        packed[i] = (((np.int64(key[i]) - first_key) << (time_bits - dropped) | moment) << place_bits) | i


@inner
def _bits(number: int) -> int:
    bits = 0
    while number >> bits:
        bits += 1
    return bits


@compiled
def order_rows(rows: Rows, packed: Int64, order: Int64, times: Int64, spare_order: Int64, spare_times: Int64) -> None:
    """Write the order of the tape into ``order``.

    Parameters
    ----------
    rows : Rows
    packed : ndarray of int64
        What ``pack_rows`` made of them, sorted.
    order, times, spare_order, spare_times : ndarray of int64
        As long as the rows; scratch but for ``order``, and ``times``: the times in this order.
    """
    places = (1 << _bits(packed.size)) - 1
    for i in range(packed.size):
        order[i] = packed[i] & places
        times[i] = rows.time[order[i]]
    start = 0
    for i in range(1, order.size + 1):
        if i == order.size or rows.key[order[i]] != rows.key[order[start]]:
            _sort(rows, start, i, order, times, spare_order, spare_times)
            start = i


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
