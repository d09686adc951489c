from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.labels import Rows
from mqlml.review.profile import Profile, ideal_customer, signal_columns, signals
from mqlml.review.reasons import Explanation
from mqlml.tape.columns import Feature

INDUSTRY = Feature("lead.industry", "attribute", "fit", "industry", "", "Industry.", kind="category")
SIZE = Feature("lead.company size", "attribute", "fit", "company size", "", "Company size.", kind="category")
VISITS = Feature("events.visit.count_7d", "count", "engagement", "visit", "events", "Visits.", window_days=7)


@pytest.fixture
def profile() -> Profile:
    """200 leads with two snapshots each; software wins in 30 of 100 cases, food in 10; the size of half is unknown."""
    lead = np.repeat(np.arange(200), 2)
    software = lead < 100
    won = np.where(software, lead % 10 < 3, lead % 10 < 1) & (np.arange(400) % 2 == 1)
    at = np.arange(400, dtype=np.int64)
    table = pa.table(
        {
            INDUSTRY.name: np.where(software, "software", "food"),
            SIZE.name: pa.array([None if k % 4 < 2 else "small" if k % 8 < 4 else "big" for k in range(400)]),
            VISITS.name: np.arange(400.0),
        }
    )
    rows = Rows(lead, at, at, at, won.astype(float), lead, "horizon")
    parts = np.tile([0.3, -0.1, 0.6, 0.0], (5, 1))
    explanation = Explanation(
        ("industry", "company size", "visit", "not supplied"), ("fit", "fit", "engagement", "fit"), 0.0, parts
    )
    return Profile.of(table, rows, (INDUSTRY, SIZE, VISITS), explanation)


def test_profile_when_made_then_each_lead_counts_once_and_won_ever(profile: Profile) -> None:
    assert len(profile.rows) == 200
    assert profile.rows.won.sum() == 40
    assert profile.weight["industry"] == pytest.approx(0.3)
    assert [f.criterion for f in profile.features] == ["industry", "company size"]


def test_ideal_when_one_level_wins_more_then_it_stands_out_with_its_figures(profile: Profile) -> None:
    found = ideal_customer(profile)
    assert found is not None
    assert (found["leads"], found["wins"], found["base_rate"]) == (200, 40, 0.2)
    assert found["weight"] == pytest.approx(0.4)
    first = found["criteria"][0]
    assert first["criterion"] == "industry"
    assert (first["best"]["label"], first["best"]["win_rate"], first["best"]["leads"]) == ("software", 0.3, 100)
    assert first["worst"]["label"] == "food"
    assert first["coverage"] == 1.0
    assert found["criteria"][1]["coverage"] == 0.5
    assert [row["criterion"] for row in found["stands_out"]] == ["industry"]
    assert found["matching"] == []


def test_ideal_when_no_attribute_is_used_then_there_is_none(profile: Profile) -> None:
    assert ideal_customer(Profile(profile.table, profile.rows, profile.features, {})) is None


def test_signals_when_named_in_the_settings_then_names_do_not_count() -> None:
    columns = ("Company Size", "jobTitle", "title", "annual_revenue", "enrolled", "country")
    assert signal_columns(columns, {}) == {
        "budget": (("Company Size", "annual_revenue"), True),
        "authority": (("jobTitle",), True),
    }
    assert signal_columns(columns, {"budget": ("country",), "authority": ()}) == {
        "budget": (("country",), False),
        "authority": ((), False),
    }


def test_signals_when_a_column_is_no_feature_then_it_is_named_as_unused(profile: Profile) -> None:
    budget, authority = signals(profile, {"budget": (("company size", "fax"), False), "authority": ((), True)})
    assert [line["criterion"] for line in budget["lines"]] == ["company size"]
    assert budget["unused"] == ["fax"]
    assert authority == {"signal": "authority", "guessed": True, "lines": [], "unused": []}
