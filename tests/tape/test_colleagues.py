"""What the other leads of an account did, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mqlml.tape.features import FeatureSet
from mqlml.tape.kernel import CREATED, DAY_US, EVENT, MARK, SKIPPED, play, recipe_of
from mqlml.tape.state import Tape

NAN = pytest.approx(float("nan"), nan_ok=True)
FEATURES = FeatureSet(
    event_types=("web",), windows_days=(1, 7), half_lives_days=(), other=True, families=("account",), accounts=True
)


def people(make: Any, **created_day: float) -> list[dict[str, Any]]:
    return [
        {"lead_id": lead, "account_id": "acme", "created_at": make.start + round(day * make.day)}
        for lead, day in created_day.items()
    ]


def event(make: Any, lead: str, day: float, event_type: str = "web", *, known: float | None = None) -> dict[str, Any]:
    recorded_at = None if known is None else make.start + round(known * make.day)
    occurred_at = make.start + round(day * make.day)
    return {"lead_id": lead, "occurred_at": occurred_at, "recorded_at": recorded_at, "event_type": event_type}


def seen(make: Any, leads: list[Any], events: list[Any], lead: str, day: float, *, plus_us: int = 0) -> dict[str, Any]:
    history = make.history(leads, events=events)
    row = make.row(history, FEATURES, lead, make.start + round(day * make.day) + plus_us)
    return {name.removeprefix("account."): value for name, value in row.items() if name.startswith("account.")}


def test_account_when_two_colleagues_are_active_then_every_number_is_the_one_worked_out_by_hand(make: Any) -> None:
    events = [
        *(event(make, "a", day) for day in (1, 9.5)),
        *(event(make, "b", day) for day in (2, 4)),
        event(make, "c", 6, "fair"),
        event(make, "c", 9.25),
    ]
    leads = people(make, a=0, b=1, c=3, d=9, late=10)
    assert seen(make, leads, events, "a", 10) == {
        "any.colleagues": 3,
        "any.days_since_first_colleague": 9,
        "any.events_1d": 1,
        "any.events_7d": 3,
        "any.events_ever": 4,
        "any.active_1d": 1,
        "any.active_7d": 2,
        "any.active_ever": 2,
        "any.days_since_last": 0.75,
        "web.events_7d": 2,
        "web.events_ever": 3,
        "other.events_7d": 1,
        "other.events_ever": 1,
    }
    assert seen(make, leads, events, "c", 10)["any.days_since_last"] == 0.5
    assert seen(make, leads, events, "c", 10)["any.days_since_first_colleague"] == 10
    assert seen(make, leads, events, "d", 10)["any.events_ever"] == 6


@pytest.mark.parametrize(("plus_us", "colleagues", "events"), [(0, 0, 0), (1, 1, 2)])
def test_account_when_a_colleague_is_created_then_it_and_what_it_did_before_count_from_then_on(
    make: Any, plus_us: int, colleagues: int, events: int
) -> None:
    leads = people(make, a=0, b=5)
    row = seen(make, leads, [event(make, "b", 3), event(make, "b", 4)], "a", 5, plus_us=plus_us)
    assert (row["any.colleagues"], row["any.events_ever"], row["any.active_7d"]) == (colleagues, events, colleagues)


@pytest.mark.parametrize(("day", "week", "ever"), [(8, 0, 0), (8.5, 1, 1), (9.5, 0, 1)])
def test_account_when_an_event_is_recorded_late_then_it_counts_from_its_record_in_the_windows_of_its_moment(
    make: Any, day: float, week: int, ever: int
) -> None:
    events = [event(make, "b", 2, known=8), event(make, "a", 2), event(make, "a", 9)]
    row = seen(make, people(make, a=0, b=1), events, "a", day)
    assert (row["any.events_7d"], row["any.events_ever"]) == (week, ever)
    assert row["any.days_since_last"] == (day - 2 if ever else NAN)


def test_account_when_a_lead_is_looked_at_before_its_creation_then_its_own_events_still_do_not_count(make: Any) -> None:
    leads = people(make, a=9, b=0)
    row = seen(make, leads, [event(make, "a", 3), event(make, "b", 3)], "a", 5)
    assert (row["any.colleagues"], row["any.events_ever"], row["web.events_ever"]) == (1, 1, 1)


@pytest.mark.parametrize("account_id", [None, "alone"])
def test_account_when_there_is_nobody_else_then_nothing_and_never(make: Any, account_id: str | None) -> None:
    leads = [{"lead_id": "a", "account_id": account_id, "created_at": make.start}, *people(make, b=0, c=0)]
    row = seen(make, leads, [event(make, "a", 1), event(make, "b", 1)], "a", 5)
    assert (row["any.days_since_first_colleague"], row["any.days_since_last"]) == (NAN, NAN)
    assert {value for name, value in row.items() if "days_since" not in name} == {0.0}


def test_account_when_there_are_no_events_then_colleagues_alone(make: Any) -> None:
    features = FeatureSet(families=("account",), accounts=True)
    row = make.row(make.history(people(make, a=0, b=2)), features, "a", make.start + 3 * make.day)
    found = {name: value for name, value in row.items() if name.startswith("account.")}
    assert found == {"account.any.colleagues": 1.0, "account.any.days_since_first_colleague": 1.0}


def test_tape_when_an_event_was_skipped_then_nobody_sees_it() -> None:
    tape = rows((0, CREATED, 0), (1, CREATED, 1), (2, EVENT, 0), (2, SKIPPED, 0), (3, MARK, 1), (3, MARK, 0))
    features = FeatureSet(event_types=("web",), windows_days=(7,), families=("count", "account"), accounts=True)
    names = [f.name for f in features.features if f.family != "age"]
    played = [dict(zip(names, row, strict=True)) for row in play(tape, recipe_of(features))]
    assert [row["account.any.events_ever"] for row in played] == [1, 0]
    assert [row["events.any.count_ever"] for row in played] == [0, 1]


def rows(*facts: tuple[int, int, int]) -> Tape:
    """A tape of one account from (day, kind, lead)."""
    day, kind, lead = (np.array(column) for column in zip(*facts, strict=True))
    zeros = np.zeros(day.size)
    return Tape(
        key=zeros.astype(np.int32),
        time=day * DAY_US,
        kind=kind.astype(np.int8),
        lead=lead,
        type=zeros.astype(np.int32),
        asset=np.arange(day.size),
        channel=zeros.astype(np.int32) - 1,
        value=zeros,
        known=day * DAY_US,
    )


@pytest.mark.slow
def test_account_when_it_has_50_000_leads_and_a_million_events_then_it_plays_through_once() -> None:
    # Work that grew with leads times facts would take days.
    features = FeatureSet(event_types=("web",), families=("count", "account"), accounts=True)
    tape = crowd(50_000)
    places = {f.name: i for i, f in enumerate(f for f in features.features if f.family != "age")}
    played = play(tape, recipe_of(features))
    created = np.empty(50_000, np.int64)
    created[tape.lead[tape.kind == CREATED]] = tape.time[tape.kind == CREATED]
    event, mark = tape.kind == EVENT, tape.kind == MARK
    enters = np.sort(np.maximum(tape.known, created[tape.lead])[event])
    here = created[tape.lead[mark]] < tape.time[mark]
    own = played[:, places["events.any.count_ever"]] * here
    everyone = np.searchsorted(enters, tape.time[mark])
    np.testing.assert_array_equal(played[:, places["account.any.events_ever"]], everyone - own)


def crowd(leads: int) -> Tape:
    """An account of so many leads with 20 events and 3 marks each, every third event recorded days later."""
    rng = np.random.default_rng(leads)
    kind = np.repeat([CREATED, EVENT, MARK], [leads, 20 * leads, 3 * leads])
    lead = np.concatenate([np.arange(leads), np.repeat(np.arange(leads), 20), np.repeat(np.arange(leads), 3)])
    moment = rng.integers(0, 100 * DAY_US, kind.size)
    moment[kind == CREATED] //= 4
    order = np.lexsort((lead, kind, moment))
    kind, lead, moment = kind[order], lead[order], moment[order]
    late = (kind == EVENT) & (rng.random(kind.size) < 1 / 3)
    zeros = np.zeros(kind.size, np.int32)
    return Tape(
        key=zeros,
        time=moment,
        kind=kind.astype(np.int8),
        lead=lead,
        type=zeros,
        asset=zeros.astype(np.int64) - 1,
        channel=zeros - 1,
        value=zeros.astype(np.float64),
        known=moment + late * rng.integers(0, 5 * DAY_US, kind.size),
    )
