"""What is computed is chosen from the past, is plain data, and explains itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mqlml.tape.features import Attribute, FeatureSet
from mqlml.tape.vocabulary import learn_feature_set

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


def test_feature_set_when_written_as_json_then_read_back_equal(make: Any) -> None:
    features = FeatureSet(
        event_types=("web", "form | page"),
        attributes=(Attribute("utm[source]", "category", "creation"),),
        other=True,
        valued_types=("form | page", "other"),
        dropped_types=("call",),
        assets=True,
    )
    assert FeatureSet.from_dict(json.loads(json.dumps(features.to_dict()))) == features


def test_features_when_listed_then_names_are_unique_and_every_one_is_explained() -> None:
    features = FeatureSet(event_types=("a", "b"), other=True, valued_types=("a",), assets=True)
    listed = features.features
    assert len({f.name for f in listed}) == len(listed)
    assert all(f.description.endswith(".") and f.unit for f in listed)
    assert {f.group for f in listed} == {"engagement", "timing"}


def test_dictionary_when_a_name_holds_a_bar_then_the_table_stays_a_table() -> None:
    lines = FeatureSet(event_types=("form | page",)).dictionary().splitlines()
    assert lines[0] == "| feature | meaning | unit | group |"
    assert all(line.replace("\\|", "").count("|") == 5 for line in lines)
    assert "| time.age_days | Days since the lead was created. | days | timing |" in lines
