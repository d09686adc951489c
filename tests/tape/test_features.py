"""A feature set is plain data, and explains itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mqlml.tape.features import FAMILIES, Attribute, Feature, FeatureSet, Pair
from mqlml.tape.traffic import Traffic

FULL = FeatureSet(
    event_types=("web", "form | page"),
    attributes=(Attribute("utm[source]", "category", "creation"), Attribute("size", "number", "history")),
    other=True,
    valued_types=("form | page", "other"),
    dropped_types=("call",),
    assets=True,
    named_assets=("pricing",),
    other_assets=True,
    channels=("email", "any.thing"),
    other_channels=True,
    pairs=(Pair("web", "form | page", 1), Pair("other", "web", 7)),
    families=FAMILIES,
    stages=True,
    accounts=True,
    zone="Europe/Berlin",
    tracked="consent",
    traffic=Traffic(sends=("mail",), burst_events=3, burst_seconds=2),
)


@pytest.mark.parametrize("features", [FULL, FeatureSet(), FeatureSet(event_types=("web",))])
def test_feature_set_when_written_as_json_then_read_back_equal(features: FeatureSet) -> None:
    assert FeatureSet.from_dict(json.loads(json.dumps(features.to_dict()))) == features


def test_without_when_features_are_left_out_then_what_only_they_needed_goes_too() -> None:
    stay = {"lead.size", "events.web.count_30d", "pairs.web > form | page.within_1d.days_since_last", "stage.days_in"}
    left_out = tuple(f.name for f in FULL.features if f.name not in stay)
    fewer = FULL.without({*left_out, "never heard of"})
    assert {f.name for f in fewer.features} == stay
    assert fewer.left_out == left_out
    assert fewer.families == ("attribute", "count", "pairs", "stage")
    assert fewer.attributes == (Attribute("size", "number", "history"),)
    assert fewer.pairs == (Pair("web", "form | page", 1),)
    assert fewer.valued_types == ()
    assert not fewer.identifies_assets
    assert not fewer.counts_assets
    assert not fewer.uses_channels
    assert not fewer.watches_accounts
    assert FeatureSet.from_dict(json.loads(json.dumps(fewer.to_dict()))) == fewer
    assert FULL.diff(fewer)[-1].startswith("Left out: added 'lead.utm[source]', ")


def test_without_when_a_field_keeps_only_its_changes_then_it_stays_on_the_tape() -> None:
    fewer = FULL.without({"lead.size", "changes.size.days_since_last"})
    assert fewer.attributes == FULL.attributes
    again = fewer.without({"changes.size.count_ever"})
    assert again.attributes == FULL.attributes[:1]
    assert again.left_out == ("lead.size", "changes.size.days_since_last", "changes.size.count_ever")


def test_without_when_nothing_is_left_out_then_the_same_features() -> None:
    assert FULL.without(()).features == FULL.features


def test_feature_set_when_a_key_is_unknown_then_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        FeatureSet.from_dict({"colour": "red"})


def test_features_when_listed_then_names_are_unique_and_every_one_is_explained() -> None:
    listed = FULL.features
    assert len({f.name for f in listed}) == len(listed)
    assert {f.family for f in listed} == set(FAMILIES)
    assert all(f.description.endswith(".") and f.description[0].isupper() and f.unit and f.criterion for f in listed)
    assert all((f.unit == "category") == (f.kind == "category") for f in listed)


def test_features_when_listed_then_groups_are_those_of_their_families() -> None:
    groups: dict[str, set[str]] = {}
    for feature in FULL.features:
        groups.setdefault(feature.family, set()).add(feature.group)
    assert groups["attribute"] == groups["changes"] == groups["stage"] == {"fit"}
    timing = ("age", "recency", "first_touch", "momentum", "silence", "tempo", "rhythm")
    assert all(groups[family] == {"timing"} for family in timing)
    since = {f.group for f in FULL.features if f.since and f.family != "changes"}
    assert since == {"timing"}
    others = [f for f in FULL.features if not f.since and f.family not in (*timing, "attribute", "changes", "stage")]
    assert {f.group for f in others} == {"engagement"}


def test_places_when_laid_out_then_no_two_features_share_one() -> None:
    places = [placed.place for placed in FULL.placed if placed.place is not None]
    assert len(set(places)) == len(places)
    assert 0 <= min(places) < max(places) < FULL.layout.size


def test_criteria_when_a_user_reads_them_then_all_measures_of_a_thing_go_by_one() -> None:
    def criteria(start: str) -> set[str]:
        return {f.criterion for f in FULL.features if f.name.startswith(start)}

    assert criteria("assets.pricing.") == {"pricing"}
    assert criteria("assets.other.") == {"other assets"} != criteria("events.other.")
    assert criteria("pairs.web >") == {"form | page after web"}
    assert criteria("changes.size.") == criteria("lead.size") == {"size"}
    assert criteria("events.web.") == {"web"}


def test_difference_when_two_sets_differ_then_said_in_sentences() -> None:
    newer = replace(
        FULL,
        event_types=("web", "chat"),
        windows_days=(90, 30, 7, 1),
        attributes=FULL.attributes[:1],
        pairs=(),
        zone="UTC",
    )
    assert FULL.diff(newer) == (
        "Event types: added 'chat'; removed 'form | page'.",
        "Windows days: another order.",
        "Attributes: removed 'size' (number, history).",
        "Pairs: removed 'web' > 'form | page' within 1 days, 'other' > 'web' within 7 days.",
        "Zone: 'Europe/Berlin' became 'UTC'.",
    )
    assert FULL.diff(FULL) == ()


def test_since_when_a_feature_tells_how_long_ago_then_missing_means_never() -> None:
    since = {f.name for f in FULL.features if f.since}
    assert {"events.any.days_since_first", "assets.pricing.days_since_last", "changes.size.days_since_last"} < since
    assert not {"stage.days_in", "time.age_days", "silence.longest_days"} & since
    assert isinstance(FULL.features[0], Feature)


def test_dictionary_when_a_name_holds_a_bar_then_the_table_stays_a_table() -> None:
    lines = FeatureSet(event_types=("form | page",)).dictionary().splitlines()
    assert lines[0] == "| feature | meaning | unit | group |"
    assert all(line.replace("\\|", "").count("|") == 5 for line in lines)
    assert "| time.age_days | Days since the lead was created. | days | timing |" in lines
