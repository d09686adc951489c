"""What the kernel remembers of each lead: every event that is known, absorbed in the order in which it happened."""

from __future__ import annotations

import numpy as np

from mqlml.tape.arithmetic import faded, fill
from mqlml.tape.compiling import inner
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import (
    DAY_US,
    FIRST_VALUE,
    LATEST,
    NEVER,
    NO_DAY,
    SUPERSEDED,
    UNSEEN,
    Fields,
    Float64,
    Own,
    Records,
    State,
    Tape,
)

_HOUR_US = DAY_US // 24


@inner
def begin_lead(state: State, lead: int) -> None:
    """Make a lead unknown."""
    me = state.leads[lead]
    me.known = NEVER
    me.created = NEVER
    me.arrived = -1
    me.stale = 0
    fill(state.fields.values[lead], np.nan)
    fill(state.fields.entries[lead], 0.0)
    fill(state.fields.changed[lead], NEVER)
    _forget(me, state.own, lead)


@inner
def change(tape: Tape, fields: Fields, i: int) -> None:
    """Take over the new value of a field; the one a lead came with is no change."""
    lead = tape.lead[i]
    field = tape.type[i]
    fields.values[lead, field] = tape.value[i]
    if tape.asset[i] != FIRST_VALUE:
        fields.entries[lead, field] += 1.0
        fields.changed[lead, field] = tape.time[i]


@inner
def arrive(tape: Tape, state: State, i: int) -> None:
    """Let an event happen; it is absorbed when the lead is looked at."""
    me = state.leads[tape.lead[i]]
    state.rows[i].arrived_before = me.arrived
    me.arrived = i
    me.known = max(me.known, tape.known[i])


@inner
def catch_up(tape: Tape, recipe: Recipe, state: State, lead: int, now: int, mask: int) -> None:
    """Absorb what happened since the lead was last looked at, as far as it is known.

    Events count in the order in which they happened. So where one that happened is not yet recorded, or was left out
    the last time, everything is forgotten and absorbed anew.
    """
    me = state.leads[lead]
    late = me.known >= now
    if late or me.stale:
        _forget(me, state.own, lead)
    me.stale = late
    count = 0
    i = me.arrived
    while i != me.newest:
        state.rows[i].seen = UNSEEN
        if tape.known[i] < now:
            state.queue[count] = i
            count += 1
        i = state.rows[i].arrived_before
    for k in range(count - 1, -1, -1):
        _absorb(tape, recipe, state, state.queue[k], mask)


@inner
def _forget(me: Records, own: Own, lead: int) -> None:
    me.newest = -1
    me.first = -1
    me.longest_gap = -1
    me.last_day = NO_DAY
    me.day_before = NO_DAY
    me.events = 0
    me.active_days = 0
    me.assets = 0
    me.again = 0
    me.most = 0
    me.sessions = 0
    me.session_events = 0
    me.session_time = 0
    me.longest_session = 0
    me.working = 0
    me.weekend = 0
    me.night = 0
    fill(own.counts[lead], 0.0)
    fill(own.last[lead], NEVER)
    fill(own.before[lead], NEVER)
    fill(own.sums[lead], 0.0)
    fill(own.intensity[lead], 0.0)
    fill(own.pair_counts[lead], 0.0)
    fill(own.pair_last[lead], NEVER)


@inner
def _absorb(tape: Tape, recipe: Recipe, state: State, i: int, mask: int) -> None:
    lead = tape.lead[i]
    time = tape.time[i]
    me = state.leads[lead]
    row = state.rows[i]
    elapsed = 0 if me.newest < 0 else time - tape.time[me.newest]
    row.previous = me.newest
    _count_day(recipe, me, row, time)
    _count_session(me, time, elapsed, recipe.gap_us)
    if me.newest < 0:
        me.first = i
    else:
        me.longest_gap = max(me.longest_gap, elapsed)
    me.newest = i
    me.events += 1
    _fade(recipe, state.own.intensity[lead], 0, float(elapsed))
    _count_subjects(tape, recipe, state.own, i)
    if recipe.assets and tape.asset[i] >= 0:
        _see_asset(tape, state, i, mask)


@inner
def _count_day(recipe: Recipe, me: Records, row: Records, time: int) -> None:
    local = time + recipe.zone_offsets[np.searchsorted(recipe.zone_starts, time, side="right")]
    day = local // DAY_US
    row.day = day
    if recipe.rhythm:
        hour = (local - day * DAY_US) // _HOUR_US
        weekend = (day + 3) % 7 >= 5  # the first day of 1970 was a Thursday
        me.working += not weekend and 8 <= hour < 18
        me.weekend += weekend
        me.night += hour >= 22 or hour < 6
    # A clock set back around midnight shows the end of a day again: that day is the one before the last.
    if day == me.last_day or day == me.day_before:
        return
    me.first_day = day if me.active_days == 0 else min(me.first_day, day)
    me.active_days += 1
    me.day_before = min(day, me.last_day)
    me.last_day = max(day, me.last_day)


@inner
def _count_session(me: Records, time: int, elapsed: int, gap: int) -> None:
    if me.newest < 0 or elapsed > gap:
        me.sessions += 1
        me.session_start = time
        me.session_events = 1
        return
    me.session_events += 1
    me.session_time += elapsed
    me.longest_session = max(me.longest_session, time - me.session_start)


@inner
def _count_subjects(tape: Tape, recipe: Recipe, own: Own, i: int) -> None:
    at = recipe.layout
    lead = tape.lead[i]
    kind = tape.type[i]
    time = tape.time[i]
    last = own.last[lead, kind]
    if recipe.pair_then.size:
        _count_pairs(recipe, own, lead, kind, time)
        if last < time:
            own.before[lead, kind] = last
    if recipe.type_intensity:
        _fade(recipe, own.intensity[lead], 1 + kind, 0.0 if last == NEVER else float(time - last))
    slot = recipe.sum_slot[kind]
    if slot >= 0:
        own.sums[lead, slot] += tape.value[i]
    _count(own, lead, kind, time)
    if at.assets and tape.asset[i] >= 0:
        _count(own, lead, at.types + min(tape.asset[i], at.assets - 1), time)
    if at.channels and tape.channel[i] >= 0:
        _count(own, lead, at.types + at.assets + tape.channel[i], time)


@inner
def _count(own: Own, lead: int, subject: int, time: int) -> None:
    own.counts[lead, subject] += 1.0
    own.last[lead, subject] = time


@inner
def _count_pairs(recipe: Recipe, own: Own, lead: int, kind: int, time: int) -> None:
    for p in range(recipe.pair_then.size):
        if recipe.pair_then[p] == kind:
            first = own.last[lead, recipe.pair_first[p]]
            if first == time:  # not strictly earlier
                first = own.before[lead, recipe.pair_first[p]]
            if first != NEVER and time - first <= recipe.pair_us[p]:
                own.pair_counts[lead, p] += 1.0
                own.pair_last[lead, p] = time


@inner
def _fade(recipe: Recipe, intensity: Float64, block: int, elapsed: float) -> None:
    start = block * recipe.half_lives_us.size
    for h in range(recipe.half_lives_us.size):
        intensity[start + h] = 1.0 + faded(intensity[start + h], elapsed, recipe.half_lives_us[h])


@inner
def _see_asset(tape: Tape, state: State, i: int, mask: int) -> None:
    lead = tape.lead[i]
    asset = tape.asset[i]
    me = state.leads[lead]
    row = state.rows[i]
    place = ((asset * 31 + lead) * 0x9E3779B1 >> 7) & mask
    other = state.table[place]
    while other >= 0 and (tape.asset[other] != asset or tape.lead[other] != lead):
        place = (place + 1) & mask
        other = state.table[place]
    row.uses = 1
    if other >= 0 and state.rows[other].seen == LATEST:
        state.rows[other].seen = SUPERSEDED
        row.uses += state.rows[other].uses
        me.again += 1
    else:
        me.assets += 1
    me.most = max(me.most, row.uses)
    state.table[place] = i
    row.seen = LATEST
