"""Calibration against scikit-learn's unpenalised fit and against what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mqlml.learning.calibration import Calibrator, fit_calibrator


def overconfident(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(-2.0, 1.0, n)
    return 2.0 * truth + 1.0, (generator.random(n) < expit(truth)).astype(float)


def test_fit_calibrator_when_scores_are_overconfident_then_the_true_map_is_found() -> None:
    raw, won = overconfident(100_000, seed=1)
    found = fit_calibrator(raw, won, winning_leads=int(won.sum()))
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.intercept == pytest.approx(-0.5, abs=0.05)


def test_fit_calibrator_when_rows_are_many_then_scikit_learn_agrees() -> None:
    raw, won = overconfident(20_000, seed=2)
    found = fit_calibrator(raw, won, winning_leads=int(won.sum()))
    theirs = LogisticRegression(C=np.inf).fit(raw[:, None], won)
    assert found.slope == pytest.approx(theirs.coef_[0, 0], abs=2e-3)
    assert found.intercept == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_fit_calibrator_when_wins_are_few_then_only_the_intercept_moves() -> None:
    raw, won = overconfident(400, seed=3)
    found = fit_calibrator(raw, won, winning_leads=49)
    assert found.slope == 1.0
    assert found.probability(raw).mean() == pytest.approx(won.mean(), abs=1e-6)


def test_fit_calibrator_when_base_rates_move_then_the_slope_stays_and_the_intercept_follows_the_newer() -> None:
    """Three windows whose log-odds are 0, 1 and 2 higher: weights 1, 3 and 9 of 13 give 21/13."""
    generator = np.random.default_rng(4)
    raw = generator.normal(-2.0, 1.0, 300_000)
    window = np.repeat([0, 1, 2], 100_000)
    won = (generator.random(300_000) < expit(raw + window)).astype(float)
    found = fit_calibrator(raw, won, winning_leads=1_000, window=window)
    assert found.slope == pytest.approx(1.0, abs=0.02)
    assert found.intercept == pytest.approx(21 / 13, abs=0.05)


def test_fit_calibrator_when_windows_differ_by_chance_only_then_all_of_them_set_the_level() -> None:
    generator = np.random.default_rng(5)
    errors = []
    for _ in range(40):
        raw = np.zeros(400)
        won = (generator.random(400) < 0.5).astype(float)
        found = fit_calibrator(raw, won, winning_leads=int(won.sum()), window=np.repeat(np.arange(4), 100))
        errors.append(found.intercept**2)
    # All 400 rows give a variance of 1 / (400 / 4); the newest windows alone twice that.
    assert np.mean(errors) < 0.015


def test_fit_calibrator_when_a_lead_is_seen_often_then_its_windows_seem_less_different() -> None:
    raw, won = np.zeros(400), np.r_[np.tile([1.0, 0.0], 100), np.tile([1.0, 1.0, 0.0, 0.0, 0.0], 40)]
    window = np.repeat([0, 1], 200)
    once = fit_calibrator(raw, won, winning_leads=int(won.sum()), window=window)
    often = fit_calibrator(raw, won, winning_leads=50, window=window)
    assert often.intercept > once.intercept


def test_fit_calibrator_when_a_window_has_no_win_then_the_map_stays_finite() -> None:
    raw, won = overconfident(2_000, seed=6)
    window = np.repeat([0, 1], 1_000)
    won[window == 1] = 0.0
    found = fit_calibrator(raw, won, winning_leads=100, window=window)
    assert -12 < found.intercept < 0


def test_probability_when_scores_are_extreme_then_it_stays_strictly_inside() -> None:
    p = Calibrator().probability(np.array([-1e6, 1e6]))
    assert 0 < p[0] < p[1] < 1
