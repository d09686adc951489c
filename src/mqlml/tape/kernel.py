"""The kernel: plays a tape forward once and writes a row at every mark from what it has already seen.

A tape is a list of rows ordered by ``(key, time, kind, lead, type, asset, channel, value)``. A mark stands before the
facts of its own microsecond, so a row can hold only facts strictly before it: the future cannot leak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

from mqlml.tape.features import OTHER, FeatureSet
from mqlml.tape.state import Float64, Recipe, State, Tape, new_state, table_size

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., object])

_njit: Any = numba.njit  # its type hints do not know `_nrt` and the wrappers
# No function here allocates: without reference counts (`_nrt`) the kernel runs six times faster. Without the wrappers
# for callers in C or Python it compiles in half the time.
_OPTIONS = {"fastmath": False, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}


def _compiled(function: F) -> F:
    try:
        return cast("F", _njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # nowhere to keep compiled code: neither package, home nor NUMBA_CACHE_DIR can be written
        return cast("F", _njit(**_OPTIONS)(function))


def _inner(function: F) -> F:
    return cast("F", _njit(no_cpython_wrapper=True, **_OPTIONS)(function))


MARK, EVENT, CHANGE, CREATED, SKIPPED = 0, 1, 2, 3, 4
DAY_US = 86_400_000_000
# A value held "from the beginning" stands here: before every moment, and far enough from the end of int64.
BEGINNING_US = -(2**62)
_NEVER = -(2**63)
_UNSEEN, _LATEST, _SUPERSEDED = 0, 1, 2
_LN2 = float(np.log(2.0))


def recipe_of(features: FeatureSet) -> Recipe:
    """Translate a feature set for the kernel; ``width`` is the length of the rows it will write."""
    names = (*features.event_types, OTHER)
    slots = [features.valued_types.index(name) if name in features.valued_types else -1 for name in names]
    return Recipe(
        windows_us=np.array(features.windows_days, dtype=np.int64) * DAY_US,
        half_lives_us=np.array(features.half_lives_days, dtype=np.float64) * DAY_US,
        sum_slot=np.array(slots, dtype=np.int32),
        named_types=len(features.named_types),
        first_long_window=len(features.windows_days) - len(features.long_windows_days),
        assets=features.assets,
        fields=len(features.history_attributes),
        width=len(features.history_attributes) + len(features.event_features),
    )


def play(tape: Tape, recipe: Recipe) -> Float64:
    """Play a tape of whole keys.

    Parameters
    ----------
    tape : Tape
        Sorted; no key may continue in another tape.
    recipe : Recipe

    Returns
    -------
    ndarray of shape (marks of the tape, recipe.width)
        Rows in tape order: the history attributes, then the event features in the feature set's order.
        NaN: never, or not supplied.
    """
    marks = int(np.count_nonzero(tape.kind == MARK))
    rows = np.empty((marks, recipe.width))
    if marks:
        _play(tape, recipe, new_state(tape, recipe), rows)
    return rows


@_compiled
def _play(tape: Tape, recipe: Recipe, state: State, rows: Float64) -> None:
    row = 0
    mask = 0
    for i in range(tape.key.size):
        if i == 0 or tape.key[i] != tape.key[i - 1]:
            mask = _begin_key(tape, recipe, state, i)
        lead = tape.lead[i]
        if tape.kind[i] == MARK:
            _catch_up(tape, recipe, state, lead, tape.time[i], mask)
            _write(tape, recipe, state, lead, tape.time[i], rows[row])
            row += 1
        elif tape.kind[i] == EVENT:
            state.arrived_before[i] = state.arrived[lead]
            state.arrived[lead] = i
            state.known[lead] = max(state.known[lead], tape.known[i])
            if not state.stale[lead]:
                _absorb(tape, recipe, state, i, mask)
        elif tape.kind[i] == CHANGE:
            state.fields[lead, tape.type[i]] = tape.value[i]


@_inner
def _begin_key(tape: Tape, recipe: Recipe, state: State, start: int) -> int:
    leads = 0
    end = start
    while end < tape.key.size and tape.key[end] == tape.key[start]:
        leads = max(leads, tape.lead[end] + 1)
        end += 1
    for lead in range(leads):
        _forget(recipe, state, lead)
        _fill(state.fields[lead], np.nan)
        state.arrived[lead] = -1
        state.known[lead] = _NEVER
        state.stale[lead] = 0
    size = _table_size(end - start)
    for place in range(size):
        state.table[place] = -1
    return size - 1


@_inner
def _catch_up(tape: Tape, recipe: Recipe, state: State, lead: int, now: int, mask: int) -> None:
    # The running state is right unless an event that happened was not yet recorded, or was left out last time.
    late = state.known[lead] >= now
    if not late and not state.stale[lead]:
        return
    _forget(recipe, state, lead)
    count = 0
    i = state.arrived[lead]
    while i >= 0:
        state.seen[i] = _UNSEEN
        if tape.known[i] < now:
            state.replay[count] = i
            count += 1
        i = state.arrived_before[i]
    for k in range(count - 1, -1, -1):
        _absorb(tape, recipe, state, state.replay[k], mask)
    state.stale[lead] = 1 if late else 0


@_inner
def _forget(recipe: Recipe, state: State, lead: int) -> None:
    state.newest[lead] = -1
    _fill(state.counts[lead], 0.0)
    _fill(state.sums[lead], 0.0)
    for kind in range(recipe.sum_slot.size):
        state.last[lead, kind] = _NEVER
    state.first[lead] = _NEVER
    state.active_days[lead] = 0.0
    state.assets[lead] = 0.0
    _fill(state.intensity[lead], 0.0)


@_inner
def _absorb(tape: Tape, recipe: Recipe, state: State, i: int, mask: int) -> None:
    lead = tape.lead[i]
    time = tape.time[i]
    before = state.newest[lead]
    if before < 0:
        state.first[lead] = time
    if before < 0 or _day(tape.time[before]) != _day(time):
        state.active_days[lead] += 1.0
    elapsed = 0.0 if before < 0 else float(time - tape.time[before])
    for h in range(recipe.half_lives_us.size):
        state.intensity[lead, h] = 1.0 + _faded(state.intensity[lead, h], elapsed, recipe.half_lives_us[h])
    state.counts[lead, tape.type[i]] += 1.0
    state.last[lead, tape.type[i]] = time
    slot = recipe.sum_slot[tape.type[i]]
    if slot >= 0:
        state.sums[lead, slot] += tape.value[i]
    state.previous[i] = before
    state.newest[lead] = i
    if recipe.assets and tape.asset[i] >= 0:
        _see_asset(tape, state, i, mask)


@_inner
def _faded(intensity: float, elapsed: float, half_life: float) -> float:
    return intensity * np.exp(-elapsed * _LN2 / half_life) if elapsed > 0.0 else intensity


@_inner
def _see_asset(tape: Tape, state: State, i: int, mask: int) -> None:
    lead = tape.lead[i]
    asset = tape.asset[i]
    place = ((asset * 31 + lead) * 0x9E3779B1 >> 7) & mask
    other = state.table[place]
    while other >= 0 and (tape.asset[other] != asset or tape.lead[other] != lead):
        place = (place + 1) & mask
        other = state.table[place]
    if other >= 0 and state.seen[other] == _LATEST:
        state.seen[other] = _SUPERSEDED
    else:
        state.assets[lead] += 1.0
    state.table[place] = i
    state.seen[i] = _LATEST


@_inner
def _write(tape: Tape, recipe: Recipe, state: State, lead: int, now: int, row: Float64) -> None:
    for field in range(recipe.fields):
        row[field] = state.fields[lead, field]
    if recipe.named_types == 0:
        return
    _look_back(tape, recipe, state, lead, now)
    at = _write_any(tape, recipe, state, lead, now, row, recipe.fields)
    windows = recipe.windows_us.size
    for kind in range(recipe.named_types):
        for w in range(windows):
            row[at + w] = state.window_counts[w, kind]
        row[at + windows] = state.counts[lead, kind]
        row[at + windows + 1] = _days_since(state.last[lead, kind], now)
        at += windows + 2
        slot = recipe.sum_slot[kind]
        if slot >= 0:
            for w in range(recipe.first_long_window, windows):
                row[at] = state.window_sums[w, slot]
                at += 1
            row[at] = state.sums[lead, slot]
            at += 1


@_inner
def _write_any(tape: Tape, recipe: Recipe, state: State, lead: int, now: int, row: Float64, at: int) -> int:
    windows = recipe.windows_us.size
    for w in range(windows):
        row[at + w] = _total(state.window_counts[w])
        row[at + windows + 1 + w] = state.window_days[w]
    row[at + windows] = _total(state.counts[lead])
    row[at + 2 * windows + 1] = state.active_days[lead]
    at += 2 * windows + 2
    if recipe.assets:
        for w in range(recipe.first_long_window, windows):
            row[at] = state.window_assets[w]
            at += 1
        row[at] = state.assets[lead]
        at += 1
    newest = state.newest[lead]
    last = _NEVER if newest < 0 else tape.time[newest]
    row[at] = _days_since(last, now)
    row[at + 1] = _days_since(state.first[lead], now)
    for h in range(recipe.half_lives_us.size):
        elapsed = 0.0 if newest < 0 else float(now - last)
        row[at + 2 + h] = _faded(state.intensity[lead, h], elapsed, recipe.half_lives_us[h])
    return at + 2 + recipe.half_lives_us.size


@_inner
def _look_back(tape: Tape, recipe: Recipe, state: State, lead: int, now: int) -> None:
    # Walks back over the longest window only, each event into the shortest window that holds it, then adds upwards.
    windows = recipe.windows_us.size
    for w in range(windows):
        _fill(state.window_counts[w], 0.0)
        _fill(state.window_sums[w], 0.0)
        state.window_days[w] = 0.0
        state.window_assets[w] = 0.0
    w = 0
    day = _NEVER
    i = state.newest[lead]
    while i >= 0:
        while w < windows and now - tape.time[i] > recipe.windows_us[w]:
            w += 1
        if w == windows:
            break
        kind = tape.type[i]
        state.window_counts[w, kind] += 1.0
        if recipe.sum_slot[kind] >= 0:
            state.window_sums[w, recipe.sum_slot[kind]] += tape.value[i]
        if _day(tape.time[i]) != day:
            day = _day(tape.time[i])
            state.window_days[w] += 1.0
        if state.seen[i] == _LATEST:
            state.window_assets[w] += 1.0
        i = state.previous[i]
    for w in range(1, windows):
        _add(state.window_counts[w], state.window_counts[w - 1])
        _add(state.window_sums[w], state.window_sums[w - 1])
        state.window_days[w] += state.window_days[w - 1]
        state.window_assets[w] += state.window_assets[w - 1]


@_inner
def _days_since(time: int, now: int) -> float:
    return np.nan if time == _NEVER else float(now - time) / DAY_US


@_inner
def _fill(row: Float64, value: float) -> None:
    for j in range(row.size):
        row[j] = value


@_inner
def _add(row: Float64, other: Float64) -> None:
    for j in range(row.size):
        row[j] += other[j]


@_inner
def _total(row: Float64) -> float:
    total = 0.0
    for j in range(row.size):
        total += row[j]
    return total


@_inner
def _day(time: int) -> int:
    return time // DAY_US


_table_size = _inner(table_size)
