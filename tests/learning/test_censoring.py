"""Weights and shares where not everybody was watched to the end, by hand and against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqlml.learning.censoring import LARGEST_WEIGHT, Watched, cumulative_incidence
from mqlml.learning.moments import NEVER

none = int(NEVER)


def watched(rows: list[tuple[int, int, int]]) -> Watched:
    """Snapshots as (moment, win, decision)."""
    at, won, closed = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Watched(at, won, closed)


def test_told_when_looked_at_early_then_wins_and_losses_before_are_known_and_the_rest_is_not() -> None:
    rows = watched([(0, 4, 4), (0, none, 6), (0, none, none), (5, none, none), (0, 8, 3), (0, 13, 13)])
    took, known, won = rows.told(10, 20)
    assert took.tolist() == [4, 6, 10, 5, 8, 10]
    assert known.tolist() == [True, True, False, False, True, False]
    assert won.tolist() == [True, False, False, False, True, False]
    _, early, lost = rows.told(7, 20)
    assert early.tolist() == [True, True, False, False, True, False], "the loss on 3 counts until the win on 8 is known"
    assert not lost[4]


def test_told_when_the_horizon_is_over_then_everything_is_known_and_a_win_at_its_end_is_none() -> None:
    took, known, won = watched([(0, 10, 10), (0, 9, 9), (0, none, none)]).told(10, 10)
    assert known.tolist() == [True, True, True]
    assert won.tolist() == [False, True, False]
    assert took.tolist() == [10, 9, 10]


def test_weights_when_some_leave_then_those_watched_longer_stand_for_them() -> None:
    # Ten snapshots on 0, ten on 6; horizon 10, seen on 12. One of the former wins after 2, one of the latter too.
    # After 6 the nine others of the latter leave; at risk are 18 then, so that the chance to be watched on is 1/2.
    rows = watched([(0, 2, 2)] + [(0, none, none)] * 9 + [(6, 8, 8)] + [(6, none, none)] * 9)
    weight = rows.weights(12, 10, rows)
    assert weight[[0, 10]].tolist() == [1.0, 1.0]
    assert weight[1:10] == pytest.approx(2.0)
    assert (weight[11:] == 0).all()
    assert weight.sum() == pytest.approx(len(rows.at))


def test_weights_when_hardly_anybody_was_watched_then_they_are_capped() -> None:
    rows = watched([(0, none, none)] + [(11, none, none)] * 99)
    assert rows.weights(12, 10, rows)[0] == LARGEST_WEIGHT


def test_weights_when_the_watching_ends_at_random_then_the_weighted_rate_is_the_true_one() -> None:
    generator = np.random.default_rng(0)
    n, horizon, until = 40_000, 60, 100
    at = generator.integers(0, until, n)
    delay = np.where(generator.random(n) < 0.3, generator.integers(0, 90, n), none)
    won = np.where(delay < none, at + delay, none)
    rows = Watched(at, won, won)
    weight = rows.weights(until, horizon, rows)
    truth = float((delay < horizon).mean())
    found = float(np.average(rows.told(until, horizon)[2], weights=weight))
    mature_or_won = np.average(rows.told(until, horizon)[2], weights=weight > 0)
    assert found == pytest.approx(truth, abs=0.006)
    assert mature_or_won > truth + 0.05, "without weights young wins would be far too many"


def test_cumulative_incidence_when_worked_by_hand_then_losses_compete_and_open_leads_leave() -> None:
    # win at 1, loss at 2, open until 2, win at 3, open until 5: 5, 4, 4, 2 and 1 at risk
    time = np.array([1, 2, 2, 3, 5])
    won = np.array([True, False, False, True, False])
    lost = np.array([False, True, False, False, False])
    share = cumulative_incidence(time, won, lost, np.array([0, 1, 2, 3, 9]))
    assert share == pytest.approx([0, 1 / 5, 1 / 5, 1 / 5 + 4 / 5 * 3 / 4 * 1 / 2, 1 / 5 + 4 / 5 * 3 / 4 * 1 / 2])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("wlo")), min_size=1, max_size=40))
def test_cumulative_incidence_when_watched_or_not_then_it_never_falls_and_counts_where_nobody_left(
    ends: list[tuple[int, str]],
) -> None:
    time = np.array([end for end, _ in ends])
    kind = np.array([word for _, word in ends])
    at = np.arange(22)
    share = cumulative_incidence(time, kind == "w", kind == "l", at)
    assert (np.diff(share) >= -1e-12).all()
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-12
    closed = cumulative_incidence(time, kind == "w", kind != "w", at)
    assert closed == pytest.approx([((kind == "w") & (time <= day)).mean() for day in at])
