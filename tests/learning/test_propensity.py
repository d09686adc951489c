"""Both halves of the model and their blend, on data whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mqlml.learning.calibration import fit_calibrator
from mqlml.learning.logistic import Logistic, fit_logistic
from mqlml.learning.propensity import Blend, Halves, best_weight, fit_blend
from mqlml.learning.recipe import Recipe


def made(n: int, *, seed: int = 0, curved: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 6))
    z = 3.0 * (np.abs(x[:, 0]) - 1.2) if curved else x[:, 0] - 0.5 * x[:, 1] - 1.5
    return x, (generator.random(n) < expit(z)).astype(float)


def blend_of(x: np.ndarray, won: np.ndarray, **changes: int) -> Blend:
    n = np.arange(len(won))
    recipe = Recipe(**{"seed": 0, "bags": 3, "threads": 1, **changes})
    return fit_blend(x, won, lead=n, group=n, recipe=recipe)[0]


def test_fit_logistic_when_columns_have_any_scale_then_scikit_learn_on_standardised_columns_agrees() -> None:
    x, won = made(2_000)
    scaled = x * np.array([1, 10, 0.01, 1, 1, 1]) + 5
    ours = fit_logistic(scaled, won, strength=0.3, seed=0)
    standard = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0)
    theirs = LogisticRegression(C=0.3, tol=1e-10, max_iter=1_000).fit(standard, won)
    assert ours.raw(scaled) == pytest.approx(theirs.decision_function(standard), abs=1e-3)


def test_logistic_contributions_when_summed_then_they_give_the_raw_score() -> None:
    x, won = made(500)
    model = fit_logistic(x, won, strength=0.03, seed=0)
    assert model.base + model.contributions(x).sum(axis=1) == pytest.approx(model.raw(x), abs=1e-12)
    assert Logistic.from_dict(json.loads(json.dumps(model.to_dict()))).raw(x) == pytest.approx(model.raw(x), abs=0)


def test_fit_blend_when_the_truth_is_a_line_then_the_logistic_half_weighs_more() -> None:
    assert blend_of(*made(4_000)).weight <= 0.5


def test_fit_blend_when_the_truth_is_curved_then_the_trees_weigh_more() -> None:
    assert blend_of(*made(4_000, curved=True)).weight >= 0.8


def test_fit_blend_when_wins_are_few_then_there_are_no_trees() -> None:
    model = blend_of(*made(300))
    assert model.trees == ()
    assert model.weight == 0.0
    x = made(300)[0]
    assert model.raw(x) == pytest.approx(model.logistic.raw(x))


@pytest.mark.long
def test_fit_blend_when_repeated_or_with_other_threads_then_every_byte_is_equal() -> None:
    x, won = made(3_000, curved=True)
    first = blend_of(x, won)
    assert blend_of(x, won).trees == first.trees
    assert blend_of(x, won, threads=2).trees == first.trees


def test_to_parts_when_read_back_then_scores_are_equal() -> None:
    x, won = made(3_000, curved=True)
    model = blend_of(x, won)
    again = Blend.from_parts(json.loads(json.dumps(model.to_parts())), model.trees)
    assert (again.raw(x) == model.raw(x)).all()


def test_fit_blend_when_rows_are_held_out_then_their_scores_are_no_better_than_the_truth() -> None:
    x, won = made(4_000)
    n = np.arange(4_000)
    _, held_out, _ = fit_blend(x, won, lead=n, group=n, recipe=Recipe(0, 3, 1))
    truth = x[:, 0] - 0.5 * x[:, 1] - 1.5
    for raw in (held_out.straight, held_out.bagged, held_out.mixed(0.5)):
        assert np.mean(np.logaddexp(0, raw) - won * raw) > np.mean(np.logaddexp(0, truth) - won * truth)
    assert (held_out.where(won > 0).won == 1).all()


def test_best_weight_when_one_half_is_noise_then_the_other_has_all() -> None:
    x, won = made(4_000)
    truth = x[:, 0] - 0.5 * x[:, 1] - 1.5
    noise = np.random.default_rng(1).normal(size=4_000)
    assert best_weight(Halves(truth, noise, won)) <= 0.1
    assert best_weight(Halves(noise, truth, won)) >= 0.9


def test_best_weight_when_later_leads_contradict_then_it_lies_between() -> None:
    x, won = made(4_000)
    truth = x[:, 0] - 0.5 * x[:, 1] - 1.5
    noise = np.random.default_rng(1).normal(size=4_000)
    found = best_weight(Halves(truth, noise, won), [Halves(noise, truth, won)] * 3)
    assert 0.4 <= found <= 0.6, "however many, later tests weigh as much as the held-out rows"


def test_fits_when_rows_weigh_twice_then_they_are_as_rows_that_occur_twice() -> None:
    generator = np.random.default_rng(5)
    matrix = generator.normal(size=(600, 3))
    won = (generator.random(600) < 1 / (1 + np.exp(1 - matrix[:, 0]))).astype(float)
    weight = np.where(np.arange(600) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(600), weight.astype(int))
    # columns are scaled by their spread, which counts every row once: scale them the same
    matrix = (matrix - matrix[twice].mean(axis=0)) / matrix[twice].std(axis=0)
    weighed = fit_logistic(matrix, won, strength=10.0, seed=0, weight=weight)
    repeated = fit_logistic(matrix[twice], won[twice], strength=10.0, seed=0)
    assert np.abs(weighed.raw(matrix) - repeated.raw(matrix)).max() < 0.01
    raw = matrix[:, 0]
    one = fit_calibrator(raw, won, lead=np.arange(600), method="affine", weight=weight)
    two = fit_calibrator(raw[twice], won[twice], lead=twice, method="affine")
    assert one.slope == pytest.approx(two.slope, abs=1e-9)
    assert one.intercept == pytest.approx(two.intercept, abs=1e-9)
    doubled = Halves(raw[twice], -raw[twice], won[twice])
    assert best_weight(Halves(raw, -raw, won, weight)) == best_weight(doubled)


def test_fit_blend_when_rows_weigh_differently_then_both_halves_and_the_calibration_follow() -> None:
    generator = np.random.default_rng(6)
    n = 3_000
    matrix = generator.normal(size=(n, 2))
    won = (generator.random(n) < 0.3).astype(float)
    lead = np.arange(n)
    weight = np.where(won > 0, 0.25, 1.0)
    rate = float(np.average(won, weights=weight))
    blend, held_out, _ = fit_blend(matrix, won, lead=lead, group=lead, recipe=Recipe(0, 2, 1), weight=weight)
    calibrator = fit_calibrator(held_out.mixed(blend.weight), won, lead=lead, weight=weight)
    straight, bagged = blend.halves(matrix)
    for raw in (straight, bagged, calibrator.log_odds(blend.raw(matrix))):
        assert float((1 / (1 + np.exp(-raw))).mean()) == pytest.approx(rate, abs=0.02)
