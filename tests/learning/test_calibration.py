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


def test_fit_calibrator_when_the_newest_rate_differs_then_the_intercept_follows_it() -> None:
    raw, won = overconfident(40_000, seed=4)
    newest = np.arange(40_000) >= 30_000
    won[newest] = np.maximum(won[newest], np.random.default_rng(5).random(10_000) < 0.1)
    found = fit_calibrator(raw, won, winning_leads=1_000, newest=newest)
    assert found.probability(raw[newest]).mean() == pytest.approx(won[newest].mean(), abs=1e-6)


def test_probability_when_scores_are_extreme_then_it_stays_strictly_inside() -> None:
    p = Calibrator().probability(np.array([-1e6, 1e6]))
    assert 0 < p[0] < p[1] < 1
