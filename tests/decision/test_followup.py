"""What became of leads, counted by hand."""

from __future__ import annotations

import numpy as np

from mqlml.decision.followup import Seen, caught, first_of_each, flips, handed, rates
from mqlml.learning.moments import DAY, NEVER


def seen(leads: list[tuple[list[float], int | None, int | None]]) -> Seen:
    """Leads seen each week from week 0: chances, the week in which handed over, the day of the win."""
    lead = np.repeat(np.arange(len(leads)), [len(p) for p, _, _ in leads])
    week = np.concatenate([np.arange(len(p)) for p, _, _ in leads])
    new = np.concatenate([np.arange(len(p)) == (-1 if k is None else k) for p, k, _ in leads])
    won = np.repeat([NEVER if d is None else d * DAY for _, _, d in leads], [len(p) for p, _, _ in leads])
    p = np.concatenate([p for p, _, _ in leads])
    return Seen(lead, week, week * 7 * DAY, p, new, np.zeros(len(lead), dtype=bool), won)


LEADS = seen(
    [
        ([0.9, 0.9], 0, 10),  # handed over in week 0, won within 20 days
        ([0.2, 0.9, 0.9], 1, 100),  # handed over, won too late
        ([0.2, 0.2, 0.2], None, 16),  # never handed over, won
        ([0.9, 0.9, 0.9], 2, 15),  # handed over after it would have been won: cannot happen, still not caught
    ]
)


def test_handed_when_counted_by_week_then_wins_are_those_within_the_horizon() -> None:
    found = handed(LEADS, LEADS.new, weeks=3, horizon=20 * DAY)
    assert found == {"handed_over": [1, 1, 1], "won": [1, 0, 1]}


def test_caught_when_a_lead_was_handed_over_before_its_win_then_it_counts() -> None:
    found, won, missed = caught(LEADS, LEADS.new, until=21 * DAY)
    assert (found, won) == (2, 3)
    assert missed.tolist() == [16 * DAY]


def test_first_of_each_when_several_are_flagged_then_one_a_lead_is_left() -> None:
    lead = np.array([0, 0, 0, 1, 2, 2])
    flags = np.array([False, True, True, False, True, True])
    assert np.flatnonzero(first_of_each(lead, flags)).tolist() == [1, 4]
    assert not first_of_each(lead, np.zeros(6, dtype=bool)).any()


def test_flips_when_a_chance_swings_about_the_line_then_two_thresholds_turn_less() -> None:
    swinging = seen([([0.5, 0.45, 0.5, 0.45, 0.1], None, None), ([0.45, 0.3, 0.45, 0.3, 0.3], None, None)])
    line = np.full(5, 0.5)
    assert flips(swinging, line, stay_at=0.8, min_days=0) == (3, 1)
    assert flips(swinging, line, stay_at=1.0, min_days=0) == (3, 3)
    assert flips(swinging, line, stay_at=1.0, min_days=14) == (3, 1)


def test_rates_when_nobody_was_handed_over_then_there_is_no_rate() -> None:
    assert rates(0, 0)["win_rate"] is None
    found = rates(10, 5)
    assert found["win_rate"] == 0.5
    assert found["low"] < 0.5 < found["high"]
