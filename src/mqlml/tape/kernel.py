"""The kernel: plays a tape forward once and writes a row at every mark from what it has already seen.

A tape is a list of rows ordered by ``(key, time, kind, lead, type, asset, channel, value, known)``. A mark stands
before the facts of its own microsecond, so a row can hold only facts strictly before it: the future cannot leak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqlml.tape.colleagues import act, begin_team, join, move_on, tell_colleagues
from mqlml.tape.compiling import compiled, fingerprint, inner
from mqlml.tape.derived import derive, tell_fields
from mqlml.tape.lead_state import arrive, begin_lead, catch_up, change
from mqlml.tape.lookback import look_back
from mqlml.tape.recipe import Recipe, recipe_of
from mqlml.tape.state import (
    BEGINNING_US,
    CHANGE,
    CREATED,
    DAY_US,
    EVENT,
    MARK,
    SKIPPED,
    Float64,
    State,
    Tape,
    new_state,
    table_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BEGINNING_US", "CHANGE", "CREATED", "DAY_US", "EVENT", "MARK", "SKIPPED", "play", "recipe_of"]

_MODULES = ("arithmetic", "colleagues", "compiling", "derived", "kernel", "lead_state", "lookback", "state")


def play(tape: Tape, recipe: Recipe) -> Float64:
    """Play a tape of whole keys.

    Parameters
    ----------
    tape : Tape
        Sorted; no key may continue in another tape. Rows of the kind ``SKIPPED`` are passed over.
    recipe : Recipe

    Returns
    -------
    ndarray of shape (marks of the tape, recipe.width)
        Rows in tape order: the features that the tape feeds, in the feature set's order. NaN: never, or not supplied.
        Categories are codes.
    """
    marks = int(np.count_nonzero(tape.kind == MARK))
    rows = np.empty((marks, recipe.width))
    if marks:
        _play(tape, recipe, new_state(tape, recipe), rows)
    return rows


def _player(source: int) -> Callable[[Tape, Recipe, State, Float64], None]:
    def play_rows(tape: Tape, recipe: Recipe, state: State, rows: Float64) -> None:
        mask = 0
        row = source - source  # see `fingerprint`: the function must hold the number, and does nothing with it
        for i in range(tape.key.size):
            if i == 0 or tape.key[i] != tape.key[i - 1]:
                mask = _begin_key(tape, recipe, state, i)
            kind = tape.kind[i]
            if kind == EVENT:
                arrive(tape, state, i)
                if recipe.accounts:
                    act(tape, state, i)
            elif kind == MARK:
                _mark(tape, recipe, state, i, mask)
                for j in range(recipe.source.size):
                    rows[row, j] = state.panel[recipe.source[j]]
                row += 1
            elif kind == CHANGE:
                change(tape, state.fields, i)
            elif kind == CREATED and recipe.accounts:
                join(tape, state, i)

    return compiled(play_rows)


@inner
def _begin_key(tape: Tape, recipe: Recipe, state: State, start: int) -> int:
    leads = 0
    end = start
    while end < tape.key.size and tape.key[end] == tape.key[start]:
        leads = max(leads, tape.lead[end] + 1)
        end += 1
    for lead in range(leads):
        begin_lead(state, lead)
    if recipe.accounts:
        begin_team(state.team, leads, start)
    if not recipe.assets:
        return 0
    size = _table_size(end - start)
    for place in range(size):
        state.table[place] = -1
    return size - 1


@inner
def _mark(tape: Tape, recipe: Recipe, state: State, i: int, mask: int) -> None:
    lead = tape.lead[i]
    now = tape.time[i]
    tell_fields(recipe.layout, state.panel, state.fields, lead, now)
    if recipe.events:
        catch_up(tape, recipe, state, lead, now, mask)
        look_back(tape, recipe, state, lead, now)
        derive(tape, recipe, state, lead, now)
    if recipe.accounts:
        move_on(tape, recipe, state, now)
        tell_colleagues(recipe, state, lead, now)


_table_size = inner(table_size)
_play = _player(fingerprint(*_MODULES))
