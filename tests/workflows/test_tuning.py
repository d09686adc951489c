"""Tuning is asked for in the settings, told in the notes, and never in the way."""

from __future__ import annotations

import numpy as np
import pytest
from learning.simulated import FEATURES, Simulated, simulate
from learning.worlds import configured

from mqlml.learning.recipe import Recipe
from mqlml.learning.windows import plan_windows
from mqlml.workflows.preparing import Prepared
from mqlml.workflows.tuning import tune_trees

RECIPE = Recipe(3, 2, 1)


class Counted:
    """Remembers what was begun and how many parts were done."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int | None]] = []
        self.done = 0

    def begin(self, text: str, total: int | None = None) -> None:
        self.begun.append((text, total))

    def advance(self) -> None:
        self.done += 1


def prepared(data: Simulated) -> Prepared:
    return Prepared(data.rows, plan_windows(data.rows, origins=4, seed=3), FEATURES, data.table)


def test_tune_trees_when_asked_for_then_it_tells_what_came_of_it() -> None:
    progress = Counted()
    ready = prepared(simulate("many weak", seed=3, won=1_500, lost=1_500))
    found, told = tune_trees(ready, configured(model={"tune": 2}), RECIPE, progress)
    assert found is not None
    assert (found.asked, found.trials, progress.done) == (2, 2, 2)
    assert progress.begun[-1] == ("Tuning", 2)
    assert told == [found.sentence]
    assert np.isfinite([found.before, found.after, *found.searched]).all()
    assert found.to_dict()["trials"] == 2


def test_tune_trees_when_wins_are_few_then_it_says_why_not() -> None:
    ready = prepared(simulate("many weak", seed=3, won=200, lost=200))
    found, told = tune_trees(ready, configured(model={"tune": 2}), RECIPE, Counted())
    assert found is None
    (note,) = told
    assert note.startswith("Not tuned: before the first window whose figures are reported there are too few won leads")


def test_tune_trees_when_not_asked_for_then_nothing_is_done() -> None:
    ready = prepared(simulate("many weak", seed=3, won=200, lost=200))
    progress = Counted()
    assert tune_trees(ready, configured(), RECIPE, progress) == (None, [])
    assert progress.begun == []


@pytest.mark.parametrize("model", [{"tune": -1}, {"tune": 2.5}, {"tune_minutes": 0}])
def test_settings_when_a_budget_makes_no_sense_then_they_are_refused(model: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="tune"):
        configured(model=model)
