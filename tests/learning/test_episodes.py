"""Episodes: when a lead that was decided, or fell asleep, is a candidate again, and what a moment may know of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning.worlds import configured, fate, seen, t, world

from mqlml.learning.labels import watch
from mqlml.learning.moments import DAY

LONG = 1_000.0
TICK = 1 / DAY
"""One microsecond, in days."""


def twice(day: float) -> list[dict[str, Any]]:
    """Another lead, decided for the second time on a day: from then on it is known that this happens."""
    return [{"lead_id": "b", "outcome": "lost", "decided_at": at} for at in (day - 1, day)]


def fates_of_one(days: dict[float, str], config: Any = None, **tables: Any) -> None:
    """Check what a lead created on day 0 is at several moments, both as seen then and as seen much later."""
    config = config or configured()
    tables["outcomes"] = [*tables.get("outcomes", ()), *twice(1)]
    with world([{"lead_id": name, "created_at": 0.0} for name in "ab"], **tables) as history:
        afterwards = seen(history, config, LONG)
        for day, expected in days.items():
            assert fate(afterwards, day)["a"] == expected, f"day {day}, seen afterwards"
            assert fate(seen(history, config, day), day)["a"] == expected, f"day {day}, seen then"


def lost(day: float, **more: Any) -> dict[str, Any]:
    return {"lead_id": "a", "outcome": "lost", "decided_at": day, **more}


def won(day: float, **more: Any) -> dict[str, Any]:
    return {"lead_id": "a", "outcome": "won", "decided_at": day, **more}


def event(day: float, **more: Any) -> dict[str, Any]:
    return {"lead_id": "a", "occurred_at": day, **more}


def test_fates_when_a_lost_lead_acts_then_it_is_a_candidate_from_just_after_that() -> None:
    fates_of_one(
        {10: "candidate", 10 + TICK: "decided", 30: "decided", 30 + TICK: "candidate", 60: "candidate"},
        outcomes=[lost(10)],
        events=[event(5), event(10), event(30), event(31)],
    )


def test_fates_when_a_lost_lead_does_nothing_then_it_stays_decided() -> None:
    fates_of_one({10: "candidate", 11: "decided", 900: "decided"}, outcomes=[lost(10)], events=[event(5)])


def test_fates_when_sales_calls_a_lost_lead_then_that_is_no_sign_of_life_unless_declared_as_one() -> None:
    tables = {"outcomes": [lost(10)], "events": [event(30, event_type="call")]}
    fates_of_one({40: "decided"}, **tables)
    used = configured(events={"by_sales": ["call"], "use": ["call"]})
    fates_of_one({40: "candidate"}, used, **tables)


def test_fates_when_an_episode_is_lost_again_then_only_a_further_sign_opens_the_next() -> None:
    fates_of_one(
        {35: "candidate", 41: "decided", 50: "decided", 51: "candidate"},
        outcomes=[lost(10), lost(40)],
        events=[event(30), event(50)],
    )


def test_fates_when_no_lead_was_ever_decided_twice_then_a_lost_lead_stays_lost_and_that_is_told() -> None:
    leads = [{"lead_id": name, "created_at": 0.0} for name in "abc"]
    events = [event(30), {"lead_id": "b", "occurred_at": 300.0}]
    with world(leads, outcomes=[lost(10)], events=events) as history:
        people = seen(history, configured(), LONG)
    assert fate(people, 60)["a"] == "decided"
    assert fate(people, 350)["b"] == "candidate", "sleepers wake up all the same"
    assert people.notes == (
        "1 leads were active after they had been lost; they stay decided, since no lead was ever decided a second "
        "time. Where lost leads are picked up again, let [outcomes] hold a row for each decision.",
    )


def test_fates_when_a_second_decision_becomes_known_then_lost_leads_come_back_only_after_it() -> None:
    leads = [{"lead_id": name, "created_at": 0.0} for name in "ab"]
    with world(leads, outcomes=[lost(10), *twice(50)], events=[event(30)]) as history:
        people = seen(history, configured(), LONG)
        for day, expected in {40: "decided", 50: "decided", 50 + TICK: "candidate", 131: "dormant"}.items():
            assert fate(people, day)["a"] == expected
            assert fate(seen(history, configured(), day), day)["a"] == expected
    assert people.notes == ()


def test_fates_when_a_won_lead_acts_then_it_stays_won() -> None:
    fates_of_one({20: "candidate", 21: "decided", 400: "decided"}, outcomes=[won(20)], events=[event(30), event(300)])


def test_fates_when_a_won_lead_gets_a_new_opportunity_then_sales_has_it_and_after_its_loss_it_may_come_back() -> None:
    fates_of_one(
        {20: "candidate", 30: "decided", 60: "decided", 61: "taken by sales", 80: "taken by sales", 81: "decided",
         90: "decided", 91: "candidate"},
        outcomes=[won(20), lost(80, opened_at=60)],
        events=[event(30), event(70), event(90)],
    )  # fmt: skip


def test_fates_when_a_won_lead_is_lost_later_without_an_opening_then_its_next_deed_begins_an_episode() -> None:
    fates_of_one(
        {30: "decided", 81: "decided", 91: "candidate"},
        outcomes=[won(20), lost(80)],
        events=[event(30), event(90)],
    )


def test_fates_when_a_lead_grows_old_then_it_sleeps_until_it_acts_and_ages_anew() -> None:
    fates_of_one(
        {100: "candidate", 100 + TICK: "dormant", 150: "dormant", 150 + TICK: "candidate", 250: "candidate",
         250 + TICK: "dormant"},
        events=[event(60), event(100), event(150), event(200)],
    )  # fmt: skip


def test_fates_when_an_event_comes_a_tick_after_falling_asleep_then_it_wakes_the_lead() -> None:
    fates_of_one({101: "candidate", 200: "candidate", 201: "dormant"}, events=[event(100 + TICK)])


def test_fates_when_an_event_is_recorded_late_then_it_wakes_the_lead_only_then() -> None:
    fates_of_one(
        {140: "dormant", 160: "dormant", 160 + TICK: "candidate", 260: "candidate", 261: "dormant"},
        events=[event(120, recorded_at=160)],
    )


def test_fates_when_nobody_knows_when_a_lead_was_lost_then_no_event_reopens_it() -> None:
    fates_of_one({5: "decided", 40: "decided"}, outcomes=[lost(None)], events=[event(30)])  # type: ignore[arg-type]


def test_fates_when_an_opportunity_is_opened_then_the_candidate_ends_until_it_is_decided() -> None:
    fates_of_one(
        {40: "candidate", 40 + TICK: "taken by sales", 70: "taken by sales", 71: "decided"},
        outcomes=[lost(70, opened_at=40)],
    )


def test_fates_when_an_opportunity_is_still_open_then_sales_has_the_lead() -> None:
    fates_of_one({40: "candidate", 41: "taken by sales", 500: "taken by sales"}, outcomes=[
        {"lead_id": "a", "outcome": None, "decided_at": None, "opened_at": 40}
    ])  # fmt: skip


def test_fates_when_a_handed_over_lead_is_lost_then_a_later_episode_is_free_again() -> None:
    handed = [{"lead_id": "a", "handed_at": 20.0}]
    fates_of_one(
        {20: "candidate", 21: "taken by sales", 41: "decided", 51: "candidate"},
        handovers=handed,
        outcomes=[lost(40)],
        events=[event(50)],
    )
    fates_of_one({51: "taken by sales", 300: "taken by sales"}, handovers=handed, events=[event(50), event(250)])


def test_fates_when_it_is_not_worth_looking_yet_then_a_loss_and_a_deed_before_change_nothing() -> None:
    leads = [{"lead_id": "a", "created_at": 0.0, "start_at": 50.0}, {"lead_id": "b", "created_at": 0.0}]
    with world(leads, outcomes=[lost(10), *twice(1)], events=[event(20)]) as history:
        people = seen(history, configured(), LONG)
    assert [fate(people, day)["a"] for day in (15, 30, 50)] == ["decided", "not yet started", "candidate"]


# ------------------------------------------------------------------------------------------------ against a plain walk

TYPES = ("visit", "call")
day_numbers = st.integers(0, 40).map(lambda k: k * 10.0)


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Any]:
    """Two leads of one account with decisions, opportunities, events and hand-overs on a coarse grid of days."""
    tables: dict[str, Any] = {"leads": [], "outcomes": [], "events": [], "handovers": []}
    for name in "ab":
        created = draw(st.sampled_from([0.0, 35.0]))
        tables["leads"].append({"lead_id": name, "created_at": created, "account_id": "acme"})
        for decided in sorted(draw(st.lists(day_numbers, max_size=3, unique=True))):
            opened = draw(st.none() | st.just(decided - draw(st.sampled_from([0.0, 5.0, 45.0]))))
            word = draw(st.sampled_from(["won", "lost", "lost"]))
            row = {"lead_id": name, "outcome": word, "decided_at": decided + 1, "opened_at": opened}
            tables["outcomes"].append(row)
        for at in draw(st.lists(day_numbers, max_size=6)):
            late = draw(st.sampled_from([None, None, 0.0, 33.0]))
            kind = draw(st.sampled_from(TYPES))
            recorded = None if late is None else at + late
            tables["events"].append({"lead_id": name, "occurred_at": at, "recorded_at": recorded, "event_type": kind})
        for at in draw(st.lists(day_numbers, max_size=1)):
            rejected = draw(st.sampled_from([None, at + 15.0]))
            tables["handovers"].append({"lead_id": name, "handed_at": at + 2, "rejected_at": rejected})
    return tables


def walked(tables: dict[str, Any], name: str, moment: float, *, max_age: float = 100.0) -> str:
    """Fate of a lead by walking through what was known before the moment, one fact after the other."""
    lead = next(lead for lead in tables["leads"] if lead["lead_id"] == name)
    if lead["created_at"] >= moment:
        return "not yet created"
    mine = [r for r in tables["outcomes"] if r["lead_id"] == name]
    facts = [(r["decided_at"], 2, r["outcome"]) for r in mine]
    facts += [(r["opened_at"], 1, "opened") for r in mine if r["opened_at"] is not None]
    facts += [
        (max(e["occurred_at"], e["recorded_at"] or e["occurred_at"]), 0, "event")
        for e in tables["events"]
        if e["lead_id"] == name and e["event_type"] != "call"
    ]
    start, last, since, alone, decided = lead["created_at"], "", _twice(tables, moment), False, -1.0
    opened: list[float] = []
    for at, _, what in sorted(f for f in facts if f[0] < moment):
        reopens = last if what == "opened" else last == "lost"
        if what in ("won", "lost"):
            last, decided = what, at
            continue
        if what == "opened":
            opened.append(at)
        if reopens or (not last and at > start + max_age):
            start, last = at, ""
            alone = decided >= 0 and not any(o > decided for o in opened)
    if last or (alone and moment <= since):
        return "decided"
    return "taken by sales" if _held(tables, name, moment) else "dormant" if moment - start > max_age else "candidate"


def _twice(tables: dict[str, Any], moment: float) -> float:
    """When a lead was first decided a second time, as known at a moment."""
    by_lead = [sorted(r["decided_at"] for r in tables["outcomes"] if r["lead_id"] == name) for name in "ab"]
    return min((days[1] for days in by_lead if len(days) > 1 and days[1] < moment), default=float("inf"))


def _held(tables: dict[str, Any], name: str, moment: float) -> bool:
    decided = [r["decided_at"] for r in tables["outcomes"] if r["lead_id"] == name]
    stretches = [(r["opened_at"], r["decided_at"]) for r in tables["outcomes"] if r["lead_id"] == name]
    for h in tables["handovers"]:
        if h["lead_id"] == name:
            ends = [d for d in (h["rejected_at"], *decided) if d is not None and d >= h["handed_at"]]
            stretches.append((h["handed_at"], min(ends, default=float("inf"))))
    return any(begin is not None and begin < moment <= end for begin, end in stretches)


def check_against_the_walk(tables: dict[str, Any], moments: list[float]) -> None:
    config = configured()
    with world(**tables) as history:
        afterwards = seen(history, config, LONG)
        for moment in moments:
            expected = {name: walked(tables, name, moment) for name in "ab"}
            assert fate(afterwards, moment) == expected
            assert fate(seen(history, config, moment), moment) == expected


@settings(max_examples=15, derandomize=True, deadline=None)
@given(histories())
def test_fates_when_histories_are_arbitrary_then_they_equal_a_walk_and_later_facts_change_none(
    tables: dict[str, Any],
) -> None:
    check_against_the_walk(tables, [151.0, 333.0])


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(histories())
def test_fates_when_histories_are_many_then_they_equal_a_walk(tables: dict[str, Any]) -> None:
    check_against_the_walk(tables, [12.0, 107.5, 151.0, 260.0, 333.0, 420.0])


@st.composite
def shared_histories(draw: st.DrawFn) -> dict[str, Any]:
    """The same with opportunities that name both leads, and stages."""
    tables = draw(histories())
    for row in tables["outcomes"]:
        row["opportunity_id"] = draw(st.sampled_from([None, "o1", "o2"]))
        row["is_primary"] = draw(st.booleans())
    tables["stages"] = [
        {"lead_id": draw(st.sampled_from("ab")), "stage": "opportunity", "entered_at": at + 3}
        for at in draw(st.lists(day_numbers, min_size=1, max_size=3))
    ]
    return tables


def check_future(tables: dict[str, Any], settings: dict[str, Any], moment: float, *, horizon: float = 45.0) -> None:
    """Fates, and labels as soon as their horizon is over, are the same however much later one looks."""
    config = configured(**settings)
    now = t(moment) or 0
    with world(**tables) as history:
        afterwards = seen(history, config, LONG)
        assert fate(seen(history, config, moment), moment) == fate(afterwards, moment)
        then = seen(history, config, moment + horizon)
    who = np.flatnonzero(afterwards.fates(now)["candidate"])
    at = np.full(len(who), now)
    labels = [watch(people, who, at).won - at < horizon * DAY for people in (then, afterwards)]
    assert labels[0].tolist() == labels[1].tolist()


VARIANTS: list[dict[str, Any]] = [
    {"outcomes": {"credit": "lead"}},
    {"outcomes": {"credit": "contacts"}},
    {"outcomes": {"credit": "account"}},
    {"label": {"target": "opportunity"}, "outcomes": {"credit": "account"}},
]


@settings(max_examples=15, derandomize=True, deadline=None)
@given(shared_histories(), st.sampled_from(VARIANTS), st.sampled_from([107.5, 151.0, 260.0]))
def test_fates_and_labels_when_the_future_comes_then_neither_changes(
    tables: dict[str, Any], variant: dict[str, Any], moment: float
) -> None:
    check_future(tables, variant, moment)


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(shared_histories(), st.sampled_from(VARIANTS), st.sampled_from([12.0, 107.5, 151.0, 260.0, 333.0]))
def test_fates_and_labels_when_histories_are_many_then_the_future_changes_neither(
    tables: dict[str, Any], variant: dict[str, Any], moment: float
) -> None:
    check_future(tables, variant, moment)


def test_fates_when_there_are_many_leads_then_each_lead_has_one_and_batches_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(3)
    leads = [{"lead_id": f"{i:03d}", "created_at": float(generator.integers(0, 100))} for i in range(60)]
    events = [
        {"lead_id": f"{generator.integers(0, 60):03d}", "occurred_at": float(generator.integers(0, 900))}
        for _ in range(700)
    ]
    outcomes = [{"lead_id": f"{i:03d}", "outcome": "lost", "decided_at": 150.0 + i} for i in range(0, 60, 3)]
    outcomes.append({"lead_id": "000", "outcome": "lost", "decided_at": 160.0})
    with world(leads, outcomes=outcomes, events=events) as history:
        whole = seen(history, configured(), LONG)
        monkeypatch.setattr("mqlml.history.queries._BATCH_ROWS", 7)
        cut = seen(history, configured(), LONG)
    assert len(whole.again.begin.at) > 60
    assert whole.again.begin.at.tolist() == cut.again.begin.at.tolist()
    assert whole.again.begin.lead.tolist() == cut.again.begin.lead.tolist()
    for day in range(0, 900, 50):
        parts = whole.fates(t(day) or 0)
        assert sum(int(flags.sum()) for flags in parts.values()) == 60
