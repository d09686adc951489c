from __future__ import annotations

import numpy as np
import pyarrow as pa

from mqlml.learning.labels import Rows
from mqlml.review.stability import periods_of, split
from mqlml.tape.columns import Feature

EACH = 100


def rows_of(won: np.ndarray, timing: str = "horizon") -> Rows:
    """One snapshot a lead, one after the other."""
    n = len(won)
    order = np.arange(n, dtype=np.int64)
    return Rows(order, order, order, order, won.astype(float), order, timing)  # type: ignore[arg-type]


def history(rates: list[tuple[float, float]]) -> tuple[np.ndarray, Rows]:
    """Half of the leads of each period did it; ``rates`` are win rates with and without."""
    done = np.tile(np.r_[np.ones(EACH // 2), np.zeros(EACH // 2)], len(rates))
    won = np.concatenate([np.arange(EACH // 2) < round(rate * EACH // 2) for pair in rates for rate in pair])
    return done, rows_of(won)


VISITS = Feature("events.visit.count_7d", "count", "engagement", "visit", "events", "Visits.", window_days=7)
COUNTRY = Feature("lead.country", "attribute", "fit", "country", "", "Country.", kind="category")
SIZE = Feature("lead.size", "attribute", "fit", "size", "", "Size.")
RECENT = Feature("events.visit.days_since_last", "recency", "timing", "visit", "days", "Days since.")


def test_split_when_the_difference_holds_in_two_of_three_periods_then_it_says_so() -> None:
    done, rows = history([(0.3, 0.1), (0.3, 0.1), (0.1, 0.3)])
    found = split(VISITS, pa.table({VISITS.name: done}), rows)
    assert found is not None
    assert found["having"] == "any of it"
    assert found["share"] == 0.5
    assert found["with"]["value"] == 35 / 150
    assert found["without"]["value"] == 25 / 150
    assert found["with"]["leads"] == 150
    assert found["with"]["low"] < 35 / 150 < found["with"]["high"]
    assert (found["periods"], found["held"]) == (3, 2)


def test_split_when_a_category_then_each_period_is_judged_by_the_levels_of_the_others() -> None:
    done, rows = history([(0.3, 0.1), (0.3, 0.1), (0.1, 0.3)])
    texts = np.where(done > 0, "DE", "FR")
    found = split(COUNTRY, pa.table({COUNTRY.name: texts}), rows)
    assert found is not None
    assert found["having"] == "DE"
    # In the last period France won more often; judged by its own levels that would have held too.
    assert (found["periods"], found["held"]) == (3, 2)


def test_split_when_numbers_then_the_middle_divides_and_recent_is_more() -> None:
    won = np.arange(200) >= 100
    size = split(SIZE, pa.table({SIZE.name: np.arange(200.0)}), rows_of(won))
    assert size is not None
    assert size["having"] == "at least 99.5"
    assert size["with"]["value"] == 1.0
    recent = split(RECENT, pa.table({RECENT.name: np.r_[np.arange(150.0), np.full(50, np.nan)]}), rows_of(won))
    assert recent is not None
    assert recent["having"] == "at most 74.5 days ago"
    assert recent["share"] == 75 / 200


def test_split_when_hardly_any_lead_differs_then_there_is_none() -> None:
    done = np.r_[np.ones(19), np.zeros(181)]
    assert split(VISITS, pa.table({VISITS.name: done}), rows_of(np.arange(200) % 2)) is None


def test_periods_when_dates_or_wins_are_wanting_then_there_are_none() -> None:
    won = np.ones(120)
    assert periods_of(rows_of(won[:59])) is None
    assert periods_of(rows_of(won, "order")) is None
    found = periods_of(rows_of(won))
    assert found is not None
    assert np.bincount(found).tolist() == [20] * 6
