"""What the kernel reads and remembers: tape, recipe and state, as tuples of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]


class Tape(NamedTuple):
    """Rows of whole keys, one array a column.

    ``lead`` is the rank of a lead within its key. ``type`` is an event type's place in the vocabulary (beyond it: the
    number of types) or a field's place among the history attributes. A mark holds its output row in ``asset``; events
    without an asset hold -1 there. A change holds the number, or the code of the category, in ``value`` (NaN: none).
    ``known`` is when a fact was recorded. Times are microseconds since 1970 UTC.
    """

    key: Int32
    time: Int64
    kind: Int8
    lead: Int64
    type: Int32
    asset: Int64
    value: Float64
    known: Int64


class Recipe(NamedTuple):
    """A feature set in the numbers that the kernel needs.

    ``sum_slot`` gives, for each event type and the one beyond the vocabulary, its column among the summed ones, or -1.
    """

    windows_us: Int64
    half_lives_us: Float64
    sum_slot: Int32
    named_types: int
    first_long_window: int
    assets: bool
    fields: int
    width: int


class State(NamedTuple):
    """What is known so far: first axis the lead within its key, or the row of the tape where said."""

    newest: Int64  # row of the newest event absorbed
    arrived: Int64  # row of the newest event that has happened, whether known or not
    known: Int64  # when the last of these was recorded
    stale: Int8  # 1: the last replay left out facts
    counts: Float64
    sums: Float64
    last: Int64
    first: Int64
    active_days: Float64
    assets: Float64
    intensity: Float64
    fields: Float64
    previous: Int64  # by row: the event absorbed before this one
    arrived_before: Int64  # by row: the event that happened before this one
    seen: Int8  # by row: whether this is the newest event of its asset
    table: Int64  # open-addressing hash table from (lead, asset) to the row of its newest event
    replay: Int64  # by row: scratch of a replay
    window_counts: Float64
    window_sums: Float64
    window_days: Float64
    window_assets: Float64


def new_state(tape: Tape, recipe: Recipe) -> State:
    """Make room to play ``tape``; the kernel fills it at the start of every key."""
    n = tape.key.size
    leads = int(tape.lead.max()) + 1
    types = recipe.sum_slot.size
    sums = int(recipe.sum_slot.max()) + 1
    windows = recipe.windows_us.size
    return State(
        newest=np.empty(leads, np.int64),
        arrived=np.empty(leads, np.int64),
        known=np.empty(leads, np.int64),
        stale=np.empty(leads, np.int8),
        counts=np.empty((leads, types)),
        sums=np.empty((leads, sums)),
        last=np.empty((leads, types), np.int64),
        first=np.empty(leads, np.int64),
        active_days=np.empty(leads),
        assets=np.empty(leads),
        intensity=np.empty((leads, recipe.half_lives_us.size)),
        fields=np.empty((leads, recipe.fields)),
        previous=np.empty(n, np.int64),
        arrived_before=np.empty(n, np.int64),
        seen=np.zeros(n, np.int8),
        table=np.empty(table_size(n), np.int64),
        replay=np.empty(n, np.int64),
        window_counts=np.empty((windows, types)),
        window_sums=np.empty((windows, sums)),
        window_days=np.empty(windows),
        window_assets=np.empty(windows),
    )


def table_size(events: int) -> int:
    """Places of a hash table for so many events: a power of two, at most half filled."""
    size = 4
    while size < 2 * events:
        size *= 2
    return size
