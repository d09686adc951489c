"""What the kernel reads and remembers: tape and state, as tuples of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mqlml.tape.layout import Layout
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
# In ``asset`` of a change: the value that a lead came with.
FIRST_VALUE = -2
NO_DAY = -(2**31)
UNSEEN, LATEST, SUPERSEDED = 0, 1, 2

ROW = np.dtype(
    [
        ("previous", np.int32),  # the event of the lead absorbed before this one
        ("arrived_before", np.int32),  # the event of the lead that happened before this one, whether known or not
        ("day", np.int32),  # calendar day since 1970 where the clock hangs
        ("uses", np.int32),  # how many events on its asset the lead has with this one
        ("seen", np.int8),  # whether this is the newest event on its asset
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
    number, or the code of the category, in ``value`` (NaN: none), and ``FIRST_VALUE`` in ``asset`` where it came with
    the lead. ``known`` is when a fact was recorded, not before it happened. Times are microseconds since 1970 UTC.
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


class Own(NamedTuple):
    """What each lead did, as far as it is known: first axis the lead within its key.

    Subjects are types, assets and channels, one after the other (see ``Layout``).
    """

    counts: Float64  # by subject
    last: Int64  # by subject
    before: Int64  # by type: newest moment strictly before `last`
    sums: Float64
    intensity: Float64  # by half-life for any event, then for each type
    pair_counts: Float64
    pair_last: Int64


class Fields(NamedTuple):
    """What the fields of each lead hold, the stage last: first axis the lead within its key."""

    values: Float64
    entries: Float64
    changed: Int64


class Team(NamedTuple):
    """What all leads of a key did together, as far as it counts for colleagues."""

    facts: Records  # TEAM, one
    counts: Int32  # by lead: its events by window, then ever
    events: Float64  # by window, then ever
    active: Float64  # leads with any event, by window, then ever
    types: Float64  # events by type: in the longest window, then ever
    tails: Int64  # by window: first row of the tape inside
    heap: Int32  # rows of events that are not yet known, the first to be known at the top


class State(NamedTuple):
    """What is known so far, and scratch."""

    rows: Records  # ROW, by row of the tape
    leads: Records  # LEAD, by lead within its key
    own: Own
    fields: Fields
    team: Team
    table: Int64  # open-addressing hash table from (lead, asset) to the row of its newest event
    queue: Int32  # rows of events about to be absorbed, the newest first
    panel: Float64


def new_state(tape: Tape, recipe: Recipe) -> State:
    """Make room to play ``tape``; the kernel fills it at the start of every key."""
    n = tape.key.size
    leads = int(tape.lead.max()) + 1
    return State(
        rows=np.zeros(n, ROW),
        leads=np.empty(leads, LEAD),
        own=_new_own(leads, recipe),
        fields=_new_fields(leads, recipe.layout),
        team=_new_team(n, leads, recipe),
        table=np.empty(table_size(n) if recipe.assets else 1, np.int64),
        queue=np.empty(n, np.int32),
        panel=np.full(recipe.layout.size, np.nan),
    )


def _new_own(leads: int, recipe: Recipe) -> Own:
    at = recipe.layout
    pairs = recipe.pair_first.size
    return Own(
        counts=np.empty((leads, at.subjects)),
        last=np.empty((leads, at.subjects), np.int64),
        before=np.empty((leads, at.types if pairs else 0), np.int64),
        sums=np.empty((leads, at.stride - at.sums)),
        intensity=np.empty((leads, at.journey - at.intensity)),
        pair_counts=np.empty((leads, pairs)),
        pair_last=np.empty((leads, pairs), np.int64),
    )


def _new_fields(leads: int, at: Layout) -> Fields:
    fields = at.entries - at.fields
    return Fields(
        values=np.empty((leads, fields)),
        entries=np.empty((leads, fields)),
        changed=np.empty((leads, fields), np.int64),
    )


def _new_team(rows: int, leads: int, recipe: Recipe) -> Team:
    at = recipe.layout
    return Team(
        facts=np.empty(1, TEAM),
        counts=np.empty((leads if recipe.accounts else 0, at.windows + 1), np.int32),
        events=np.empty(at.windows + 1),
        active=np.empty(at.windows + 1),
        types=np.empty((2, at.types)),
        tails=np.empty(at.windows, np.int64),
        heap=np.empty(rows if recipe.accounts else 0, np.int32),
    )


def table_size(events: int) -> int:
    """Places of a hash table for so many events: a power of two, at most half filled."""
    size = 4
    while size < 2 * events:
        size *= 2
    return size
