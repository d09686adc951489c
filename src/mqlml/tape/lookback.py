"""What a lead did in each window and in its whole past: the first table of the panel."""

from __future__ import annotations

from mqlml.tape.compiling import inner
from mqlml.tape.layout import Layout
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import LATEST, NEVER, NO_DAY, Float64, Int64, Own, Records, State, Tape

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
    _whole_past(at, state.panel, state.leads[lead], state.own, lead)
    if at.channels:
        _count_channels(recipe, state.panel, state.own.last[lead], now)
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
            before = row.previous
            elapsed = recipe.gap_us + 1 if before < 0 else time - tape.time[before]
            if elapsed > recipe.gap_us:
                panel[start + at.sessions] += 1.0
            else:
                panel[start + at.minutes] += elapsed
        i = row.previous


@inner
def _whole_past(at: Layout, panel: Float64, me: Records, own: Own, lead: int) -> None:
    start = at.windows * at.stride
    for k in range(at.subjects):
        panel[start + k] = own.counts[lead, k]
    panel[start + at.any] = me.events
    panel[start + at.days] = me.active_days
    panel[start + at.distinct_assets] = me.assets
    panel[start + at.again] = me.again
    panel[start + at.sessions] = me.sessions
    panel[start + at.minutes] = me.session_time
    for slot in range(at.stride - at.sums):
        panel[start + at.sums + slot] = own.sums[lead, slot]


@inner
def _count_channels(recipe: Recipe, panel: Float64, last: Int64, now: int) -> None:
    # A channel was used in a window if it was last used in it.
    at = recipe.layout
    for w in range(at.windows + 1):
        panel[w * at.stride + at.distinct_channels] = 0.0
    for c in range(at.types + at.assets, at.subjects):
        if last[c] == NEVER:
            continue
        panel[at.windows * at.stride + at.distinct_channels] += 1.0
        for w in range(at.windows):
            panel[w * at.stride + at.distinct_channels] += now - last[c] <= recipe.windows_us[w]
