"""What all leads of an account did together, at a cost that grows with the facts and not with leads times facts.

A lead joins at its creation. From then on its events enter the totals when they are known: at once, or from a heap of
those still waiting. For each window a tail moves forward over the rows of the tape, one at a time, and what it passes
leaves the totals. At a mark a lead's own part is subtracted.
"""

from __future__ import annotations

import numpy as np

from mqlml.tape.arithmetic import days_since, fill
from mqlml.tape.compiling import inner
from mqlml.tape.layout import Layout
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import NEVER, Float64, Int32, Int64, Records, State, Tape, Team

Row = int | np.int64


@inner
def begin_team(team: Team, leads: int, start: int) -> None:
    """Forget the account before; ``start`` is the first row of this one."""
    facts = team.facts[0]
    facts.colleagues = 0
    facts.first_time = NEVER
    facts.first_lead = -1
    facts.second_time = NEVER
    facts.last_time = NEVER
    facts.last_lead = -1
    facts.other_time = NEVER
    facts.waiting = 0
    fill(team.events, 0.0)
    fill(team.active, 0.0)
    fill(team.types[0], 0.0)
    fill(team.types[1], 0.0)
    fill(team.tails, start)
    for lead in range(leads):
        fill(team.counts[lead], 0)


@inner
def join(tape: Tape, state: State, i: int) -> None:
    """Let a lead be created; what it did before counts from now on."""
    facts = state.team.facts[0]
    me = state.leads[tape.lead[i]]
    me.created = tape.time[i]
    facts.colleagues += 1
    if facts.first_lead < 0:
        facts.first_time = tape.time[i]
        facts.first_lead = tape.lead[i]
    elif facts.second_time == NEVER:
        facts.second_time = tape.time[i]
    row = np.int64(me.arrived)
    while row >= 0:
        _hear(tape, state.rows, state.team, row, tape.time[i])
        row = np.int64(state.rows[row].arrived_before)


@inner
def act(tape: Tape, state: State, i: int) -> None:
    """Let an event of a lead that was created enter the totals, or wait until it is known."""
    if state.leads[tape.lead[i]].created != NEVER:
        _hear(tape, state.rows, state.team, i, tape.time[i])


@inner
def move_on(tape: Tape, recipe: Recipe, state: State, now: int) -> None:
    """Make the totals right as of now: events that are known by now enter, events that are too old leave."""
    team = state.team
    facts = team.facts[0]
    while facts.waiting > 0 and tape.known[team.heap[0]] < now:
        i = np.int64(team.heap[0])
        facts.waiting -= 1
        _sink(tape.known, team.heap, team.heap[facts.waiting], facts.waiting)
        _enter(tape, state.rows, team, i)
    for w in range(recipe.windows_us.size):
        oldest = now - recipe.windows_us[w]
        i = team.tails[w]
        while tape.time[i] < oldest:
            if state.rows[i].entered:
                _leave(tape, team, i, w)
            i += 1
        team.tails[w] = i


@inner
def tell_colleagues(recipe: Recipe, state: State, lead: int, now: int) -> None:
    """Fill the panel with what the colleagues of a lead did."""
    at = recipe.layout
    panel = state.panel
    team = state.team
    facts = team.facts[0]
    here = state.leads[lead].created != NEVER
    panel[at.colleagues] = facts.colleagues - here
    first = facts.second_time if here and facts.first_lead == lead else facts.first_time
    panel[at.first_colleague] = days_since(first, now)
    last = facts.other_time if here and facts.last_lead == lead else facts.last_time
    panel[at.team_last] = days_since(last, now)
    for w in range(at.windows + 1):
        own = team.counts[lead, w]
        panel[at.team_events + w] = team.events[w] - own
        panel[at.team_active + w] = team.active[w] - (own > 0)
    if recipe.events:
        _tell_types(at, panel, team.types, 1.0 if here else 0.0)


@inner
def _tell_types(at: Layout, panel: Float64, types: Float64, here: float) -> None:
    # The lead's own events are in the totals as soon as it is there; they stand in the table of windows.
    longest = max(at.windows - 1, 0) * at.stride
    ever = at.windows * at.stride
    for kind in range(at.types):
        panel[at.team_types + kind] = types[0, kind] - here * panel[longest + kind]
        panel[at.team_types + at.types + kind] = types[1, kind] - here * panel[ever + kind]


@inner
def _hear(tape: Tape, rows: Records, team: Team, i: Row, now: int) -> None:
    if tape.known[i] <= now:
        _enter(tape, rows, team, i)
    else:
        _rise(tape.known, team.heap, i, team.facts[0].waiting)
        team.facts[0].waiting += 1


@inner
def _enter(tape: Tape, rows: Records, team: Team, i: Row) -> None:
    lead = tape.lead[i]
    windows = team.tails.size
    rows[i].entered = 1
    for w in range(windows + 1):
        if w == windows or i >= team.tails[w]:
            team.active[w] += team.counts[lead, w] == 0
            team.counts[lead, w] += 1
            team.events[w] += 1.0
            if w >= windows - 1:
                team.types[w - windows + 1, tape.type[i]] += 1.0
    facts = team.facts[0]
    time = tape.time[i]
    if lead == facts.last_lead:
        facts.last_time = max(facts.last_time, time)
    elif time > facts.last_time:
        facts.other_time = facts.last_time
        facts.last_time = time
        facts.last_lead = lead
    else:
        facts.other_time = max(facts.other_time, time)


@inner
def _leave(tape: Tape, team: Team, i: Row, w: int) -> None:
    lead = tape.lead[i]
    team.counts[lead, w] -= 1
    team.active[w] -= team.counts[lead, w] == 0
    team.events[w] -= 1.0
    if w == team.tails.size - 1:
        team.types[0, tape.type[i]] -= 1.0


@inner
def _rise(known: Int64, heap: Int32, i: Row, place: int) -> None:
    """Put an event into a heap of so many."""
    while place > 0 and known[heap[(place - 1) // 2]] > known[i]:
        heap[place] = heap[(place - 1) // 2]
        place = (place - 1) // 2
    heap[place] = i


@inner
def _sink(known: Int64, heap: Int32, i: Row, size: int) -> None:
    """Put an event in the place of the top of a heap of so many."""
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and known[heap[child + 1]] < known[heap[child]]:
            child += 1
        if known[i] <= known[heap[child]]:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = i
