"""Clustered draws: sums against weights by hand, pairing, and how wide intervals of few groups are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from mqlml.learning.resampling import Draws, Resampler

GROUP = np.array([5, 5, 7, 9, 9, 9])


def test_sums_when_groups_are_drawn_then_their_rows_come_and_go_together() -> None:
    one_each = Resampler(GROUP, seed=0).sums({str(g): (g == GROUP).astype(float) for g in (5, 7, 9)})
    assert [one_each[k].value for k in ("5", "7", "9")] == [2.0, 1.0, 3.0]
    assert set(one_each["9"].redrawn % 3) == {0.0}
    assert set(one_each["5"].redrawn % 2) == {0.0}
    assert one_each["7"].redrawn.mean() == pytest.approx(1.0, abs=0.25)


def test_means_when_compared_with_an_interval_of_row_weights_then_they_are_equal() -> None:
    column = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    resampler = Resampler(GROUP, seed=3)
    quick = resampler.means({"rate": column})["rate"].interval()
    slow = resampler.interval(lambda w: float((w * column).sum() / w.sum()) if w.sum() else float("nan"))
    assert (quick.value, quick.low, quick.high) == pytest.approx((slow.value, slow.low, slow.high))


def test_by_cell_when_summed_over_cells_then_it_is_the_sum() -> None:
    column, cell = np.arange(6.0), np.array([0, 1, 2, 0, 1, 2])
    resampler = Resampler(GROUP, seed=1)
    value, redrawn = resampler.by_cell(cell, column)
    assert value.tolist() == [[3.0, 5.0, 7.0]]
    assert redrawn.sum(axis=1) == pytest.approx(resampler.sums({"": column})[""].redrawn)


def test_difference_when_two_figures_move_together_then_its_interval_is_narrow() -> None:
    column = np.random.default_rng(0).normal(size=300)
    draws = Resampler(np.arange(300), seed=0).means({"a": column, "b": column + 1.0})
    gain = (draws["b"] - draws["a"]).interval()
    assert (gain.value, gain.low, gain.high) == pytest.approx((1.0, 1.0, 1.0))


def test_skill_when_a_loss_is_a_quarter_smaller_then_it_is_a_quarter() -> None:
    ours, theirs = Draws(0.3, np.array([0.3, 0.2])), Draws(0.4, np.array([0.4, 0.4]))
    assert ours.skill(theirs).value == pytest.approx(0.25)
    assert ours.skill(theirs).redrawn == pytest.approx([0.25, 0.5])


def test_interval_when_reflected_then_it_is_mirrored_at_the_value() -> None:
    redrawn = np.linspace(1.0, 2.0, 101)
    plain = Draws(1.2, redrawn).interval()
    mirrored = Draws(1.2, redrawn, reflected=True).interval()
    assert (plain.low, plain.high) == pytest.approx((1.05, 1.95))
    assert (mirrored.low, mirrored.high) == pytest.approx((0.45, 1.35))


def test_interval_when_there_are_few_winning_groups_then_it_is_as_wide_as_a_t_interval() -> None:
    wide = Resampler(np.arange(400), seed=0, winning_groups=12).tail
    assert norm.ppf(wide) == pytest.approx(t.ppf(0.05, 11) * np.sqrt(12 / 11))
    assert Resampler(np.arange(400), seed=0, winning_groups=100_000).tail == pytest.approx(0.05, abs=1e-4)
    assert Resampler(np.arange(400), seed=0).tail == pytest.approx(0.05)


def test_at_least_when_draws_are_normal_then_it_is_the_one_sided_bound() -> None:
    redrawn = np.random.default_rng(0).normal(3.0, 0.5, 100_000)
    assert Draws(3.0, redrawn).at_least(0.99) == pytest.approx(3.0 - 2.326 * 0.5, abs=0.01)
    assert Draws(3.0, np.full(5, np.nan)).at_least(0.99) == -np.inf


def test_interval_when_most_draws_cannot_be_told_then_there_is_none() -> None:
    found = Draws(1.0, np.array([np.nan, np.nan, np.nan, 1.0])).interval()
    assert (found.value, found.low, found.high) == (1.0, None, None)
