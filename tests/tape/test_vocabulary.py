"""What is computed is chosen from the past: types, assets and channels by how often they occurred until then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from mqlml.config import Family
from mqlml.errors import UsageError
from mqlml.tape.engine import Use
from mqlml.tape.features import DEFAULT_FAMILIES, FAMILIES, Attribute, FeatureSet
from mqlml.tape.vocabulary import _lasting, learn_feature_set

UNTIL = datetime(2025, 3, 1, tzinfo=UTC)
NAIVE_UNTIL = UNTIL.replace(tzinfo=None)


def events(make: Any, *counts: tuple[str, int], **more: Any) -> list[dict[str, Any]]:
    row = {"lead_id": "a", "occurred_at": make.start, **more}
    return [{**row, "event_type": name} for name, count in counts for _ in range(count)]


def learn(make: Any, rows: list[dict[str, Any]], *, attributes: Any = (), **sections: Any) -> FeatureSet:
    return learn_feature_set(
        make.history([{"lead_id": "a"}], events=rows), make.config(**sections), until=UNTIL, attributes=attributes
    )


def test_event_types_when_more_than_the_cap_then_the_most_frequent_and_other(make: Any) -> None:
    rows = events(make, ("web", 3), ("form", 1), ("mail", 2), ("call", 2))
    features = learn(make, rows, features={"max_event_types": 3})
    assert features.event_types == ("web", "call", "mail")
    assert features.other
    assert features.named_types == ("web", "call", "mail", "other")


def test_event_types_when_all_fit_then_no_other(make: Any) -> None:
    features = learn(make, events(make, ("web", 1)))
    assert not features.other
    assert not [f.name for f in features.features if "other" in f.name]


@pytest.mark.parametrize("late", [{"occurred_at": NAIVE_UNTIL}, {"recorded_at": NAIVE_UNTIL}, {"lead_id": "nobody"}])
def test_event_types_when_at_until_or_recorded_then_or_of_nobody_then_unknown(make: Any, late: dict[str, Any]) -> None:
    features = learn(make, [*events(make, ("web", 1)), *events(make, ("new", 5), **late)])
    assert features.event_types == ("web",)
    assert not features.other


def test_event_types_when_made_by_sales_then_dropped_and_noted(make: Any) -> None:
    rows = events(make, ("web", 1), ("call", 5), ("meeting", 5))
    features = learn(make, rows, events={"path": "e", "by_sales": ["call", "meeting"], "use": ["meeting"]})
    assert features.event_types == ("meeting", "web")
    assert features.dropped_types == ("call",)
    assert "'call'" in features.notes[0]


def test_event_types_when_named_like_our_own_words_then_they_count_as_other(make: Any) -> None:
    features = learn(make, events(make, ("any", 3), ("other", 2), ("web", 1)))
    assert features.named_types == ("web", "other")


def test_values_and_assets_when_no_event_has_any_then_no_features(make: Any) -> None:
    rows = [*events(make, ("web", 1)), *events(make, ("form", 1), value=float("nan"))]
    names = [f.name for f in learn(make, rows).features]
    assert not [n for n in names if "value" in n or "asset" in n]


def test_values_and_assets_when_some_have_them_then_the_longest_windows_and_ever(make: Any) -> None:
    rows = [*events(make, ("web", 2)), *events(make, ("form", 1), value=2.0, asset="page")]
    names = [f.name for f in learn(make, rows).features]
    assert [n for n in names if "value" in n] == [f"events.form.value_{w}" for w in ("30d", "90d", "ever")]
    assert [n for n in names if n.startswith("events.any.assets")] == [
        f"events.any.assets_{w}" for w in ("30d", "90d", "ever")
    ]


def test_attributes_when_a_field_ever_changes_then_its_source_is_the_history(make: Any) -> None:
    history = make.history(
        [{"lead_id": "a"}],
        changes=[{"lead_id": "a", "changed_at": make.start + 900 * make.day, "field": "stage", "value": "x"}],
        attributes={"stage": ["x"], "size": [1.0]},
    )
    features = learn_feature_set(history, make.config(), until=UNTIL, attributes=["stage", "size"])
    assert features.attributes == (Attribute("stage", "category", "history"), Attribute("size", "number", "creation"))


def test_learning_when_the_history_has_no_dates_then_attributes_only(make: Any) -> None:
    history = make.history(
        [{"lead_id": "a", "created_at": None}], events=events(make, ("web", 1)), attributes={"size": [1.0]}
    )
    features = learn_feature_set(history, make.config(), until=None, attributes=["size"])
    assert [f.name for f in features.features] == ["lead.size"]


def test_names_when_more_than_the_caps_then_the_most_frequent_and_other(make: Any) -> None:
    used = [("home", "web"), ("home", "web"), ("demo", "mail"), ("jobs", "tv"), ("any", "other"), (None, None)]
    rows = [event for asset, channel in used for event in events(make, ("click", 1), asset=asset, channel=channel)]
    features = learn(make, rows, features={"max_assets": 2, "max_channels": 5})
    assert (features.named_assets, features.other_assets) == (("home", "demo"), True)
    assert (features.channels, features.other_channels) == (("web", "mail", "tv"), True)
    fewer = learn(make, rows[:2], features={"max_assets": 2})
    assert (fewer.named_assets, fewer.other_assets, fewer.other_channels) == (("home",), False, False)


@pytest.mark.parametrize("late", [{"occurred_at": NAIVE_UNTIL}, {"recorded_at": NAIVE_UNTIL}, {"lead_id": "nobody"}])
def test_names_when_at_until_or_recorded_then_or_of_nobody_then_unknown(make: Any, late: dict[str, Any]) -> None:
    rows = [*events(make, ("web", 1), asset="a"), *events(make, ("web", 5), **{"asset": "b", "channel": "c", **late})]
    features = learn(make, rows)
    assert (features.named_assets, features.other_assets, features.channels) == (("a",), False, ())


def test_lasting_when_assets_came_late_or_went_early_then_only_those_in_use_for_long_and_still_are_named() -> None:
    uses = {
        "home": Use(9, 0, 100),
        "old": Use(50, 0, 79),
        "new": Use(50, 51, 100),
        "course": Use(50, 20, 60),
        "since half way": Use(3, 50, 80),
    }
    assert _lasting(uses) == {"home": 9, "since half way": 3}
    assert _lasting({}) == {}


def test_names_when_only_sales_used_them_then_none(make: Any) -> None:
    rows = [*events(make, ("web", 1)), *events(make, ("call", 5), asset="desk", channel="phone")]
    features = learn(make, rows, events={"path": "e", "by_sales": ["call"]})
    assert (features.named_assets, features.channels, features.assets) == ((), (), False)


@pytest.mark.parametrize(("day", "stages", "accounts"), [(59, True, True), (60, False, False)])
def test_stages_and_accounts_when_known_before_until_then_looked_at(
    make: Any, day: int, stages: bool, accounts: bool
) -> None:
    made_at = int(UNTIL.timestamp()) * 1_000_000 + (day - 59) * make.day - 1
    leads = [{"lead_id": lead, "account_id": account} for lead, account in (("a", "acme"), ("b", None), ("c", None))]
    leads.append({"lead_id": "d", "account_id": "acme", "created_at": made_at})
    history = make.history(leads, stages=[{"lead_id": "a", "stage": "demo", "entered_at": made_at}])
    features = learn_feature_set(history, make.config(), until=UNTIL, attributes=[])
    assert (features.stages, features.accounts) == (stages, accounts)


def test_families_when_none_are_named_then_the_default_ones(make: Any) -> None:
    assert learn(make, []).families == DEFAULT_FAMILIES
    chosen = learn(make, events(make, ("web", 1)), features={"families": ["recency", "count"]})
    assert chosen.families == ("count", "recency")
    assert {feature.family for feature in chosen.features} == {"count", "recency"}


def test_families_when_listed_in_the_settings_then_they_are_those_of_the_tape(make: Any) -> None:
    assert get_args(Family) == FAMILIES
    with pytest.raises(UsageError, match="families"):
        make.config(features={"families": ["counts"]})


def test_feature_set_when_settings_are_made_then_they_are_kept(make: Any) -> None:
    features = learn(
        make,
        events(make, ("web", 1)),
        leads={"path": "l", "timezone": "Europe/Berlin"},
        events={"path": "e", "tracked": "consent"},
        features={"session_gap_minutes": 45, "windows_days": [30, 7, 7]},
    )
    assert (features.zone, features.tracked, features.session_gap_minutes) == ("Europe/Berlin", "consent", 45)
    assert (features.windows_days, features.pairs) == ((7, 30), ())


def test_learning_when_done_then_the_connection_is_as_before(make: Any) -> None:
    history = make.history([{"lead_id": "a"}], events=[])
    relations = history.connection.sql("SHOW ALL TABLES").fetchall()
    learn_feature_set(history, make.config(), until=None, attributes=[])
    assert history.connection.sql("SHOW ALL TABLES").fetchall() == relations
