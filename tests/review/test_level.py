"""The newest win rate against the whole history, in words."""

from __future__ import annotations

import pytest

from mqlml.learning.drift import Level
from mqlml.review.level import level_now


def test_level_now_when_the_newest_part_was_won_more_often_then_rates_and_interval_are_told() -> None:
    # Odds 1:9 times e^0.5 are 0.1832, times e^0.2 0.1357, times e^0.8 0.2473, times e^0.3 0.15.
    found = level_now(Level(0.5, 0.2, 0.8, persistence=0.75, applied=0.3, windows=8), 0.1)
    assert found is not None
    rates = [found[key] for key in ("usual", "newest", "low", "high", "expected")]
    assert rates == pytest.approx([0.1, 0.1548, 0.1195, 0.1983, 0.1304], abs=1e-4)
    assert "likely 11.9 % to 19.8 %" in found["sentence"]
    assert "chance." not in found["sentence"]


def test_level_now_when_the_interval_holds_the_usual_rate_then_it_may_be_chance() -> None:
    found = level_now(Level(0.1, -0.1, 0.3, applied=0.02, windows=8), 0.3)
    assert found is not None
    assert "That may be chance." in found["sentence"]


def test_level_now_when_a_history_has_no_time_then_nothing_is_told() -> None:
    assert level_now(Level(), 0.3) is None
