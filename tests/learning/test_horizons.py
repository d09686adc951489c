"""How long wins take: curves that never fall, in which open leads count as long as they were watched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from learning.worlds import configured, seen, t, world

from mqlml.learning.horizons import WinCurves, win_curves


def curves(
    delays: list[float | None], *, horizon: int | None = 30, day: float = 400.0, every: float = 1.0, lost: Any = ()
) -> WinCurves | None:
    """Leads created one after the other, each won after its delay, or lost, or never decided."""
    leads = [{"lead_id": f"{i:04d}", "created_at": every * i} for i in range(len(delays))]
    outcomes = [
        {"lead_id": f"{i:04d}", "outcome": "won", "decided_at": every * i + delay}
        for i, delay in enumerate(delays)
        if delay is not None
    ]
    outcomes += [{"lead_id": f"{i:04d}", "outcome": "lost", "decided_at": every * i + after} for i, after in lost]
    settings = {"label": {} if horizon is None else {"horizon_days": horizon}, "snapshots": {"max_age_days": 300}}
    with world(leads, outcomes=outcomes) as history:
        config = configured(**settings)
        return win_curves(seen(history, config, day), config, as_of=t(day))


def test_win_curves_when_all_is_known_then_shares_are_counted() -> None:
    delays = [10.0, 20.0, 40.0, 80.0, 100.0] * 40
    found = curves(delays)
    assert found is not None
    assert found.days.tolist() == [30, 60, 90, 120]
    assert found.share == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert found.horizon_share == pytest.approx(0.4)
    assert found.enough_days == 101, "a win after exactly 100 days is outside a horizon of 100"
    assert (np.diff(found.win_rate) >= 0).all()
    assert found.advice == (
        "90 % of the wins come within 101 days. The horizon of 30 days sees 40 % of them. "
        "A longer horizon would see more of what there is to win."
    )


def test_win_curves_when_leads_are_young_then_they_count_for_as_long_as_they_were_watched() -> None:
    # Half of all leads win after 20 days, the others after 100; of the last hundred leads only the quick ones have.
    delays = [20.0 if i % 2 else 100.0 for i in range(400)]
    recorded = sum(i + 20 < 400 for i in range(1, 400, 2)), sum(i + 100 < 400 for i in range(0, 400, 2))
    assert recorded[0] / sum(recorded) > 0.55, "counting what is recorded would make wins look quick"
    found = curves(delays, day=400.0)
    assert found is not None
    assert found.share[found.days == 30] == pytest.approx(0.5, abs=0.01)
    assert found.share[-1] == pytest.approx(1.0)
    assert found.enough_days == 101


def test_win_curves_when_leads_are_lost_then_they_can_win_no_more() -> None:
    # Every third lead wins after 50 days, every third is lost on the first: a third wins in the end.
    delays = [50.0 if i % 3 == 0 else None for i in range(300)]
    lost = [(i, 1.0) for i in range(300) if i % 3 == 1]
    found = curves(delays, lost=lost, day=700.0)
    assert found is not None
    assert found.share[-1] == pytest.approx(1.0)
    assert found.win_rate.max() <= 0.5


@pytest.mark.parametrize(
    ("horizon", "words"),
    [
        (45, "The horizon of 45 days sees 100 % of them."),
        (90, "A shorter horizon would see nearly as many"),
        (None, "There is no horizon; [label] horizon_days = 21 would see most wins."),
    ],
)
def test_advice_when_the_horizon_is_fitting_long_or_absent_then_it_says_so(horizon: int | None, words: str) -> None:
    found = curves([20.0] * 100, horizon=horizon)
    assert found is not None
    assert words in found.advice
    assert found.to_dict()["points"][-1]["share"] == pytest.approx(1.0)


def test_advice_when_the_history_is_short_then_it_says_that_more_may_come() -> None:
    found = curves([float(5 + i % 60) for i in range(120)], every=0.5, day=62.0)
    assert found is not None
    assert "The history is too short to see how many come after" in found.advice


def test_win_curves_when_there_are_few_wins_or_no_dates_then_there_are_none() -> None:
    assert curves([20.0] * 29 + [None] * 100) is None
    with world([{"lead_id": "a", "created_at": 0.0}]) as history:
        assert win_curves(seen(history, configured(), 10.0), configured(), as_of=None) is None
