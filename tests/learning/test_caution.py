"""Scores of few leads are believed as far as the evidence goes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from mqlml.learning.caution import cautious_calibrator, cautious_slope
from mqlml.learning.propensity import fit_blend
from mqlml.learning.recipe import Recipe


def scored(n: int, *, slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=n)
    return raw, (generator.random(n) < expit(slope * raw)).astype(float)


def slope_of(raw: np.ndarray, won: np.ndarray, **changes: np.ndarray) -> float:
    rows = np.arange(len(won))
    return cautious_slope(raw, won, **{"lead": rows, "group": rows, "fold": rows % 4, **changes})


def test_cautious_slope_when_scores_say_nothing_then_nearly_nothing_is_believed() -> None:
    found = [slope_of(*scored(60, slope=0.0, seed=seed)) for seed in range(50)]
    assert np.mean(np.array(found) <= 0.02) >= 0.85
    assert np.mean(found) < 0.06


def test_cautious_slope_when_scores_are_true_then_belief_grows_with_the_leads() -> None:
    mean = [np.mean([slope_of(*scored(n, slope=1.0, seed=seed)) for seed in range(20)]) for n in (20, 60, 400)]
    assert mean[0] < mean[1] < mean[2]
    assert mean[2] > 0.85


def test_cautious_slope_when_rows_repeat_leads_then_they_are_no_further_evidence() -> None:
    raw, won = scored(60, slope=0.8)
    once = slope_of(raw, won)
    lead = np.repeat(np.arange(60), 5)
    assert cautious_slope(raw[lead], won[lead], lead=lead, group=lead, fold=lead % 4) == pytest.approx(once, abs=1e-9)


def test_cautious_slope_when_few_accounts_hold_all_leads_then_less_is_believed() -> None:
    raw, won = np.tile([1.0, -1.0], 40), np.tile([1.0, 0.0], 40)
    group = np.repeat(np.arange(8), 10)
    mixed = np.arange(80) % 10 < 4
    won[mixed & (group < 4)] = np.tile([0.0, 1.0], 8)
    assert slope_of(raw, won, group=group, fold=group % 2) < slope_of(raw, won, fold=group % 2)


def test_cautious_calibrator_when_scores_are_noise_then_the_chances_are_the_base_rate() -> None:
    raw, won = 3 * np.random.default_rng(2).normal(size=40), np.tile([1.0, 0.0, 0.0, 0.0], 10)
    rows = np.arange(40)
    found = cautious_calibrator(raw, won, lead=rows, group=rows, fold=rows % 4)
    assert found.probability(raw) == pytest.approx(0.25, abs=0.04)


def test_fit_blend_when_a_fold_leaves_one_outcome_only_then_everybody_has_the_base_rate() -> None:
    won = np.r_[np.ones(9), np.zeros(6)]
    group = np.r_[np.arange(9), np.full(6, 9)]
    matrix = np.random.default_rng(3).normal(size=(15, 4))
    blend, _, calibrator = fit_blend(matrix, won, lead=np.arange(15), group=group, recipe=Recipe(0, 3, 1))
    p = calibrator.probability(blend.raw(matrix))
    assert p == pytest.approx(9.5 / 16)
    assert blend.trees == ()
