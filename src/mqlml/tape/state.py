"""What the kernel reads and remembers: tape and state, as tuples of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mqlml.tape.recipe import Recipe

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]
Records: TypeAlias = Any
"""A structured array; compiled code reads and writes its fields as attributes, which no type hint can say."""

MARK, EVENT, CHANGE, CREATED, SKIPPED = 0, 1, 2, 3, 4
DAY_US = 86_400_000_000
# A value held "from the beginning" stands here: before every moment, and far enough from the end of int64.
BEGINNING_US = -(2**62)
NEVER = -(2**63)
NO_DAY = -(2**31)
UNSEEN, LATEST, SUPERSEDED = 0, 1, 2

ROW = np.dtype(
    [
        ("previous", np.int32),  # the event of the lead absorbed before this one
        ("arrived_before", np.int32),  # the event of the lead that happened before this one, whether known or not
        ("day", np.int32),  # calendar day since 1970 where the clock hangs
        ("uses", np.int32),  # how many events on its asset the lead has with this one
        ("seen", np.int8),  # whether this is the newest event on its asset
        ("hours", np.int8),  # bits: working hours 1, weekend 2, night 4
        ("entered", np.int8),  # 1: counts for colleagues
    ],
    align=True,
)
"""Kept of a row of the tape."""

LEAD = np.dtype(
    [
        ("known", np.int64),  # when the last recorded of the events that happened was recorded
        ("created", np.int64),  # NEVER: not yet, or not told
        ("session_start", np.int64),
        ("session_time", np.int64),  # spent in all sessions
        ("longest_session", np.int64),
        ("longest_gap", np.int64),  # -1: fewer than two events
        ("newest", np.int32),  # row of the newest event absorbed
        ("arrived", np.int32),  # row of the newest event that happened, whether known or not
        ("first", np.int32),  # row of the first event absorbed
        ("events", np.int32),
        ("active_days", np.int32),
        ("first_day", np.int32),
        ("last_day", np.int32),
        ("day_before", np.int32),  # the active day counted before the last
        ("assets", np.int32),
        ("again", np.int32),
        ("most", np.int32),
        ("sessions", np.int32),
        ("session_events", np.int32),
        ("working", np.int32),
        ("weekend", np.int32),
        ("night", np.int32),
        ("stale", np.int8),  # 1: the last replay left out facts
    ],
    align=True,
)
"""Kept of a lead, besides what has one number a type, field or pair."""

TEAM = np.dtype(
    [
        ("colleagues", np.int64),
        ("first_time", np.int64),  # creation of the first lead, and of the second
        ("first_lead", np.int64),
        ("second_time", np.int64),
        ("last_time", np.int64),  # newest event, and newest event of any other lead
        ("last_lead", np.int64),
        ("other_time", np.int64),
        ("waiting", np.int64),  # events in the heap
    ],
    align=True,
)
"""Kept of all leads of a key together."""


class Tape(NamedTuple):
    """Rows of whole keys, one array a column.

    ``lead`` is the rank of a lead within its key. ``type`` is an event type's place in the vocabulary (beyond it: the
    number of types) or a field's place among the history attributes (beyond them: the stage). A mark holds its output
    row in ``asset``; events hold there the place of a named asset, a greater number that stands for another one, or -1.
    ``channel`` is a channel's place in the vocabulary (beyond it: the number of channels), or -1. A change holds the
    number, or the code of the category, in ``value`` (NaN: none). ``known`` is when a fact was recorded, not before it
    happened. Times are microseconds since 1970 UTC.
    """

    key: Int32
    time: Int64
    kind: Int8
    lead: Int64
    type: Int32
    asset: Int64
    channel: Int32
    value: Float64
    known: Int64


class State(NamedTuple):
    """What is known so far: first axis the lead within its key, or the row of the tape where said.

    Subjects are types, assets and channels, one after the other (see ``Layout``).
    """

    rows: Records  # ROW, by row of the tape
    leads: Records  # LEAD
    counts: Float64  # by subject
    last: Int64  # by subject
    before: Int64  # by type: newest moment strictly before `last`
    sums: Float64
    intensity: Float64  # by half-life for any event, then for each type
    pair_counts: Float64
    pair_last: Int64
    values: Float64  # by field
    entries: Float64
    changed: Int64
    team: Records  # TEAM, one
    team_counts: Int32  # by window, then ever: events that count for colleagues
    team_events: Float64  # of all leads, by window, then ever
    team_active: Float64  # leads with any event, by window, then ever
    team_types: Float64  # of all leads, by type: in the longest window, then ever
    tails: Int64  # by window: first row of the tape inside
    heap: Int32  # rows of events that are not yet known, the first to be known at the top
    table: Int64  # open-addressing hash table from (lead, asset) to the row of its newest event
    replay: Int32  # by row: scratch of a replay
    panel: Float64


def new_state(tape: Tape, recipe: Recipe) -> State:
    """Make room to play ``tape``; the kernel fills it at the start of every key."""
    n = tape.key.size
    leads = int(tape.lead.max()) + 1
    at = recipe.layout
    team = leads if recipe.accounts else 0
    return State(
        rows=np.zeros(n, ROW),
        leads=np.empty(leads, LEAD),
        counts=np.empty((leads, at.subjects)),
        last=np.empty((leads, at.subjects), np.int64),
        before=np.empty((leads, at.types if recipe.pair_first.size else 0), np.int64),
        sums=np.empty((leads, at.stride - at.sums)),
        intensity=np.empty((leads, at.journey - at.intensity)),
        pair_counts=np.empty((leads, recipe.pair_first.size)),
        pair_last=np.empty((leads, recipe.pair_first.size), np.int64),
        values=np.empty((leads, at.entries - at.fields)),
        entries=np.empty((leads, at.entries - at.fields)),
        changed=np.empty((leads, at.entries - at.fields), np.int64),
        team=np.empty(1, TEAM),
        team_counts=np.empty((team, at.windows + 1), np.int32),
        team_events=np.empty(at.windows + 1),
        team_active=np.empty(at.windows + 1),
        team_types=np.empty((2, at.types)),
        tails=np.empty(at.windows, np.int64),
        heap=np.empty(n if recipe.accounts else 0, np.int32),
        table=np.empty(table_size(n) if recipe.assets else 4, np.int64),
        replay=np.empty(n, np.int32),
        panel=np.full(at.size, np.nan),
    )


def table_size(events: int) -> int:
    """Places of a hash table for so many events: a power of two, at most half filled."""
    size = 4
    while size < 2 * events:
        size *= 2
    return size
