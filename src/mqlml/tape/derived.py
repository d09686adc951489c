"""What follows from a lead's own past besides the table of windows: recency, pace, hours, sessions, fields."""

from __future__ import annotations

import numpy as np

from mqlml.tape.arithmetic import days_since, faded
from mqlml.tape.compiling import inner
from mqlml.tape.lookback import MINUTE_US
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import DAY_US, NEVER, State, Tape


@inner
def derive(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    """Fill the panel behind the table of windows, which must stand already."""
    _recency(tape, recipe, state, lead, now)
    _intensity(tape, recipe, state, lead, now)
    _tracking(recipe, state)
    if recipe.assets:
        state.panel[recipe.layout.most] = state.leads[lead].most
    if recipe.journey:
        _journey(tape, recipe, state, lead)
    if recipe.sessions:
        _sessions(tape, recipe, state, lead)
    if recipe.momentum:
        _momentum(recipe, state)
    if recipe.pace:
        _pace(tape, recipe, state, lead, now)
    if recipe.rhythm:
        _rhythm(recipe, state, lead)
    _pairs(recipe, state, lead, now)


@inner
def tell_fields(recipe: Recipe, state: State, lead: int, now: int) -> None:
    """Fill in the values that the lead's fields and stage have, and how they came about."""
    at = recipe.layout
    for field in range(state.values.shape[1]):
        state.panel[at.fields + field] = state.values[lead, field]
        state.panel[at.entries + field] = state.entries[lead, field]
        state.panel[at.changed + field] = days_since(state.changed[lead, field], now)


@inner
def _recency(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    at = recipe.layout
    me = state.leads[lead]
    for k in range(at.subjects):
        state.panel[at.recency + k] = days_since(state.last[lead, k], now)
    last = NEVER if me.newest < 0 else tape.time[me.newest]
    first = NEVER if me.first < 0 else tape.time[me.first]
    state.panel[at.recency + at.subjects] = days_since(last, now)
    state.panel[at.first] = days_since(first, now)


@inner
def _intensity(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    at = recipe.layout
    many = recipe.half_lives_us.size
    newest = state.leads[lead].newest
    elapsed = 0.0 if newest < 0 else float(now - tape.time[newest])
    for h in range(many):
        state.panel[at.intensity + h] = faded(state.intensity[lead, h], elapsed, recipe.half_lives_us[h])
    for kind in range(at.types if recipe.type_intensity else 0):
        last = state.last[lead, kind]
        elapsed = 0.0 if last == NEVER else float(now - last)
        for h in range(many):
            place = (1 + kind) * many + h
            state.panel[at.intensity + place] = faded(state.intensity[lead, place], elapsed, recipe.half_lives_us[h])


@inner
def _tracking(recipe: Recipe, state: State) -> None:
    # 0: untracked, 1: silent, 2: active; the names are TRACKING_LEVELS.
    at = recipe.layout
    ever = state.panel[at.windows * at.stride + at.any]
    lately = state.panel[max(at.windows - 1, 0) * at.stride + at.any]
    state.panel[at.tracking] = 0.0 if ever == 0.0 else 1.0 if lately == 0.0 else 2.0


@inner
def _journey(tape: Tape, recipe: Recipe, state: State, lead: int) -> None:
    at = recipe.layout
    me = state.leads[lead]
    for k in range(4):
        state.panel[at.journey + k] = np.nan
    if me.newest < 0:
        return
    state.panel[at.journey] = tape.type[me.first]
    state.panel[at.journey + 1] = tape.type[me.newest]
    if tape.channel[me.first] >= 0:
        state.panel[at.journey + 2] = tape.channel[me.first]
    if tape.channel[me.newest] >= 0:
        state.panel[at.journey + 3] = tape.channel[me.newest]


@inner
def _sessions(tape: Tape, recipe: Recipe, state: State, lead: int) -> None:
    at = recipe.layout
    me = state.leads[lead]
    known = me.newest >= 0
    state.panel[at.session] = (tape.time[me.newest] - me.session_start) / MINUTE_US if known else np.nan
    state.panel[at.session + 1] = me.session_events if known else np.nan
    state.panel[at.session + 2] = me.longest_session / MINUTE_US if known else np.nan


@inner
def _momentum(recipe: Recipe, state: State) -> None:
    at = recipe.layout
    for w in range(at.windows - 1):
        short = state.panel[w * at.stride + at.any]
        rest = state.panel[(w + 1) * at.stride + at.any] - short
        length = recipe.windows_us[w]
        state.panel[at.momentum + w] = (short + 1.0) / (rest * length / (recipe.windows_us[w + 1] - length) + 1.0)


@inner
def _pace(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    at = recipe.layout
    me = state.leads[lead]
    for k in range(2):
        state.panel[at.silence + k] = np.nan
    for k in range(3):
        state.panel[at.tempo + k] = np.nan
    if me.newest < 0:
        return
    state.panel[at.tempo] = me.events / me.active_days
    state.panel[at.tempo + 2] = me.events / (max(days_since(tape.time[me.first], now), 7.0) / 7.0)
    if me.longest_gap >= 0:
        state.panel[at.silence + 1] = me.longest_gap / DAY_US
    if me.active_days > 1:
        between = (me.last_day - me.first_day) / (me.active_days - 1)
        state.panel[at.silence] = days_since(tape.time[me.newest], now) / between
        state.panel[at.tempo + 1] = between


@inner
def _rhythm(recipe: Recipe, state: State, lead: int) -> None:
    at = recipe.layout
    me = state.leads[lead]
    state.panel[at.rhythm] = me.working / me.events if me.events else np.nan
    state.panel[at.rhythm + 1] = me.weekend / me.events if me.events else np.nan
    state.panel[at.rhythm + 2] = me.night / me.events if me.events else np.nan


@inner
def _pairs(recipe: Recipe, state: State, lead: int, now: int) -> None:
    at = recipe.layout.pairs
    many = recipe.pair_then.size
    for p in range(many):
        state.panel[at + p] = state.pair_counts[lead, p]
        state.panel[at + many + p] = days_since(state.pair_last[lead, p], now)
