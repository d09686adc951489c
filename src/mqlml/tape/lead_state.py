"""What the kernel remembers of each lead: every event that is known, absorbed in the order in which it happened."""

from __future__ import annotations

import numpy as np

from mqlml.tape.arithmetic import faded, fill
from mqlml.tape.compiling import inner
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import BEGINNING_US, DAY_US, LATEST, NEVER, NO_DAY, SUPERSEDED, UNSEEN, State, Tape

_HOUR_US = DAY_US // 24


@inner
def begin_lead(state: State, lead: int) -> None:
    """Make a lead unknown."""
    me = state.leads[lead]
    me.known = NEVER
    me.created = NEVER
    me.arrived = -1
    me.stale = 0
    fill(state.values[lead], np.nan)
    fill(state.entries[lead], 0.0)
    fill(state.changed[lead], NEVER)
    forget(state, lead)


@inner
def forget(state: State, lead: int) -> None:
    """Make the events of a lead unknown."""
    me = state.leads[lead]
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
    fill(state.counts[lead], 0.0)
    fill(state.last[lead], NEVER)
    fill(state.before[lead], NEVER)
    fill(state.sums[lead], 0.0)
    fill(state.intensity[lead], 0.0)
    fill(state.pair_counts[lead], 0.0)
    fill(state.pair_last[lead], NEVER)


@inner
def change(tape: Tape, state: State, i: int) -> None:
    """Take over the new value of a field."""
    lead = tape.lead[i]
    field = tape.type[i]
    state.values[lead, field] = tape.value[i]
    if tape.time[i] != BEGINNING_US:
        state.entries[lead, field] += 1.0
        state.changed[lead, field] = tape.time[i]


@inner
def arrive(tape: Tape, recipe: Recipe, state: State, i: int, mask: int) -> None:
    """Let an event happen; it counts at once unless a replay is due anyway."""
    me = state.leads[tape.lead[i]]
    state.rows[i].arrived_before = me.arrived
    me.arrived = i
    me.known = max(me.known, tape.known[i])
    _tell_day(tape, recipe, state, i)
    if not me.stale:
        absorb(tape, recipe, state, i, mask)


@inner
def catch_up(tape: Tape, recipe: Recipe, state: State, lead: int, now: int, mask: int) -> None:
    """Make the state of a lead right as of now."""
    # It is, unless an event that happened was not yet recorded, or was left out last time.
    me = state.leads[lead]
    late = me.known >= now
    if not late and not me.stale:
        return
    forget(state, lead)
    count = 0
    i = me.arrived
    while i >= 0:
        state.rows[i].seen = UNSEEN
        if tape.known[i] < now:
            state.replay[count] = i
            count += 1
        i = state.rows[i].arrived_before
    for k in range(count - 1, -1, -1):
        absorb(tape, recipe, state, state.replay[k], mask)
    me.stale = 1 if late else 0


@inner
def absorb(tape: Tape, recipe: Recipe, state: State, i: int, mask: int) -> None:
    """Count an event that happened after every one absorbed before."""
    lead = tape.lead[i]
    time = tape.time[i]
    me = state.leads[lead]
    before = me.newest
    elapsed = 0 if before < 0 else time - tape.time[before]
    if before < 0:
        me.first = i
        me.first_day = state.rows[i].day
    else:
        me.longest_gap = max(me.longest_gap, elapsed)
    _count_day(state, lead, state.rows[i].day)
    _count_rhythm(state, lead, state.rows[i].hours)
    _count_session(recipe, state, lead, time, elapsed)
    for h in range(recipe.half_lives_us.size):
        state.intensity[lead, h] = 1.0 + faded(state.intensity[lead, h], float(elapsed), recipe.half_lives_us[h])
    _count_subjects(tape, recipe, state, i)
    slot = recipe.sum_slot[tape.type[i]]
    if slot >= 0:
        state.sums[lead, slot] += tape.value[i]
    state.rows[i].previous = before
    me.newest = i
    me.events += 1
    if recipe.assets and tape.asset[i] >= 0:
        _see_asset(tape, state, i, mask)


@inner
def _tell_day(tape: Tape, recipe: Recipe, state: State, i: int) -> None:
    low = 0
    high = recipe.zone_starts.size
    while low < high:
        middle = (low + high) // 2
        if recipe.zone_starts[middle] <= tape.time[i]:
            low = middle + 1
        else:
            high = middle
    local = tape.time[i] + recipe.zone_offsets[low]
    day = local // DAY_US
    state.rows[i].day = day
    if recipe.rhythm:
        hour = (local - day * DAY_US) // _HOUR_US
        weekend = (day + 3) % 7 >= 5  # the first day of 1970 was a Thursday
        working = not weekend and 8 <= hour < 18
        night = hour >= 22 or hour < 6
        state.rows[i].hours = working + 2 * weekend + 4 * night


@inner
def _count_day(state: State, lead: int, day: int) -> None:
    # A clock set back around midnight shows the end of a day again: that day is the one before the last.
    me = state.leads[lead]
    if day == me.last_day or day == me.day_before:
        return
    me.active_days += 1
    me.first_day = min(me.first_day, day)
    if day > me.last_day:
        me.day_before = me.last_day
        me.last_day = day
    else:
        me.day_before = day


@inner
def _count_rhythm(state: State, lead: int, hours: int) -> None:
    me = state.leads[lead]
    me.working += hours & 1
    me.weekend += hours >> 1 & 1
    me.night += hours >> 2


@inner
def _count_session(recipe: Recipe, state: State, lead: int, time: int, elapsed: int) -> None:
    me = state.leads[lead]
    if me.newest < 0 or elapsed > recipe.gap_us:
        me.sessions += 1
        me.session_start = time
        me.session_events = 1
        return
    me.session_events += 1
    me.session_time += elapsed
    me.longest_session = max(me.longest_session, time - me.session_start)


@inner
def _count_subjects(tape: Tape, recipe: Recipe, state: State, i: int) -> None:
    at = recipe.layout
    lead = tape.lead[i]
    kind = tape.type[i]
    if recipe.pair_then.size:
        _count_pairs(tape, recipe, state, i)
        if state.last[lead, kind] < tape.time[i]:
            state.before[lead, kind] = state.last[lead, kind]
    if recipe.type_intensity:
        _intensify(tape, recipe, state, i)
    _count(state, lead, kind, tape.time[i])
    if at.assets and tape.asset[i] >= 0:
        _count(state, lead, at.types + min(tape.asset[i], at.assets - 1), tape.time[i])
    if at.channels and tape.channel[i] >= 0:
        _count(state, lead, at.types + at.assets + tape.channel[i], tape.time[i])


@inner
def _count(state: State, lead: int, subject: int, time: int) -> None:
    state.counts[lead, subject] += 1.0
    state.last[lead, subject] = time


@inner
def _count_pairs(tape: Tape, recipe: Recipe, state: State, i: int) -> None:
    lead = tape.lead[i]
    for p in range(recipe.pair_then.size):
        if recipe.pair_then[p] == tape.type[i]:
            first = recipe.pair_first[p]
            time = state.last[lead, first]
            if time == tape.time[i]:  # not strictly earlier
                time = state.before[lead, first]
            if time != NEVER and tape.time[i] - time <= recipe.pair_us[p]:
                state.pair_counts[lead, p] += 1.0
                state.pair_last[lead, p] = tape.time[i]


@inner
def _intensify(tape: Tape, recipe: Recipe, state: State, i: int) -> None:
    lead = tape.lead[i]
    many = recipe.half_lives_us.size
    last = state.last[lead, tape.type[i]]
    elapsed = 0.0 if last == NEVER else float(tape.time[i] - last)
    for h in range(many):
        place = (1 + tape.type[i]) * many + h
        state.intensity[lead, place] = 1.0 + faded(state.intensity[lead, place], elapsed, recipe.half_lives_us[h])


@inner
def _see_asset(tape: Tape, state: State, i: int, mask: int) -> None:
    lead = tape.lead[i]
    asset = tape.asset[i]
    me = state.leads[lead]
    place = ((asset * 31 + lead) * 0x9E3779B1 >> 7) & mask
    other = state.table[place]
    while other >= 0 and (tape.asset[other] != asset or tape.lead[other] != lead):
        place = (place + 1) & mask
        other = state.table[place]
    row = state.rows[i]
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
