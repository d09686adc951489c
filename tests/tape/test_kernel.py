"""Numbers worked out by hand, to the microsecond."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mqlml.tape.compiling import compiled
from mqlml.tape.features import Attribute, FeatureSet
from mqlml.tape.kernel import DAY_US, play, recipe_of
from mqlml.tape.state import Tape

WEB_AND_FORM = FeatureSet(event_types=("web", "form"), valued_types=("form",), assets=True, other=True)
LEADS = [{"lead_id": "a"}]


def event(make: Any, days: float, event_type: str = "web", *, plus_us: int = 0, **more: Any) -> dict[str, Any]:
    occurred_at = make.start + round(days * make.day) + plus_us
    return {"lead_id": "a", "occurred_at": occurred_at, "event_type": event_type, **more}


def test_row_when_a_lead_has_five_events_then_every_number_is_the_one_worked_out_by_hand(make: Any) -> None:
    events = [
        event(make, 10.00, "web", asset="home"),
        event(make, 70.25, "form", asset="demo", value=2.5),
        event(make, 70.50, "form", asset="demo", value=-0.5),
        event(make, 95.00, "chat", asset="home", value=9.0),
        event(make, 99.50, "web"),
    ]
    row = make.row(make.history(LEADS, events=events), WEB_AND_FORM, "a", make.start + 100 * make.day)
    week, month = (sum(2 ** (-age / half) for age in (90.0, 29.75, 29.5, 5.0, 0.5)) for half in (7, 30))
    assert row.pop("events.any.intensity_7d") == pytest.approx(week, rel=1e-14)
    assert row.pop("events.any.intensity_30d") == pytest.approx(month, rel=1e-14)
    assert {name: value for name, value in row.items() if name not in ("lead_id", "at")} == {
        "time.age_days": 100.0,
        "events.any.count_1d": 1.0,
        "events.any.count_7d": 2.0,
        "events.any.count_30d": 4.0,
        "events.any.count_90d": 5.0,
        "events.any.count_ever": 5.0,
        "events.any.active_days_1d": 1.0,
        "events.any.active_days_7d": 2.0,
        "events.any.active_days_30d": 3.0,
        "events.any.active_days_90d": 4.0,
        "events.any.active_days_ever": 4.0,
        "events.any.assets_30d": 2.0,
        "events.any.assets_90d": 2.0,
        "events.any.assets_ever": 2.0,
        "events.any.days_since_last": 0.5,
        "events.any.days_since_first": 90.0,
        "events.web.count_1d": 1.0,
        "events.web.count_7d": 1.0,
        "events.web.count_30d": 1.0,
        "events.web.count_90d": 2.0,
        "events.web.count_ever": 2.0,
        "events.web.days_since_last": 0.5,
        "events.form.count_1d": 0.0,
        "events.form.count_7d": 0.0,
        "events.form.count_30d": 2.0,
        "events.form.count_90d": 2.0,
        "events.form.count_ever": 2.0,
        "events.form.days_since_last": 29.5,
        "events.form.value_30d": 2.0,
        "events.form.value_90d": 2.0,
        "events.form.value_ever": 2.0,
        "events.other.count_1d": 0.0,
        "events.other.count_7d": 1.0,
        "events.other.count_30d": 1.0,
        "events.other.count_90d": 1.0,
        "events.other.count_ever": 1.0,
        "events.other.days_since_last": 5.0,
    }


def test_row_when_nothing_happened_then_counts_are_zero_and_times_missing(make: Any) -> None:
    row = make.row(make.history(LEADS, events=[event(make, 3)]), WEB_AND_FORM, "a", make.start + make.day)
    assert {row[f.name] for f in WEB_AND_FORM.features if f.family in ("count", "value", "active_days")} == {0.0}
    assert {math.isnan(row[f.name]) for f in WEB_AND_FORM.features if f.family in ("recency", "first_touch")} == {True}
    assert row["events.any.intensity_7d"] == 0.0


@pytest.mark.parametrize(("plus_us", "count"), [(-1, 1.0), (0, 0.0), (1, 0.0)])
def test_count_when_an_event_is_at_the_mark_then_only_strictly_before_counts(
    make: Any, plus_us: int, count: float
) -> None:
    history = make.history(LEADS, events=[event(make, 5, plus_us=plus_us)])
    row = make.row(history, WEB_AND_FORM, "a", make.start + 5 * make.day)
    assert (row["events.web.count_1d"], row["events.web.count_ever"]) == (count, count)


@pytest.mark.parametrize("window", [1, 7, 30, 90])
@pytest.mark.parametrize(("plus_us", "inside"), [(-1, 0.0), (0, 1.0), (1, 1.0)])
def test_window_when_an_event_is_at_its_start_then_the_start_belongs_to_it(
    make: Any, window: int, plus_us: int, inside: float
) -> None:
    history = make.history(LEADS, events=[event(make, 100 - window, plus_us=plus_us, asset="x")])
    row = make.row(history, WEB_AND_FORM, "a", make.start + 100 * make.day)
    assert row[f"events.web.count_{window}d"] == inside
    assert row[f"events.any.active_days_{window}d"] == inside
    assert row["events.web.count_ever"] == 1.0


@pytest.mark.parametrize(("plus_us", "count"), [(-1, 1.0), (0, 0.0), (1, 0.0)])
def test_count_when_an_event_is_recorded_at_the_mark_then_only_strictly_before_counts(
    make: Any, plus_us: int, count: float
) -> None:
    late = event(make, 2, recorded_at=make.start + 5 * make.day + plus_us)
    row = make.row(make.history(LEADS, events=[late]), WEB_AND_FORM, "a", make.start + 5 * make.day)
    assert row["events.web.count_ever"] == count


def test_rows_when_a_fact_arrives_late_then_it_appears_from_its_record_on(make: Any) -> None:
    from mqlml.tape.build import build_features

    events = [
        event(make, 1, "form", value=4.0, asset="demo", recorded_at=make.start + 6 * make.day),
        event(make, 2, "web", asset="demo"),
        event(make, 8, "web", asset="home"),
    ]
    marks = make.marks(*(("a", make.start + day * make.day) for day in (2, 3, 6, 7, 9)))
    table = build_features(make.history(LEADS, events=events), marks, WEB_AND_FORM)
    assert table["events.any.count_ever"].to_pylist() == [0, 1, 1, 2, 3]
    assert table["events.form.value_90d"].to_pylist() == [0, 0, 0, 4, 4]
    assert table["events.any.assets_ever"].to_pylist() == [0, 1, 1, 1, 2]
    assert table["events.any.assets_30d"].to_pylist() == [0, 1, 1, 1, 2]
    assert table["events.any.days_since_first"].to_pylist()[1:] == [1, 4, 6, 8]
    assert table["events.any.active_days_ever"].to_pylist() == [0, 1, 1, 2, 3]


def test_value_when_not_a_finite_number_then_it_adds_nothing(make: Any) -> None:
    values = (None, math.nan, math.inf, -math.inf, 1.5)
    history = make.history(LEADS, events=[event(make, 1, "form", value=value) for value in values])
    row = make.row(history, WEB_AND_FORM, "a", make.start + 2 * make.day)
    assert (row["events.form.value_ever"], row["events.form.value_30d"], row["events.form.count_ever"]) == (1.5, 1.5, 5)


def test_row_when_a_colleague_is_active_then_only_the_lead_itself_counts(make: Any) -> None:
    leads = [{"lead_id": "a", "account_id": "acme"}, {"lead_id": "b", "account_id": "acme"}]
    events = [event(make, 1, asset="x"), {**event(make, 2, asset="x"), "lead_id": "b"}]
    history = make.history(leads, events=events)
    rows = [make.row(history, WEB_AND_FORM, lead, make.start + 3 * make.day) for lead in "ab"]
    assert [r["events.any.count_ever"] for r in rows] == [1, 1]
    assert [r["events.any.assets_ever"] for r in rows] == [1, 1]
    assert [r["events.any.days_since_first"] for r in rows] == [2, 1]


def test_type_when_unseen_at_training_then_any_activity_counts_it_alone(make: Any) -> None:
    features = FeatureSet(event_types=("web",), dropped_types=("call",))
    history = make.history(LEADS, events=[event(make, 1, name) for name in ("web", "new", "call")])
    row = make.row(history, features, "a", make.start + 2 * make.day)
    assert (row["events.any.count_ever"], row["events.web.count_ever"]) == (2, 1)


def test_days_when_before_1970_then_they_are_calendar_days_too() -> None:
    features = FeatureSet(event_types=("web",), windows_days=(7,), half_lives_days=())
    time = np.array([-DAY_US - 1, -DAY_US, -1, 0, 1])
    ones = np.ones(5, dtype=np.int32)
    tape = Tape(
        key=ones,
        time=time,
        kind=np.array([1, 1, 1, 1, 0], dtype=np.int8),
        lead=np.zeros(5, dtype=np.int64),
        type=0 * ones,
        asset=np.full(5, -1),
        channel=-ones,
        value=np.zeros(5),
        known=time,
    )
    row = dict(zip((f.name for f in features.event_features), play(tape, recipe_of(features))[0], strict=True))
    assert (row["events.any.active_days_7d"], row["events.any.active_days_ever"]) == (3, 3)


CHANGES = [
    {"changed_at": 10, "field": "stage", "value": "warm", "old_value": "cold"},
    {"changed_at": 20, "field": "stage", "value": None, "old_value": "warm"},
    {"changed_at": 30, "field": "size", "value": "12.5", "old_value": "a dozen"},
]
AS_OF = FeatureSet(attributes=(Attribute("stage", "category", "history"), Attribute("size", "number", "history")))


@pytest.mark.parametrize(
    ("days", "plus_us", "has_old_value", "stage", "size"),
    [
        (5, 0, True, "cold", None),
        (5, 0, False, None, None),
        (10, 0, True, "cold", None),
        (10, 1, True, "warm", None),
        (10, 1, False, "warm", None),
        (20, 1, True, None, None),
        (30, 0, True, None, None),
        (30, 1, False, None, 12.5),
    ],
)
def test_attribute_when_a_field_changes_then_the_mark_sees_its_own_moment(
    make: Any, days: int, plus_us: int, has_old_value: bool, stage: str | None, size: float | None
) -> None:
    changes = [
        {**c, "lead_id": "a", "changed_at": make.start + c["changed_at"] * make.day, "has_old_value": has_old_value}
        for c in CHANGES
    ]
    history = make.history(LEADS, changes=changes, attributes={"stage": ["today"], "size": [99.0]})
    row = make.row(history, AS_OF, "a", make.start + days * make.day + plus_us)
    assert row["lead.stage"] == stage
    assert row["lead.size"] == size if size is not None else math.isnan(row["lead.size"])


@pytest.mark.parametrize(("has_old_value", "expected"), [(True, ("hot", 7.0)), (False, (None, None))])
def test_attribute_when_it_never_changed_then_the_leads_table_holds_only_if_old_values_are_told(
    make: Any, has_old_value: bool, expected: tuple[Any, Any]
) -> None:
    told = {"lead_id": "b", "changed_at": make.start, "has_old_value": has_old_value}
    changes = [{**told, "field": field} for field in ("stage", "size")]
    history = make.history(
        [*LEADS, {"lead_id": "b"}], changes=changes, attributes={"stage": ["hot", "x"], "size": [7.0, 1.0]}
    )
    row = make.row(history, AS_OF, "a", make.start + make.day)
    assert (row["lead.stage"], None if math.isnan(row["lead.size"]) else row["lead.size"]) == expected


def test_kernel_when_compiled_code_can_be_kept_nowhere_then_it_compiles_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    assert compiled(twice)(21) == 42


def twice(number: int) -> int:
    return 2 * number
