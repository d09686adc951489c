"""Metrics against scikit-learn and by hand; intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn import metrics as theirs
from sklearn.linear_model import LogisticRegression

from mqlml.learning import evaluation
from mqlml.learning.evaluation import Resampler


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, chances with ties (rounded) and weights, sorted by falling chance."""
    generator = np.random.default_rng(0)
    p = np.clip(np.round(expit(generator.normal(-1, 1.5, 3_000)), 2), 0.01, 0.99)
    won = (generator.random(3_000) < p).astype(float)
    weight = generator.integers(0, 4, 3_000).astype(float)
    order = np.argsort(-p, kind="stable")
    return won[order], p[order], weight[order]


def test_metrics_when_rows_are_weighted_and_tied_then_scikit_learn_agrees(
    scored: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    won, p, w = scored
    assert evaluation.log_loss(won, p, w) == pytest.approx(theirs.log_loss(won, p, sample_weight=w))
    assert evaluation.brier(won, p, w) == pytest.approx(theirs.brier_score_loss(won, p, sample_weight=w))
    assert evaluation.roc_auc(won, p, w) == pytest.approx(theirs.roc_auc_score(won, p, sample_weight=w))
    expected = theirs.average_precision_score(won, p, sample_weight=w)
    assert evaluation.average_precision(won, p, w) == pytest.approx(expected)


def test_calibration_line_when_compared_with_an_unpenalised_fit_then_it_is_equal(
    scored: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    won, p, w = scored
    slope, intercept = evaluation.calibration_line(won, p, w)
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(logit(p)[:, None], won, sample_weight=w)
    assert slope == pytest.approx(fitted.coef_[0, 0], abs=1e-3)
    assert intercept == pytest.approx(fitted.intercept_[0], abs=1e-3)


def test_lift_when_worked_by_hand_then_it_is_the_ratio_of_win_rates() -> None:
    won = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0], dtype=float)
    p = np.linspace(0.9, 0.1, 10)
    assert evaluation.lift(0.2)(won, p, np.ones(10)) == pytest.approx(1.0 / 0.3)
    assert evaluation.lift(0.5)(won, p, np.ones(10)) == pytest.approx(0.6 / 0.3)


def test_expected_calibration_error_when_worked_by_hand_then_it_is_the_mean_distance() -> None:
    won = np.array([0, 1, 1, 1], dtype=float)
    p = np.array([0.2, 0.4, 0.6, 0.8])
    assert evaluation.expected_calibration_error(won, p, np.ones(4), bins=2) == pytest.approx((0.2 + 0.3) / 2)


def test_interval_when_leads_repeat_then_it_covers_the_truth_nine_times_in_ten() -> None:
    """200 simulated histories of 150 accounts with 1 to 8 equal rows each: the base rate's interval covers 0.3."""
    covered = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        repeats = generator.integers(1, 9, 150)
        group = np.repeat(np.arange(150), repeats)
        won = np.repeat((generator.random(150) < 0.3).astype(float), repeats)
        found = Resampler(group, seed=seed, draws=100).interval(
            lambda w, won=won: float((w * won).sum() / max(w.sum(), 1.0))
        )
        covered += found.low is not None and found.low <= 0.3 <= (found.high or 0)
    assert 165 <= covered <= 192, f"{covered} of 200"


def test_binomial_interval_when_nothing_was_won_then_the_lower_end_is_zero() -> None:
    low, high = evaluation.binomial_interval(0, 20)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.05 ** (1 / 20))


def test_reliability_when_chances_are_true_then_most_bins_hold_the_promise() -> None:
    generator = np.random.default_rng(1)
    p = generator.uniform(0.05, 0.6, 4_000)
    won = (generator.random(4_000) < p).astype(float)
    lead = np.arange(4_000)
    bins = evaluation.reliability(won, p, lead, Resampler(lead, seed=0, draws=100))
    assert len(bins) == 10
    assert sum(b["low"] <= b["promised"] <= b["high"] for b in bins) >= 8
    assert sum(b["snapshots"] for b in bins) == 4_000
    assert [b["promised"] * b["snapshots"] for b in bins] == pytest.approx([p.sum() / 10] * 10, abs=0.6)


def test_reliability_when_few_wins_are_promised_then_there_are_few_bins() -> None:
    p = np.full(300, 0.04)
    bins = evaluation.reliability(np.zeros(300), p, np.arange(300), Resampler(np.arange(300), seed=0, draws=20))
    assert [b["snapshots"] for b in bins] == [149, 151]
