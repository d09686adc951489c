"""Draws of control leads: fixed by salt and id, fair, and informative after a stated time."""

from __future__ import annotations

import numpy as np
import pytest

from mqlml.decision.control import draw, draws_of, leads_until_informative, weeks_until_informative
from mqlml.learning.evaluation import binomial_interval


def test_draws_when_the_salt_changes_then_they_are_others_and_uniform() -> None:
    ids = [f"lead {i}" for i in range(4_000)]
    first, second = draws_of(ids, salt="a"), draws_of(ids, salt="b")
    assert np.abs(np.quantile(first, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.03
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert np.array_equal(first, draws_of(ids, salt="a"))


def test_draw_when_few_are_eligible_then_only_they_are_drawn() -> None:
    ids = np.array(["a", "b", "c", "d"], dtype=object)
    eligible = np.array([True, False, True, False])
    assert sorted(draw(ids, eligible, 5, salt="s")) == [0, 2]
    assert draw(ids, eligible, 0, salt="s") == []
    one = draw(ids, eligible, 1, salt="s")
    assert one == [int(np.argmin(np.where(eligible, draws_of(ids, salt="s"), 2.0)))]


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.2])
def test_leads_until_informative_when_drawn_then_the_exact_interval_is_about_so_wide(rate: float) -> None:
    n = leads_until_informative(rate)
    low, high = binomial_interval(rate * n, float(n))
    assert (high - low) / 2 == pytest.approx(rate / 2, rel=0.2)
    assert weeks_until_informative(rate, n, horizon_days=90) == 1 + 13
