"""What all leads of an account did together, at a cost that grows with the facts and not with leads times facts.

A lead joins at its creation. From then on its events enter the totals when they are known: at once, or from a heap of
those still waiting. For each window a tail moves forward over the rows of the tape, one at a time, and what it passes
leaves the totals. At a mark a lead's own part is subtracted.
"""

from __future__ import annotations

from mqlml.tape.arithmetic import days_since, fill
from mqlml.tape.compiling import inner
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import NEVER, State, Tape


@inner
def begin_team(state: State, leads: int, start: int) -> None:
    """Forget the account before; ``start`` is the first row of this one."""
    team = state.team[0]
    team.colleagues = 0
    team.first_time = NEVER
    team.first_lead = -1
    team.second_time = NEVER
    team.last_time = NEVER
    team.last_lead = -1
    team.other_time = NEVER
    team.waiting = 0
    fill(state.team_events, 0.0)
    fill(state.team_active, 0.0)
    for k in range(2):
        fill(state.team_types[k], 0.0)
    fill(state.tails, start)
    for lead in range(leads):
        fill(state.team_counts[lead], 0)


@inner
def join(tape: Tape, state: State, i: int) -> None:
    """Let a lead be created; what it did before counts from now on."""
    lead = tape.lead[i]
    team = state.team[0]
    state.leads[lead].created = tape.time[i]
    team.colleagues += 1
    if team.first_lead < 0:
        team.first_time = tape.time[i]
        team.first_lead = lead
    elif team.second_time == NEVER:
        team.second_time = tape.time[i]
    row = state.leads[lead].arrived
    while row >= 0:
        hear(tape, state, row, tape.time[i])
        row = state.rows[row].arrived_before


@inner
def hear(tape: Tape, state: State, i: int, now: int) -> None:
    """Let an event that happened enter the totals, or wait until it is known."""
    if state.leads[tape.lead[i]].created == NEVER:
        return
    if tape.known[i] <= now:
        _enter(tape, state, i)
    else:
        _wait(tape, state, i)


@inner
def move_on(tape: Tape, recipe: Recipe, state: State, now: int) -> None:
    """Make the totals right as of now: events that are known by now enter, events that are too old leave."""
    team = state.team[0]
    while team.waiting > 0 and tape.known[state.heap[0]] < now:
        _enter(tape, state, _next_known(tape, state))
    for w in range(recipe.windows_us.size):
        oldest = now - recipe.windows_us[w]
        i = state.tails[w]
        while tape.time[i] < oldest:
            if state.rows[i].entered:
                _leave(tape, state, i, w)
            i += 1
        state.tails[w] = i


@inner
def tell_colleagues(recipe: Recipe, state: State, lead: int, now: int) -> None:
    """Fill the panel with what the colleagues of a lead did."""
    at = recipe.layout
    team = state.team[0]
    here = state.leads[lead].created != NEVER
    state.panel[at.colleagues] = team.colleagues - here
    first = team.second_time if here and team.first_lead == lead else team.first_time
    state.panel[at.first_colleague] = days_since(first, now)
    last = team.other_time if here and team.last_lead == lead else team.last_time
    state.panel[at.team_last] = days_since(last, now)
    for w in range(at.windows + 1):
        own = state.team_counts[lead, w]
        state.panel[at.team_events + w] = state.team_events[w] - own
        state.panel[at.team_active + w] = state.team_active[w] - (own > 0)
    if recipe.events:
        _tell_types(recipe, state, 1.0 if here else 0.0)


@inner
def _tell_types(recipe: Recipe, state: State, here: float) -> None:
    # The lead's own events are in the totals as soon as it is there; they stand in the table of windows.
    at = recipe.layout
    longest = max(at.windows - 1, 0) * at.stride
    ever = at.windows * at.stride
    for kind in range(at.types):
        state.panel[at.team_types + kind] = state.team_types[0, kind] - here * state.panel[longest + kind]
        state.panel[at.team_types + at.types + kind] = state.team_types[1, kind] - here * state.panel[ever + kind]


@inner
def _enter(tape: Tape, state: State, i: int) -> None:
    lead = tape.lead[i]
    windows = state.tails.size
    state.rows[i].entered = 1
    for w in range(windows + 1):
        if w == windows or i >= state.tails[w]:
            state.team_active[w] += state.team_counts[lead, w] == 0
            state.team_counts[lead, w] += 1
            state.team_events[w] += 1.0
            if w >= windows - 1:
                state.team_types[w - windows + 1, tape.type[i]] += 1.0
    _be_newest(tape, state, i)


@inner
def _leave(tape: Tape, state: State, i: int, w: int) -> None:
    lead = tape.lead[i]
    state.team_counts[lead, w] -= 1
    state.team_active[w] -= state.team_counts[lead, w] == 0
    state.team_events[w] -= 1.0
    if w == state.tails.size - 1:
        state.team_types[0, tape.type[i]] -= 1.0


@inner
def _be_newest(tape: Tape, state: State, i: int) -> None:
    team = state.team[0]
    time = tape.time[i]
    if tape.lead[i] == team.last_lead:
        team.last_time = max(team.last_time, time)
    elif time > team.last_time:
        team.other_time = team.last_time
        team.last_time = time
        team.last_lead = tape.lead[i]
    else:
        team.other_time = max(team.other_time, time)


@inner
def _wait(tape: Tape, state: State, i: int) -> None:
    team = state.team[0]
    place = team.waiting
    team.waiting += 1
    while place > 0 and tape.known[state.heap[(place - 1) // 2]] > tape.known[i]:
        state.heap[place] = state.heap[(place - 1) // 2]
        place = (place - 1) // 2
    state.heap[place] = i


@inner
def _next_known(tape: Tape, state: State) -> int:
    team = state.team[0]
    top = state.heap[0]
    team.waiting -= 1
    last = state.heap[team.waiting]
    place = 0
    while 2 * place + 1 < team.waiting:
        child = 2 * place + 1
        if child + 1 < team.waiting and tape.known[state.heap[child + 1]] < tape.known[state.heap[child]]:
            child += 1
        if tape.known[last] <= tape.known[state.heap[child]]:
            break
        state.heap[place] = state.heap[child]
        place = child
    state.heap[place] = last
    return int(top)
