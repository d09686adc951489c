"""What a lead did in each window and in its whole past: the first table of the panel."""

from __future__ import annotations

from mqlml.tape.compiling import inner
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import LATEST, NEVER, NO_DAY, State, Tape

MINUTE_US = 60_000_000


@inner
def look_back(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    """Fill the table of windows for a lead whose state is right as of now."""
    at = recipe.layout
    for j in range(at.windows * at.stride):
        state.panel[j] = 0.0
    _walk_back(tape, recipe, state, lead, now)
    for j in range(at.stride, at.windows * at.stride):
        state.panel[j] += state.panel[j - at.stride]
    _whole_past(recipe, state, lead)
    if at.channels:
        _count_channels(recipe, state, lead, now)
    if recipe.sessions:
        for w in range(at.windows + 1):
            state.panel[w * at.stride + at.minutes] /= MINUTE_US


@inner
def _walk_back(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    # Over the longest window only, each event into the shortest window that holds it; the caller adds upwards.
    at = recipe.layout
    panel = state.panel
    w = 0
    day = NO_DAY
    day_before = NO_DAY
    i = state.leads[lead].newest
    while i >= 0:
        time = tape.time[i]
        while w < at.windows and now - time > recipe.windows_us[w]:
            w += 1
        if w == at.windows:
            return
        row = state.rows[i]
        start = w * at.stride
        panel[start + tape.type[i]] += 1.0
        panel[start + at.any] += 1.0
        slot = recipe.sum_slot[tape.type[i]]
        if slot >= 0:
            panel[start + at.sums + slot] += tape.value[i]
        if row.day != day and row.day != day_before:
            day_before = day
            day = row.day
            panel[start + at.days] += 1.0
        if recipe.assets and tape.asset[i] >= 0:
            panel[start + at.distinct_assets] += row.seen == LATEST
            panel[start + at.again] += row.uses > 1
        if at.assets and tape.asset[i] >= 0:
            panel[start + at.types + min(tape.asset[i], at.assets - 1)] += 1.0
        if at.channels and tape.channel[i] >= 0:
            panel[start + at.types + at.assets + tape.channel[i]] += 1.0
        if recipe.sessions:
            _join_session(tape, recipe, state, i, start)
        i = row.previous


@inner
def _join_session(tape: Tape, recipe: Recipe, state: State, i: int, start: int) -> None:
    before = state.rows[i].previous
    elapsed = recipe.gap_us + 1 if before < 0 else tape.time[i] - tape.time[before]
    if elapsed > recipe.gap_us:
        state.panel[start + recipe.layout.sessions] += 1.0
    else:
        state.panel[start + recipe.layout.minutes] += elapsed


@inner
def _whole_past(recipe: Recipe, state: State, lead: int) -> None:
    at = recipe.layout
    panel = state.panel
    me = state.leads[lead]
    start = at.windows * at.stride
    for k in range(at.subjects):
        panel[start + k] = state.counts[lead, k]
    panel[start + at.any] = me.events
    panel[start + at.days] = me.active_days
    panel[start + at.distinct_assets] = me.assets
    panel[start + at.again] = me.again
    panel[start + at.sessions] = me.sessions
    panel[start + at.minutes] = me.session_time
    for slot in range(at.stride - at.sums):
        panel[start + at.sums + slot] = state.sums[lead, slot]


@inner
def _count_channels(recipe: Recipe, state: State, lead: int, now: int) -> None:
    at = recipe.layout
    for w in range(at.windows + 1):
        state.panel[w * at.stride + at.distinct_channels] = 0.0
    for c in range(at.channels):
        last = state.last[lead, at.types + at.assets + c]
        if last == NEVER:
            continue
        state.panel[at.windows * at.stride + at.distinct_channels] += 1.0
        for w in range(at.windows):
            if now - last <= recipe.windows_us[w]:
                state.panel[w * at.stride + at.distinct_channels] += 1.0
