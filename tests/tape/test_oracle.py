"""Every feature equals plain SQL that was written from its description."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from tape import oracle
from tape.feature_sets import EVERYTHING, FEW, VARIANTS
from tape.histories import MINUTE, case
from tape.oracle.compare import differences
from tape.test_future import encoded

from mqlml.tape import learn_feature_set
from mqlml.tape.build import build_features
from mqlml.tape.features import FAMILIES, FeatureSet

SEEDS, MANY_SEEDS = range(5), range(5, 60)


def compare(make: Any, seed: int) -> None:
    history, marks = case(seed).of(make)
    assert not differences(history, marks, VARIANTS[seed % len(VARIANTS)])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_feature_when_the_history_is_random_then_equals_plain_sql(make: Any, seed: int) -> None:
    compare(make, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY_SEEDS)
def test_every_feature_when_there_are_many_histories_then_equals_plain_sql(make: Any, seed: int) -> None:
    compare(make, seed)


@pytest.mark.parametrize("what", FEW)
def test_every_feature_when_something_is_missing_then_equals_plain_sql(make: Any, what: str) -> None:
    history, marks = case(1, events=80, marks=30).of(make)
    assert not differences(history, marks, FEW[what])


@pytest.mark.parametrize("until", [None, datetime(2024, 12, 1, tzinfo=UTC)])
def test_every_feature_when_the_set_is_learned_then_equals_plain_sql(make: Any, until: datetime | None) -> None:
    history, marks = case(1).of(make)
    config = make.config(
        leads={"path": "leads.csv", "timezone": "America/New_York"},
        events={"path": "e.csv", "by_sales": ["call"], "tracked": "consent"},
        features={"max_event_types": 3, "max_assets": 2, "max_channels": 1, "families": FAMILIES},
    )
    features = learn_feature_set(history, config, until=until, attributes=["stage", "size", "source", "score"])
    assert (len(features.named_assets), len(features.channels), features.accounts, features.stages) == (
        2,
        1,
        True,
        True,
    )
    assert not differences(history, marks, features)


def test_features_when_the_other_families_are_off_then_the_same_bytes(make: Any) -> None:
    history, marks = case(1, events=120, marks=40).of(make)
    together = build_features(history, marks, VARIANTS[0])
    for family in FAMILIES:
        alone = build_features(history, marks, replace(VARIANTS[0], families=(family,))).drop_columns(["lead_id", "at"])
        assert alone.num_columns
        assert all(encoded(alone[name]) == encoded(together[name]) for name in alone.column_names), family


@pytest.mark.parametrize("seed", range(3))
def test_features_when_some_are_left_out_then_the_others_have_the_same_bytes(make: Any, seed: int) -> None:
    history, marks = case(1, events=120, marks=40).of(make)
    together = build_features(history, marks, VARIANTS[0])
    names = [feature.name for feature in VARIANTS[0].features]
    random = np.random.default_rng(seed)
    # Few are kept, so that whole families, fields and pairs go, too.
    left_out = [name for name in names if random.random() < 0.9]
    fewer = VARIANTS[0].without(left_out)
    found = build_features(history, marks, fewer).drop_columns(["lead_id", "at"])
    assert found.column_names == [name for name in names if name not in left_out]
    assert fewer.layout.size < VARIANTS[0].layout.size
    assert all(encoded(found[name]) == encoded(together[name]) for name in found.column_names)


# The clock goes forward or back: also at midnight, by half an hour, and by a whole day.
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2025-03-30"),
        ("Europe/Berlin", "2025-10-26"),
        ("Europe/Berlin", "2055-10-31"),
        ("America/Sao_Paulo", "2018-02-18"),
        ("America/Sao_Paulo", "2018-11-04"),
        ("America/St_Johns", "2006-10-29"),
        ("Australia/Lord_Howe", "2025-04-06"),
        ("Pacific/Apia", "2011-12-30"),
        ("Europe/Lisbon", "1966-10-02"),
    ],
)
def test_days_and_hours_when_the_clock_changes_then_those_on_the_wall(make: Any, zone: str, day: str) -> None:
    noon = int(datetime.fromisoformat(day + "T12:00Z").timestamp()) * 1_000_000
    rng = np.random.default_rng(0)
    leads = [f"lead {number}" for number in range(12)]
    times = noon + rng.integers(-96, 96, size=200) * 30 * MINUTE + rng.choice([0, 0, -1, 1], size=200)
    events = [{"lead_id": leads[rng.integers(12)], "occurred_at": int(time), "event_type": "web"} for time in times]
    history = make.history([{"lead_id": lead, "created_at": noon - 60 * make.day} for lead in leads], events=events)
    marks = make.marks(*((lead, noon + hours * 60 * MINUTE) for lead in leads for hours in range(-48, 60, 12)))
    families = ("count", "active_days", "silence", "tempo", "rhythm")
    features = FeatureSet(event_types=("web",), windows_days=(1, 2), families=families, zone=zone)
    assert not differences(history, marks, features)


def test_families_when_listed_then_each_has_an_oracle_and_features_that_are_compared() -> None:
    assert set(oracle.FAMILIES) == set(FAMILIES)
    for features in (EVERYTHING, VARIANTS[0]):
        assert set(features.families) == set(FAMILIES) == {feature.family for feature in features.features}
