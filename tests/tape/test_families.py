"""Every family on a history small enough to work its numbers out by hand; it begins at midnight on a Wednesday."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mqlml.errors import DataRefused
from mqlml.tape.build import build_features
from mqlml.tape.features import FAMILIES, Attribute, FeatureSet, Pair

LEADS = [{"lead_id": "a"}]
NAN = pytest.approx(float("nan"), nan_ok=True)
BASE = FeatureSet(event_types=("web", "mail"), windows_days=(1, 7, 30), half_lives_days=(), other=True)


def on(family: str, **more: Any) -> FeatureSet:
    return replace(BASE, families=(family,), **more)


def event(make: Any, days: float, event_type: str = "web", *, minutes: int = 0, **more: Any) -> dict[str, Any]:
    occurred_at = make.start + round(days * make.day) + minutes * 60_000_000
    return {"lead_id": "a", "occurred_at": occurred_at, "event_type": event_type, **more}


def numbers(make: Any, features: FeatureSet, events: list[dict[str, Any]], *, day: float, **more: Any) -> Any:
    """The row of lead ``a`` without its key, by the end of the feature's name."""
    history = make.history(LEADS, events=events, **more)
    row = make.row(history, features, "a", make.start + round(day * make.day))
    return {name.partition(".")[2]: value for name, value in row.items() if name not in ("lead_id", "at")}


def test_asset_counts_when_assets_have_names_then_each_counts_and_the_rest_together(make: Any) -> None:
    features = on("asset_counts", named_assets=("pricing", "demo"), other_assets=True)
    events = [
        event(make, 5, asset="pricing"),
        event(make, 36, asset="pricing"),
        event(make, 37, asset="jobs"),
        event(make, 38, asset="a page nobody named"),
        event(make, 39),
    ]
    assert numbers(make, features, events, day=40) == {
        "pricing.count_7d": 1,
        "pricing.count_30d": 1,
        "pricing.count_ever": 2,
        "pricing.days_since_last": 4,
        "demo.count_7d": 0,
        "demo.count_30d": 0,
        "demo.count_ever": 0,
        "demo.days_since_last": NAN,
        "other.count_7d": 2,
        "other.count_30d": 2,
        "other.count_ever": 2,
        "other.days_since_last": 2,
    }


def test_channels_when_some_are_beyond_the_vocabulary_then_these_count_as_one(make: Any) -> None:
    features = on("channels", channels=("email",), other_channels=True)
    events = [
        event(make, day, channel=c) for day, c in ((1, "email"), (15, "fax"), (16, "tv"), (36, "fax"), (37, None))
    ]
    assert numbers(make, features, events, day=40) == {
        "any.distinct_7d": 1,
        "any.distinct_30d": 1,
        "any.distinct_ever": 2,
        "email.count_7d": 0,
        "email.count_30d": 0,
        "email.count_ever": 1,
        "other.count_7d": 1,
        "other.count_30d": 3,
        "other.count_ever": 3,
    }


def test_journey_when_a_lead_moves_on_then_its_first_and_last_step_by_name(make: Any) -> None:
    features = on("journey", channels=("email",))
    events = [event(make, 1, "mail", channel="email"), event(make, 2, "fair", channel="stand"), event(make, 4)]
    rows = [numbers(make, features, events, day=day) for day in (1, 2, 3, 5)]
    assert [list(row.values()) for row in rows] == [
        [None, None, None, None],
        ["mail", "mail", "email", "email"],
        ["mail", "other", "email", "other"],
        ["mail", "web", "email", None],
    ]
    assert list(rows[0]) == ["first_type", "last_type", "first_channel", "last_channel"]


def test_sessions_when_a_pause_is_longer_than_the_gap_then_a_new_one_begins(make: Any) -> None:
    minutes = (0, 30, 45, 76)  # a pause of exactly half an hour does not end a session, one of 31 minutes does
    events = [
        event(make, 1),
        *(event(make, 35, minutes=m) for m in minutes),
        event(make, 38),
        event(make, 38, minutes=5),
    ]
    assert numbers(make, on("sessions"), events, day=40) == {
        "count_1d": 0,
        "count_7d": 3,
        "count_30d": 3,
        "count_ever": 4,
        "minutes_7d": 50,
        "minutes_30d": 50,
        "minutes_ever": 50,
        "last_minutes": 5,
        "last_events": 2,
        "longest_minutes": 45,
    }


def test_sessions_when_a_window_cuts_one_then_it_began_before_and_its_minutes_inside_count(make: Any) -> None:
    events = [event(make, 3, minutes=m) for m in (-20, 10, 20)]
    row = numbers(make, on("sessions"), events, day=10)
    assert (row["count_7d"], row["count_30d"]) == (0, 1)
    assert (row["minutes_7d"], row["minutes_30d"]) == (40, 40)


def test_visits_when_an_asset_is_used_again_then_counted_where_it_was_used_before(make: Any) -> None:
    events = [event(make, day, asset=a) for day, a in ((1, "x"), (34, "y"), (35, "x"), (36, "x"), (37, None))]
    row = numbers(make, on("visits", assets=True), events, day=40)
    assert row == {"again_7d": 2, "again_30d": 2, "again_ever": 2, "most_ever": 3}


def test_momentum_when_a_week_has_more_than_its_share_then_above_one(make: Any) -> None:
    events = [event(make, day) for day in (12, 13, 34, 35, 36, 39.5)]
    row = numbers(make, on("momentum"), events, day=40)
    assert row["1d_7d"] == pytest.approx((1 + 1) / (3 * 1 / 6 + 1))
    assert row["7d_30d"] == pytest.approx((4 + 1) / (2 * 7 / 23 + 1))


def test_silence_when_a_lead_was_active_every_other_day_then_its_pause_in_these(make: Any) -> None:
    events = [event(make, 10), event(make, 12), event(make, 12.5), event(make, 14)]
    assert numbers(make, on("silence"), events, day=20) == {"ratio": 6 / 2, "longest_days": 2}
    assert numbers(make, on("silence"), events[:1], day=20) == {"ratio": NAN, "longest_days": NAN}
    assert numbers(make, on("silence"), events[1:3], day=20) == {"ratio": NAN, "longest_days": 0.5}


def test_tempo_when_a_lead_has_four_events_on_three_days_then_their_means(make: Any) -> None:
    events = [event(make, 10), event(make, 12), event(make, 12.5), event(make, 14)]
    row = numbers(make, on("tempo"), events, day=24)
    assert row == {"events_per_active_day": 4 / 3, "days_between_active_days": 2, "events_per_week": 4 / 2}
    young = numbers(make, on("tempo"), events[:1], day=11)
    assert young == {"events_per_active_day": 1, "days_between_active_days": NAN, "events_per_week": 1}
    assert list(numbers(make, on("tempo"), [], day=11).values()) == [NAN, NAN, NAN]


@pytest.mark.parametrize(
    ("zone", "minutes", "shares"),
    [
        ("UTC", 8 * 60, (1, 0, 0)),  # Wednesday 08:00
        ("UTC", 18 * 60, (0, 0, 0)),
        ("UTC", 22 * 60, (0, 0, 1)),
        ("UTC", 6 * 60 - 1, (0, 0, 1)),
        ("UTC", (3 * 24 + 12) * 60, (0, 1, 0)),  # Saturday noon
        ("Europe/Berlin", 7 * 60, (1, 0, 0)),  # an hour ahead in winter
        ("Europe/Berlin", (180 * 24 + 6) * 60, (1, 0, 0)),  # two in summer, Monday
        ("Europe/Berlin", (180 * 24 - 2) * 60, (0, 0, 1)),  # the Monday has just begun
        ("Asia/Kolkata", 2 * 60 + 29, (0, 0, 0)),  # 07:59
        ("Asia/Kolkata", 2 * 60 + 30, (1, 0, 0)),
    ],
)
def test_rhythm_when_a_clock_hangs_elsewhere_then_its_hours_count(
    make: Any, zone: str, minutes: int, shares: tuple[float, ...]
) -> None:
    row = numbers(make, on("rhythm", zone=zone), [event(make, 0, minutes=minutes)], day=300)
    assert (row["working_hours_share"], row["weekend_share"], row["night_share"]) == shares


def test_days_when_a_clock_hangs_elsewhere_then_its_calendar_counts(make: Any) -> None:
    events = [event(make, 10, minutes=m) for m in (-30, 30)]  # around midnight in UTC
    active = [numbers(make, on("active_days", zone=z), events, day=11) for z in ("UTC", "Europe/Berlin")]
    assert [row["any.active_days_7d"] for row in active] == [2, 1]
    assert [row["any.active_days_ever"] for row in active] == [2, 1]


def test_days_when_a_clock_shows_the_end_of_a_day_twice_then_it_is_one_day(make: Any) -> None:
    # In Newfoundland the clock went back an hour at 00:01, 02:31 UTC, on 7 November 2010.
    change = 1_289_097_060_000_000
    events = [{**event(make, 0), "occurred_at": change + m * 60_000_000} for m in (-10, -1, 1, 70)]
    history = make.history(LEADS, events=events)
    row = make.row(history, on("active_days", zone="America/St_Johns"), "a", change + make.day // 2)
    assert (row["events.any.active_days_1d"], row["events.any.active_days_ever"]) == (2, 2)


def test_tracking_when_a_lead_was_never_seen_or_not_lately_then_told_apart(make: Any) -> None:
    events = [event(make, 5)]
    told = [numbers(make, on("tracking"), events, day=day)["any.tracking"] for day in (5, 6, 35, 35.01)]
    assert told == ["untracked", "active", "active", "silent"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["No ", "yes", None], ["untracked", "silent", "untracked"]),
        ([0.0, 1.0, None], ["untracked", "silent", "untracked"]),
        (["F", "t", "0"], ["untracked", "silent", "untracked"]),
    ],
)
def test_tracking_when_a_column_tells_then_it_is_believed(make: Any, values: list[Any], told: list[str]) -> None:
    leads = [{"lead_id": lead} for lead in "abc"]
    history = make.history(leads, events=[event(make, 1)], attributes={"consent": values})
    marks = make.marks(*((lead, make.start + 2 * make.day) for lead in "abc"), ("a", None))
    table = build_features(history, marks, on("tracking", tracked="consent"))
    assert table["events.any.tracking"].to_pylist() == [*told, None]


def test_tracking_when_its_column_is_missing_then_refused(make: Any) -> None:
    history = make.history(LEADS, events=[])
    with pytest.raises(DataRefused, match=r"(?s)column 'consent'.*\[events\] tracked"):
        build_features(history, make.marks(("a", 1)), on("tracking", tracked="consent"))


def test_type_intensity_when_two_types_fade_then_each_by_itself(make: Any) -> None:
    features = on("type_intensity", half_lives_days=(7,))
    events = [event(make, 0), event(make, 3, "mail"), event(make, 7)]
    row = numbers(make, features, events, day=14)
    assert row["web.intensity_7d"] == pytest.approx(0.25 + 0.5, rel=1e-14)
    assert row["mail.intensity_7d"] == pytest.approx(2 ** (-11 / 7), rel=1e-14)
    assert row["other.intensity_7d"] == 0


@pytest.mark.parametrize(
    ("before_us", "count"), [(0, 0), (1, 1), (7 * 86_400_000_000, 1), (7 * 86_400_000_000 + 1, 0), (-1, 0)]
)
def test_pairs_when_the_first_is_some_time_before_then_it_counts_within_the_days(
    make: Any, before_us: int, count: int
) -> None:
    then = event(make, 20, "mail")
    first = {**event(make, 20), "occurred_at": then["occurred_at"] - before_us}
    row = numbers(make, on("pairs", pairs=(Pair("web", "mail", 7),)), [then, first], day=22)
    assert row == {
        "web > mail.within_7d.count_ever": count,
        "web > mail.within_7d.days_since_last": 2 if count else NAN,
    }


def test_pairs_when_the_newest_first_is_at_the_same_moment_then_the_one_before_it_counts(make: Any) -> None:
    events = [event(make, 19), event(make, 20), event(make, 20), event(make, 20, "mail")]
    pairs = (Pair("web", "mail", 7), Pair("web", "web", 7), Pair("other", "mail", 7))
    row = numbers(make, on("pairs", pairs=pairs), events, day=22)
    assert [row[name] for name in row if name.endswith("count_ever")] == [1, 2, 0]


FIELDS = (Attribute("size", "number", "history"), Attribute("plan", "category", "history"))


def test_changes_when_a_field_has_entries_then_these_count_but_not_the_value_from_the_beginning(make: Any) -> None:
    entry = {"lead_id": "a", "old_value": "1", "has_old_value": True}
    changes = [{**entry, "field": "size", "value": "2", "changed_at": make.start + d * make.day} for d in (3, 5, 9)]
    more = {"changes": changes, "attributes": {"size": [2.0], "plan": ["x"]}}
    assert numbers(make, on("changes", attributes=FIELDS), [], day=9, **more) == {
        "size.count_ever": 2,
        "size.days_since_last": 4,
        "plan.count_ever": 0,
        "plan.days_since_last": NAN,
    }


def test_changes_when_a_lead_came_with_a_value_then_that_is_no_change(make: Any) -> None:
    entry = {"lead_id": "a", "field": "size", "has_old_value": True}
    came = {**entry, "value": "1", "old_value": None, "changed_at": make.start}
    later = {**entry, "value": "2", "old_value": "1", "changed_at": make.start + 3 * make.day}
    features = on("changes", attributes=FIELDS)
    for changes, expected in (([came], (0, NAN)), ([came, later], (1, 6))):
        found = numbers(make, features, [], day=9, changes=changes, attributes={"size": [2.0], "plan": ["x"]})
        assert (found["size.count_ever"], found["size.days_since_last"]) == expected


def test_stage_when_a_lead_moves_then_its_stage_how_long_and_how_often(make: Any) -> None:
    steps = ((2, "new"), (4, "demo"), (6, "new"))
    stages = [{"lead_id": "a", "stage": s, "entered_at": make.start + day * make.day} for day, s in steps]
    features = on("stage", stages=True, attributes=FIELDS)
    rows = [numbers(make, features, [], day=day, stages=stages) for day in (2, 5, 9)]
    assert [list(row.values()) for row in rows] == [[None, NAN, 0], ["demo", 1, 2], ["new", 3, 3]]
    assert list(rows[0]) == ["current", "days_in", "moves"]
    assert numbers(make, features, [], day=9) == {"current": None, "days_in": NAN, "moves": 0}


def test_features_when_the_history_lacks_their_data_then_no_columns() -> None:
    full = replace(BASE, families=FAMILIES, half_lives_days=(7,))
    prefixes = {feature.name.partition(".")[0] for feature in full.features}
    assert prefixes == {"time", "events", "journey", "sessions", "momentum", "silence", "tempo", "rhythm"}
    assert [f.name for f in full.features if f.name.startswith("journey")] == [
        "journey.first_type",
        "journey.last_type",
    ]
    bare = FeatureSet(families=FAMILIES, named_assets=("x",), channels=("y",), assets=True, age=False)
    assert bare.features == ()


def test_families_when_any_selection_is_on_then_the_same_numbers_as_with_all(make: Any) -> None:
    rng = np.random.default_rng(1)
    everything = full_set()
    history = busy(make, rng)
    marks = make.marks(*((f"l{rng.integers(6)}", make.start + int(rng.integers(90)) * make.day) for _ in range(40)))
    whole = build_features(history, marks, everything)
    for chosen in ({"pairs", "stage"}, {"account"}, {"assets", "rhythm", "channels"}, {"value", "changes", "journey"}):
        part = build_features(history, marks, replace(everything, families=tuple(f for f in FAMILIES if f in chosen)))
        assert {f.family for f in everything.features if f.name in part.column_names} == chosen
        for name in part.column_names:
            assert plain(part[name]) == plain(whole[name]), name


def test_families_when_rows_and_batches_come_in_another_order_then_the_same_bytes(make: Any) -> None:
    features = full_set()
    marks = make.marks(*((f"l{i % 6}", make.start + i * 2 * make.day) for i in range(40)))
    whole = build_features(busy(make, np.random.default_rng(2)), marks, features)
    parts = build_features(busy(make, np.random.default_rng(2), backwards=True), marks, features, batch_rows=3)
    for name in whole.column_names:
        assert plain(whole[name]) == plain(parts[name]), name


def full_set() -> FeatureSet:
    return replace(
        BASE,
        families=FAMILIES,
        half_lives_days=(7,),
        attributes=FIELDS,
        assets=True,
        valued_types=("web",),
        named_assets=("x",),
        other_assets=True,
        channels=("email",),
        other_channels=True,
        pairs=(Pair("web", "other", 5),),
        stages=True,
        accounts=True,
        zone="Europe/Berlin",
    )


def busy(make: Any, rng: np.random.Generator, *, backwards: bool = False) -> Any:
    def moment() -> int:
        return int(make.start + rng.integers(400) * make.day // 4)

    def pick(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    leads = [{"lead_id": f"l{i}", "account_id": (None, "acme")[i > 1], "created_at": moment()} for i in range(6)]
    facts = [
        [
            {
                "lead_id": f"l{rng.integers(6)}",
                "occurred_at": (occurred_at := moment()),
                "recorded_at": pick(None, occurred_at, occurred_at + 3 * make.day),
                "event_type": pick("web", "mail", "fair"),
                "asset": pick(None, "x", "y", "z"),
                "channel": pick(None, "email", "fax"),
                "value": pick(None, 1.0, 0.5),
            }
            for _ in range(150)
        ],
        [
            {
                "lead_id": f"l{rng.integers(6)}",
                "changed_at": moment(),
                "field": pick("size", "plan"),
                "value": pick("1", "2"),
            }
            for _ in range(15)
        ],
        [{"lead_id": f"l{rng.integers(6)}", "stage": pick("new", "demo"), "entered_at": moment()} for _ in range(15)],
    ]
    events, changes, stages = ([*reversed(f)] if backwards else f for f in facts)
    changes = [{**c, "has_old_value": False} for c in changes]
    attributes = {"size": [1.0] * 6, "plan": ["x"] * 6}
    return make.history(leads, events=events, changes=changes, stages=stages, attributes=attributes)


def plain(column: pa.ChunkedArray) -> Any:
    return np.asarray(column).tobytes() if pa.types.is_floating(column.type) else column.to_pylist()
