"""Tuning sees nothing of the windows that a training reports, and tests the trees as a training would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from learning.simulated import FEATURES, simulate

from mqlml.learning.hyperparameters import Hyperparameters
from mqlml.learning.labels import Rows
from mqlml.learning.recipe import Recipe
from mqlml.learning.tuning import tune
from mqlml.learning.tuning_tests import ForwardTests, plan_tests
from mqlml.learning.windows import plan_windows

pytestmark = pytest.mark.long

DATA = simulate("many weak", seed=3, won=1_500, lost=1_500)
PLAN = plan_windows(DATA.rows, origins=4, seed=3)
RECIPE = Recipe(3, 5, 1)
FIRST = min(r.origin for r in PLAN.rounds if r.part == "certify" and r.origin is not None)


def forward_tests(rows: Rows) -> tuple[ForwardTests, ForwardTests] | str:
    return plan_tests(DATA.table, rows, FEATURES, PLAN, recipe=RECIPE, min_leads=20)


@pytest.fixture(scope="module")
def planned() -> tuple[ForwardTests, ForwardTests]:
    found = forward_tests(DATA.rows)
    assert not isinstance(found, str)
    return found


def test_plan_tests_when_later_outcomes_are_turned_round_then_nothing_changes(
    planned: tuple[ForwardTests, ForwardTests],
) -> None:
    later = DATA.rows.known > FIRST
    assert later.mean() > 0.3
    turned = forward_tests(replace(DATA.rows, won=np.where(later, 1 - DATA.rows.won, DATA.rows.won)))
    assert not isinstance(turned, str)
    for one, other in zip(planned, turned, strict=True):
        a, b = one.losses(Hyperparameters()), other.losses(Hyperparameters())
        np.testing.assert_array_equal(a.loss, b.loss)
        np.testing.assert_array_equal(a.group, b.group)


def test_plan_tests_when_planned_then_the_check_is_newer_than_the_search(
    planned: tuple[ForwardTests, ForwardTests],
) -> None:
    early, late = ([t.scored.round.origin for t in one.tests] for one in planned)
    assert max(o for o in early if o is not None) < min(o for o in late if o is not None)
    assert max(o for o in late if o is not None) < FIRST


def test_losses_when_trees_are_cut_down_then_the_chances_change(planned: tuple[ForwardTests, ForwardTests]) -> None:
    searched, _ = planned
    stumps = searched.losses(Hyperparameters(num_leaves=2, lambda_l2=100.0)).loss
    assert np.abs(stumps - searched.losses(Hyperparameters()).loss).max() > 1e-4


def test_tune_when_run_on_forward_tests_twice_then_the_same_is_found(
    planned: tuple[ForwardTests, ForwardTests],
) -> None:
    searched, unseen = planned
    runs = [tune(searched.losses, unseen.losses, trials=2, minutes=None, seed=1) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].searched[1] <= runs[0].searched[0]


def test_plan_tests_when_wins_are_few_then_it_says_so() -> None:
    small = simulate("many weak", seed=3, won=300, lost=300)
    plan = plan_windows(small.rows, origins=4, seed=3)
    found = plan_tests(small.table, small.rows, FEATURES, plan, recipe=RECIPE, min_leads=20)
    assert isinstance(found, str)
    assert "too few" in found


def test_plan_tests_when_there_is_no_time_then_it_says_so() -> None:
    rows = replace(DATA.rows, timing="none")
    found = plan_tests(DATA.table, rows, FEATURES, plan_windows(rows, origins=4, seed=3), recipe=RECIPE, min_leads=20)
    assert isinstance(found, str)
    assert "forward" in found
