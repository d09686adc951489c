"""What the history says of lasting changes: trends are followed, seasons are not, single tests do not decide."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from mqlml.learning.drift import SlopeTest, follow_level, later_slope, time_windows

N = 16_000
WHEN = np.arange(N)


def history(levels: list[float], *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds that know nothing of time, and outcomes whose level changes in equal parts of the history."""
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(-1.0, 0.5, N)
    level = np.repeat(levels, N // len(levels))
    return log_odds, (generator.random(N) < expit(log_odds + level - np.mean(levels))).astype(float)


def test_time_windows_when_times_are_equal_then_they_stay_together() -> None:
    window = time_windows(np.repeat([3, 5, 9], [10, 80, 10]))
    assert len(np.unique(window)) <= 3
    assert all(len(np.unique(window[part])) == 1 for part in (slice(0, 10), slice(10, 90), slice(90, 100)))
    assert (np.diff(window) >= 0).all()


def test_time_windows_when_there_are_many_times_then_there_are_eight_of_about_equal_size() -> None:
    sizes = np.bincount(time_windows(np.random.default_rng(0).permutation(8_000)))
    assert len(sizes) == 8
    assert sizes.min() > 900


def test_follow_level_when_the_rate_rises_steadily_then_the_newest_is_believed() -> None:
    log_odds, won = history([-0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7])
    found = follow_level(log_odds, won, when=WHEN, known=WHEN, lead=WHEN)
    assert found.newest == pytest.approx(0.7, abs=0.15)
    assert found.low < found.newest < found.high
    assert found.persistence > 0.9
    assert found.applied == pytest.approx(found.newest, abs=0.15)


def test_follow_level_when_seasons_turn_before_labels_are_known_then_nothing_is_carried_forward() -> None:
    """A high quarter is always followed by a low one by the time its outcomes are in."""
    log_odds, won = history([0.6, -0.6] * 4)
    found = follow_level(log_odds, won, when=WHEN, known=WHEN, lead=WHEN)
    assert found.persistence == 0.0
    assert found.applied == 0.0


def test_follow_level_when_nothing_changes_then_little_is_applied() -> None:
    log_odds, won = history([0.0] * 8)
    assert abs(follow_level(log_odds, won, when=WHEN, known=WHEN, lead=WHEN).applied) < 0.1


def test_follow_level_when_all_rows_are_of_one_time_then_nothing_is_known() -> None:
    log_odds, won = history([0.0] * 8)
    one = np.zeros(N, dtype=np.int64)
    found = follow_level(log_odds, won, when=one, known=one, lead=WHEN)
    assert (found.applied, found.windows) == (0.0, 1)


def test_follow_level_when_the_newest_window_has_few_leads_then_it_is_believed_less() -> None:
    """Eight snapshots of a lead are one observation."""
    log_odds, won = history([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.8])
    many = follow_level(log_odds, won, when=WHEN, known=WHEN, lead=WHEN)
    few = follow_level(log_odds, won, when=WHEN, known=WHEN, lead=WHEN // 100)
    assert few.high - few.low == pytest.approx(10 * (many.high - many.low), rel=0.05)
    assert 0 < few.applied < many.applied


def test_follow_level_when_a_window_has_no_win_then_it_is_bounded() -> None:
    log_odds, won = history([0.0] * 8)
    won[-N // 8 :] = 0.0
    assert -2.0 <= follow_level(log_odds, won, when=WHEN, known=WHEN, lead=WHEN).newest < -1.0


def forward(slope: float, *, n: int, seed: int) -> SlopeTest:
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(-1.0, 1.0, n)
    return SlopeTest(log_odds, (generator.random(n) < expit(slope * log_odds - 0.3)).astype(float), np.arange(n))


def test_later_slope_when_there_is_no_test_then_it_is_one() -> None:
    assert later_slope([]) == 1.0


def test_later_slope_when_large_tests_agree_then_they_decide() -> None:
    found = later_slope([forward(0.6, n=20_000, seed=i) for i in range(4)])
    assert found == pytest.approx(0.6, abs=0.05)


def test_later_slope_when_tests_contradict_each_other_then_they_hardly_count() -> None:
    found = later_slope([forward(s, n=5_000, seed=i) for i, s in enumerate((-2.0, 0.4, 1.4, 0.6))])
    assert 0.9 < found < 1.0


def test_later_slope_when_there_is_one_test_then_it_is_believed_by_half() -> None:
    """However large it is, another would differ by as much as tests usually do."""
    assert later_slope([forward(0.6, n=50_000, seed=1)]) == pytest.approx(0.8, abs=0.03)
