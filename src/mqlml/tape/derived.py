"""What follows from a lead's own past besides the table of windows: recency, pace, hours, sessions, fields."""

from __future__ import annotations

import numpy as np

from mqlml.tape.arithmetic import days_since, faded
from mqlml.tape.compiling import inner
from mqlml.tape.layout import Layout
from mqlml.tape.lookback import MINUTE_US
from mqlml.tape.recipe import Recipe
from mqlml.tape.state import DAY_US, NEVER, Fields, Float64, Int64, Own, Records, State, Tape


@inner
def tell_fields(at: Layout, panel: Float64, fields: Fields, lead: int, now: int) -> None:
    """Fill in what the fields and the stage of a lead hold, and since when."""
    for field in range(at.entries - at.fields):
        panel[at.fields + field] = fields.values[lead, field]
        panel[at.entries + field] = fields.entries[lead, field]
        panel[at.changed + field] = days_since(fields.changed[lead, field], now)


@inner
def derive(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    """Fill the panel behind the table of windows, which must stand already."""
    at = recipe.layout
    panel = state.panel
    me = state.leads[lead]
    newest = NEVER if me.newest < 0 else tape.time[me.newest]
    first = NEVER if me.first < 0 else tape.time[me.first]
    for k in range(at.subjects):
        panel[at.recency + k] = days_since(state.own.last[lead, k], now)
    panel[at.recency + at.subjects] = days_since(newest, now)
    panel[at.first] = days_since(first, now)
    panel[at.most] = me.most
    panel[at.tracking] = _tracking(at, panel)
    _intensities(recipe, panel, state.own.intensity[lead], newest, state.own.last[lead], now)
    if recipe.momentum:
        _momentum(recipe, panel)
    if recipe.pace:
        _pace(at, panel, me, days_since(newest, now), days_since(first, now))
    if recipe.rhythm:
        _rhythm(at, panel, me)
    if recipe.sessions:
        _sessions(at, panel, me, newest)
    if recipe.journey:
        _journey(tape, at, panel, me)
    _pairs(recipe, panel, state.own, lead, now)


@inner
def _tracking(at: Layout, panel: Float64) -> float:
    # 0: untracked, 1: silent, 2: active; the names are TRACKING_LEVELS.
    if panel[at.windows * at.stride + at.any] == 0.0:
        return 0.0
    return 1.0 if panel[max(at.windows - 1, 0) * at.stride + at.any] == 0.0 else 2.0


@inner
def _intensities(recipe: Recipe, panel: Float64, intensity: Float64, newest: int, last: Int64, now: int) -> None:
    many = recipe.half_lives_us.size
    for block in range(intensity.size // many if many else 0):
        time = newest if block == 0 else last[block - 1]
        elapsed = 0.0 if time == NEVER else float(now - time)
        for h in range(many):
            place = block * many + h
            panel[recipe.layout.intensity + place] = faded(intensity[place], elapsed, recipe.half_lives_us[h])


@inner
def _momentum(recipe: Recipe, panel: Float64) -> None:
    at = recipe.layout
    for w in range(at.windows - 1):
        short = panel[w * at.stride + at.any]
        rest = panel[(w + 1) * at.stride + at.any] - short
        length = recipe.windows_us[w]
        panel[at.momentum + w] = (short + 1.0) / (rest * length / (recipe.windows_us[w + 1] - length) + 1.0)


@inner
def _pace(at: Layout, panel: Float64, me: Records, since_last: float, since_first: float) -> None:
    between = (me.last_day - me.first_day) / (me.active_days - 1) if me.active_days > 1 else np.nan
    panel[at.silence] = since_last / between
    panel[at.silence + 1] = me.longest_gap / DAY_US if me.longest_gap >= 0 else np.nan
    panel[at.tempo] = me.events / me.active_days if me.events else np.nan
    panel[at.tempo + 1] = between
    panel[at.tempo + 2] = me.events / (max(since_first, 7.0) / 7.0) if me.events else np.nan


@inner
def _rhythm(at: Layout, panel: Float64, me: Records) -> None:
    panel[at.rhythm] = me.working / me.events if me.events else np.nan
    panel[at.rhythm + 1] = me.weekend / me.events if me.events else np.nan
    panel[at.rhythm + 2] = me.night / me.events if me.events else np.nan


@inner
def _sessions(at: Layout, panel: Float64, me: Records, newest: int) -> None:
    panel[at.session] = (newest - me.session_start) / MINUTE_US if me.events else np.nan
    panel[at.session + 1] = me.session_events if me.events else np.nan
    panel[at.session + 2] = me.longest_session / MINUTE_US if me.events else np.nan


@inner
def _journey(tape: Tape, at: Layout, panel: Float64, me: Records) -> None:
    panel[at.journey] = tape.type[me.first] if me.events else np.nan
    panel[at.journey + 1] = tape.type[me.newest] if me.events else np.nan
    panel[at.journey + 2] = tape.channel[me.first] if me.events and tape.channel[me.first] >= 0 else np.nan
    panel[at.journey + 3] = tape.channel[me.newest] if me.events and tape.channel[me.newest] >= 0 else np.nan


@inner
def _pairs(recipe: Recipe, panel: Float64, own: Own, lead: int, now: int) -> None:
    start = recipe.layout.pairs
    many = recipe.pair_then.size
    for p in range(many):
        panel[start + p] = own.pair_counts[lead, p]
        panel[start + many + p] = days_since(own.pair_last[lead, p], now)
