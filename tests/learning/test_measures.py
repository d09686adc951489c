"""The figures of one set of chances: parts against each other, coarse redrawing against exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as theirs
from sklearn.isotonic import IsotonicRegression

from mqlml.learning import measures
from mqlml.learning.evaluation import (
    brier,
    brier_parts,
    calibration_line,
    expected_calibration_error,
    perfect_calibration_error,
    realised_rate,
)
from mqlml.learning.measures import PLAIN, measure
from mqlml.learning.resampling import Resampler


def scored(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, true chances and accounts of three leads each."""
    generator = np.random.default_rng(seed)
    p = expit(generator.normal(-1, 1, n))
    return (generator.random(n) < p).astype(float), p, np.arange(n) // 3


def test_measure_when_worked_out_by_another_library_then_the_figures_agree() -> None:
    won, p, group = scored(3_000)
    base = np.full(len(p), 0.3)
    found = {k: d.value for k, d in measure(won, p, Resampler(group, seed=0), reference=base).items()}
    assert list(found) == list(PLAIN)
    assert found["log_loss"] == pytest.approx(theirs.log_loss(won, p))
    assert found["log_loss_skill"] == pytest.approx(1 - theirs.log_loss(won, p) / theirs.log_loss(won, base))
    assert found["brier_skill"] == pytest.approx(1 - theirs.brier_score_loss(won, p) / ((won - 0.3) ** 2).mean())
    assert found["auc"] == pytest.approx(theirs.roc_auc_score(won, p))
    assert found["average_precision"] == pytest.approx(theirs.average_precision_score(won, p))
    best = np.argsort(-p)[:300]
    assert found["top_10"] == pytest.approx(won[best].sum() / won.sum())
    assert found["lift_10"] == pytest.approx(won[best].mean() / won.mean())
    assert found["observed_over_expected"] == pytest.approx(won.sum() / p.sum())
    assert (found["slope"], found["intercept"]) == pytest.approx(calibration_line(won, p, np.ones(len(p))))


def test_measure_when_chances_are_told_apart_to_few_ranks_then_intervals_hardly_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    won, p, group = scored(4_000)
    base = np.full(len(p), 0.3)
    coarse = measure(won, p, Resampler(group, seed=0), reference=base)
    monkeypatch.setattr(measures, "_CELLS", 10_000)
    exact = measure(won, p, Resampler(group, seed=0), reference=base)
    for name in ("auc", "average_precision", "lift_5", "top_20", "slope", "intercept"):
        ours, theirs_ = coarse[name].interval(), exact[name].interval()
        width = (theirs_.high or 0) - (theirs_.low or 0)
        assert ours.value == theirs_.value
        assert (ours.low, ours.high) == pytest.approx((theirs_.low, theirs_.high), abs=0.03 * width)


def test_ranking_when_every_chance_is_equal_then_nothing_is_lifted() -> None:
    won = np.array([1.0, 0, 0, 0, 1, 0, 0, 0])
    p = np.full(8, 0.25)
    found = measures.accuracy(won, p, Resampler(np.arange(8), seed=0))
    assert [found[k].value for k in ("auc", "lift_5", "lift_20")] == pytest.approx([0.5, 1.0, 1.0])
    assert found["top_20"].value == pytest.approx(0.2)


def test_brier_parts_when_put_together_then_they_are_the_brier_score() -> None:
    won, p, _ = scored(2_000)
    parts = brier_parts(won, np.round(p, 2))
    whole = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
    assert whole == pytest.approx(brier(won, np.round(p, 2), np.ones(len(p))))
    fitted = IsotonicRegression().fit_transform(np.round(p, 2), won)
    assert parts["miscalibration"] == pytest.approx(((won - np.round(p, 2)) ** 2).mean() - ((won - fitted) ** 2).mean())


def test_brier_parts_when_chances_are_bold_then_miscalibration_is_the_larger() -> None:
    won, p, _ = scored(5_000)
    bold = expit(3 * np.log(p / (1 - p)))
    assert brier_parts(won, bold)["miscalibration"] > 5 * brier_parts(won, p)["miscalibration"]


def test_calibration_line_when_chances_are_extreme_then_it_still_converges() -> None:
    generator = np.random.default_rng(0)
    z = generator.normal(0, 12, 2_000)
    won = (generator.random(2_000) < expit(0.1 * z)).astype(float)
    slope, intercept = calibration_line(won, np.clip(expit(z), 1e-9, 1 - 1e-9), np.ones(2_000))
    assert slope == pytest.approx(0.1, abs=0.02)
    assert intercept == pytest.approx(0.0, abs=0.15)


def test_perfect_calibration_error_when_chances_are_true_then_the_error_is_about_that() -> None:
    errors, expected = [], []
    for seed in range(20):
        won, p, _ = scored(1_500, seed=seed)
        order = np.argsort(p)
        errors.append(expected_calibration_error(won[order], p[order], np.ones(len(p))))
        expected.append(perfect_calibration_error(p, np.arange(len(p)), seed=seed)[0])
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.15)


def test_realised_rate_when_repeated_rows_feign_certainty_then_the_leads_decide() -> None:
    """Ten leads, two won, seen fifty times each: the interval is that of two in ten."""
    won = np.repeat([1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 50)
    lead = np.repeat(np.arange(10), 50)
    found = realised_rate(won, np.ones(500), 10, Resampler(lead, seed=0))
    assert found["low"] <= 0.0368
    assert found["high"] >= 0.5069
