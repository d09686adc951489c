"""The calibration ladder against scikit-learn's unpenalised fits and against what it promises."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mqlml.learning.calibration import Calibrator, Curve, fit_calibrator


def overconfident(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw scores, outcomes and leads; the truth is half the raw score less a half."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(-2.0, 1.0, n)
    return 2.0 * truth + 1.0, (generator.random(n) < expit(truth)).astype(float), np.arange(n)


def bent(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw scores that are right for the weak leads and four times too sure of the strong ones."""
    generator = np.random.default_rng(seed)
    raw = generator.normal(0.0, 2.5, n)
    return raw, (generator.random(n) < expit(np.where(raw > 0, raw / 4, raw))).astype(float), np.arange(n)


def test_fit_calibrator_when_scores_are_overconfident_then_the_true_map_is_found() -> None:
    raw, won, lead = overconfident(100_000, seed=1)
    found = fit_calibrator(raw, won, lead=lead, method="affine")
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.intercept == pytest.approx(-0.5, abs=0.05)


def test_fit_calibrator_when_rows_are_many_then_scikit_learn_agrees() -> None:
    raw, won, lead = overconfident(20_000, seed=2)
    found = fit_calibrator(raw, won, lead=lead, method="affine")
    theirs = LogisticRegression(C=np.inf).fit(raw[:, None], won)
    assert found.slope == pytest.approx(theirs.coef_[0, 0], abs=2e-3)
    assert found.intercept == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_fit_calibrator_when_rows_have_weights_then_scikit_learn_agrees() -> None:
    raw, won, lead = overconfident(20_000, seed=2)
    weight = np.where(np.arange(20_000) % 3 == 0, 3.0, 0.5)
    found = fit_calibrator(raw, won, lead=lead, method="affine", weight=weight)
    theirs = LogisticRegression(C=np.inf).fit(raw[:, None], won, sample_weight=weight)
    assert found.slope == pytest.approx(theirs.coef_[0, 0], abs=2e-3)
    assert found.intercept == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_fit_calibrator_when_wins_are_few_then_only_the_intercept_moves() -> None:
    raw, won, lead = overconfident(400, seed=3)
    winners = np.flatnonzero(won)[:49]
    won = np.isin(lead, winners).astype(float)
    found = fit_calibrator(raw, won, lead=lead)
    assert found.slope == 1.0
    assert found.probability(raw).mean() == pytest.approx(won.mean(), abs=1e-6)


def test_fit_calibrator_when_base_rates_move_then_the_slope_stays_and_all_rows_together_are_promised_right() -> None:
    generator = np.random.default_rng(4)
    raw = generator.normal(-2.0, 1.0, 60_000)
    window = np.repeat([0, 1, 2], 20_000)
    won = (generator.random(60_000) < expit(raw + 2 * window)).astype(float)
    found = fit_calibrator(raw, won, lead=np.arange(60_000), method="affine", window=window)
    assert found.slope == pytest.approx(1.0, abs=0.03)
    assert found.probability(raw).mean() == pytest.approx(won.mean(), abs=1e-6)


def test_fit_calibrator_when_a_window_has_no_win_then_the_map_stays_finite() -> None:
    raw, won, lead = overconfident(2_000, seed=6)
    window = np.repeat([0, 1], 1_000)
    won[window == 1] = 0.0
    found = fit_calibrator(raw, won, lead=lead, window=window)
    assert -12 < found.intercept < 2


def test_fit_calibrator_when_beta_is_asked_for_then_it_is_the_logistic_regression_of_its_definition() -> None:
    """Kull et al.: a logistic regression on ln p and -ln(1 - p)."""
    raw, won, lead = bent(20_000, seed=7)
    found = fit_calibrator(raw, won, lead=lead, method="beta")
    p = expit(raw)
    theirs = LogisticRegression(C=np.inf).fit(np.column_stack([np.log(p), -np.log1p(-p)]), won)
    assert found.curve is not None
    assert found.curve.values == pytest.approx(theirs.coef_[0], abs=5e-3)
    assert found.intercept == pytest.approx(theirs.intercept_[0], abs=5e-3)


def test_fit_calibrator_when_beta_would_fall_then_it_is_held_flat() -> None:
    """Among the strong leads more is less: the rising half is kept, the falling one is level."""
    generator = np.random.default_rng(8)
    raw = generator.normal(0.0, 2.0, 20_000)
    won = (generator.random(20_000) < expit(-np.abs(raw) + 0.5)).astype(float)
    found = fit_calibrator(raw, won, lead=np.arange(20_000), method="beta")
    assert found.curve is not None
    assert min(found.curve.values) >= 0.0
    assert (np.diff(found.log_odds(np.linspace(-8, 8, 200))) >= -1e-12).all()


def test_fit_calibrator_when_the_truth_is_a_line_then_auto_keeps_the_line() -> None:
    raw, won, lead = overconfident(8_000, seed=9)
    assert fit_calibrator(raw, won, lead=lead).kind == "line"


def test_fit_calibrator_when_the_truth_is_bent_then_auto_finds_the_bend_but_none_below_a_hundred_wins() -> None:
    raw, won, lead = bent(20_000, seed=10)
    found = fit_calibrator(raw, won, lead=lead)
    assert found.curve is not None
    assert found.kind == "bent"
    assert found.curve.values == pytest.approx((1.0, 0.25), abs=0.15)
    few = won.cumsum() < 100
    assert fit_calibrator(raw[few], won[few], lead=lead[few]).kind == "line"


def test_fit_calibrator_when_no_lead_is_surer_than_a_ceiling_then_the_best_are_not_promised_more() -> None:
    """Wins need something that nobody can see: however good a lead looks, at most 15 % are won."""
    generator = np.random.default_rng(12)
    raw = generator.normal(-3.0, 1.6, 20_000)
    truth = 0.15 * expit(raw + 1)
    won = (generator.random(20_000) < truth).astype(float)
    line, found = (fit_calibrator(raw, won, lead=np.arange(20_000), method=m) for m in ("affine", "auto"))
    top = raw > np.quantile(raw, 0.99)
    assert line.probability(raw[top]).mean() > 1.5 * truth[top].mean()
    assert found.probability(raw[top]).mean() == pytest.approx(truth[top].mean(), rel=0.15)


def test_fit_calibrator_when_the_best_would_fall_then_a_bent_line_still_rises() -> None:
    generator = np.random.default_rng(13)
    raw = generator.normal(0.0, 2.0, 20_000)
    won = (generator.random(20_000) < expit(-np.abs(raw))).astype(float)
    found = fit_calibrator(raw, won, lead=np.arange(20_000), method="bent")
    assert found.curve is not None
    assert min(found.curve.values) == pytest.approx(0.1)
    assert (np.diff(found.log_odds(np.linspace(-8, 8, 200))) > 0).all()
    assert found.probability(raw).mean() == pytest.approx(won.mean(), abs=1e-6)


def test_fit_calibrator_when_isotonic_is_asked_for_then_scikit_learn_agrees_and_nothing_is_certain() -> None:
    raw, won, lead = bent(12_000, seed=11)
    found = fit_calibrator(raw, won, lead=lead, method="isotonic")
    theirs = np.clip(IsotonicRegression().fit(raw, won).predict(raw), 1 / 12_002, 12_001 / 12_002)
    assert found.kind == "isotonic"
    assert found.log_odds(raw) == pytest.approx(logit(theirs), abs=1e-9)
    few = slice(0, 9_000)
    assert fit_calibrator(raw[few], won[few], lead=lead[few], method="isotonic").kind == "line", "too few rows"


@pytest.mark.parametrize(
    "found",
    [
        Calibrator(0.8, -0.3),
        Calibrator(1.1, 0.2, Curve("beta", (0.4, 1.5))),
        Calibrator(0.9, -0.1, Curve("bent", (1.2, 0.3), (-2.0,))),
        Calibrator(1.0, 0.0, Curve("isotonic", (-3.0, -1.0, -1.0, 2.0), (-4.0, -1.0, 0.5, 3.0))),
    ],
)
def test_scale_when_raw_contributions_are_scaled_then_they_sum_to_the_calibrated_log_odds(found: Calibrator) -> None:
    raw, base = np.linspace(-5, 5, 41), -0.5
    start = found.log_odds(np.full(1, base))[0]
    assert start + found.scale(raw, base) * (raw - base) == pytest.approx(found.log_odds(raw), abs=1e-9)
    assert (found.scale(raw, base) >= 0).all()
    assert Calibrator.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_turned_when_the_slope_is_halved_then_the_middle_stays() -> None:
    found = Calibrator(1.2, 0.4).turned(0.5, around=-1.0)
    assert found.slope == pytest.approx(0.6)
    middle = (-1.0 - 0.4) / 1.2
    assert found.log_odds(np.array([middle]))[0] == pytest.approx(-1.0)


def test_probability_when_scores_are_extreme_then_it_stays_strictly_inside() -> None:
    p = Calibrator().probability(np.array([-1e6, 1e6]))
    assert 0 < p[0] < p[1] < 1
