"""From record batches in any order to a tape: rows are spread by ranges of keys, and each range is then sorted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mqlml.tape.ordering import Rows, count_buckets, gather, order_rows, pack_rows, place_rows, scatter
from mqlml.tape.state import EVENT, Int64, Tape

if TYPE_CHECKING:
    import pyarrow as pa

Array = npt.NDArray[Any]

COLUMNS: dict[str, np.dtype[Any]] = {
    "key": np.dtype(np.int32),
    "time": np.dtype(np.int64),
    "kind": np.dtype(np.int8),
    "lead": np.dtype(np.int32),
    "type": np.dtype(np.int32),
    "asset": np.dtype(np.int64),
    "channel": np.dtype(np.int32),
    "value": np.dtype(np.float64),
    "known": np.dtype(np.int64),
}
"""Columns of an unsorted row, with the narrowest type that holds them."""

ABSENT: dict[str, float] = {"kind": EVENT, "asset": -1, "channel": -1, "value": 0.0}
"""What a row has in a column that is left out. Also left out is ``known``, where all was known when it happened."""


class Spread(NamedTuple):
    """Rows in the order of their buckets.

    Parameters
    ----------
    starts : ndarray of int64, shape (buckets + 1,)
        Where each bucket starts.
    columns : dict of str to ndarray
        Those of ``COLUMNS`` that are not left out.
    """

    starts: Int64
    columns: dict[str, Array]


def spread(batches: Sequence[pa.RecordBatch], *, keys: int, buckets: int) -> Spread:
    """Bring rows into the order of their buckets.

    Parameters
    ----------
    batches : sequence of RecordBatch
        With ``COLUMNS``, or some of them left out.
    keys : int
        Keys are 0 to keys - 1.
    buckets : int
        Ranges of keys of equal width.
    """
    by_batch = [_array("key", batch) for batch in batches]
    counts = np.zeros(buckets, np.int64)
    for key in by_batch:
        count_buckets(key, keys, counts)
    starts = np.concatenate([[0], np.cumsum(counts)])
    places = np.empty(int(starts[-1]), np.int64)
    borders = list(pairwise(np.cumsum([0, *(key.size for key in by_batch)]).tolist()))
    ends = starts[:-1].copy()
    for key, (low, high) in zip(by_batch, borders, strict=True):
        place_rows(key, keys, ends, places[low:high])
    columns = {}
    for name, dtype in COLUMNS.items():
        if not all(_is_absent(name, batch) for batch in batches):
            columns[name] = np.empty(places.size, dtype)
            for batch, (low, high) in zip(batches, borders, strict=True):
                scatter(_bits(_array(name, batch)), places[low:high], _bits(columns[name]))
    return Spread(starts, columns)


def sorted_tape(rows: Rows) -> Tape:
    """Bring rows into the order of the tape: key, time, kind, lead, type, asset, channel, value (missing first), known.

    Parameters
    ----------
    rows : Rows
        At least one. The result does not depend on the order in which they come.
    """
    n = rows.key.size
    packed, order, times, spare_order, spare_times = (np.empty(n, np.int64) for _ in range(5))
    pack_rows(rows.key, rows.time, int(rows.key.min()), packed)
    packed.sort()
    order_rows(rows, packed, order, times, spare_order, spare_times)
    return Tape(
        key=_taken("key", rows.key, order),
        time=times,
        kind=_taken("kind", rows.kind, order),
        lead=_taken("lead", rows.lead, order).astype(np.int64),
        type=_taken("type", rows.type, order),
        asset=_taken("asset", rows.asset, order),
        channel=_taken("channel", rows.channel, order),
        value=_taken("value", rows.value, order),
        known=_taken("known", rows.known, order) if rows.known.size else times,
    )


def _taken(name: str, column: Array, order: Int64) -> Array:
    if not column.size:
        return np.full(order.size, ABSENT[name], COLUMNS[name])
    taken = np.empty_like(column)
    gather(_bits(column), order, _bits(taken))
    return taken


def _array(name: str, batch: pa.RecordBatch) -> Array:
    if name in batch.schema.names:
        array = np.ascontiguousarray(batch[name].to_numpy(zero_copy_only=False), COLUMNS[name])
    elif name == "known":
        return _array("time", batch)
    else:
        array = np.full(batch.num_rows, ABSENT[name], COLUMNS[name])
    array.flags.writeable = False  # as what Arrow lends: functions are compiled for arrays that can be written or not
    return array


def _bits(column: Array) -> Array:
    """See a column as integers, so that moving compiles once a width."""
    return column.view(f"i{column.itemsize}")


def _is_absent(name: str, batch: pa.RecordBatch) -> bool:
    if name not in batch.schema.names:
        return True
    if name == "known":
        return bool(batch["known"].equals(batch["time"]))
    if name not in ABSENT or batch[name].null_count:
        return False
    return bool((batch[name].to_numpy() == ABSENT[name]).all())
