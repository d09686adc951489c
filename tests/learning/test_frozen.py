"""Without refit the shipped model is the one that predicted the windows kept aside, and knows nothing of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from learning.simulated import FEATURES, simulate

from mqlml.learning.labels import Rows
from mqlml.learning.recipe import Recipe
from mqlml.learning.training import Training, train_model
from mqlml.learning.windows import Plan, plan_windows

DATA = simulate("many weak", seed=3, won=400, lost=400)
PLAN = plan_windows(DATA.rows, origins=3, seed=3, refit=False)


def train(rows: Rows, plan: Plan = PLAN) -> Training:
    return train_model(DATA.table, rows, FEATURES, plan, recipe=Recipe(3, 2, 1), min_leads=20)


def test_train_model_when_not_refitted_then_outcomes_of_windows_kept_aside_change_nothing_in_it() -> None:
    aside = np.logical_or.reduce([r.test for r in PLAN.frozen])
    one, other = train(DATA.rows), train(replace(DATA.rows, won=np.where(aside, 1 - DATA.rows.won, DATA.rows.won)))
    assert one.model.to_parts() == other.model.to_parts()
    np.testing.assert_array_equal(one.tested.p[one.tested.own], other.tested.p[other.tested.own])


def test_train_model_when_not_refitted_then_the_tests_are_of_the_shipped_model_itself() -> None:
    done = train(DATA.rows)
    tested, model = done.tested, done.model
    own = tested.own
    assert set(tested.part[own]) == {"certify", "compare", "test"}
    again = model.probability(DATA.table.take(tested.row[own]))
    np.testing.assert_allclose(tested.p[own], again, rtol=1e-12)


def test_train_model_when_refitted_then_grades_are_places_among_the_chances_given_at_the_time() -> None:
    done = train(DATA.rows, plan_windows(DATA.rows, origins=3, seed=3))
    assert done.tested.own.all()
    expected = np.quantile(done.tested.p, np.linspace(0, 1, done.model.reference.size))
    np.testing.assert_array_equal(done.model.reference, expected)
