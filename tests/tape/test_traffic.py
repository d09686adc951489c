"""Machine traffic: each rule by hand, the future never changes the past, and what was left out adds up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqlml.config import Machines
from mqlml.errors import UsageError
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet
from mqlml.tape.local import TypeCount
from mqlml.tape.machines import drop_machines, rules_of
from mqlml.tape.state import EVENT, MARK, SKIPPED, Tape
from mqlml.tape.traffic import Tally, Traffic, learn_traffic
from mqlml.tape.vocabulary import learn_feature_set

SECOND = 1_000_000
TYPES = ("sent", "open", "click", "page")
RULES = Traffic(
    sends=("sent",), opens=("open",), clicks=("click",), open_within_seconds=5, links=3, links_within_seconds=60
)
FEATURES = FeatureSet(event_types=TYPES, traffic=RULES)
BURST = FeatureSet(event_types=TYPES, traffic=Traffic(burst_events=3, burst_seconds=60))
UNTIL = datetime(2025, 3, 1, tzinfo=UTC)

Deed = dict[str, Any]


def deed(second: float, kind: str, *, lead: int = 0, asset: int = -1, known: float | None = None) -> Deed:
    moment = int(second * SECOND)
    recorded = moment if known is None else int(known * SECOND)
    return {"time": moment, "type": kind, "lead": lead, "asset": asset, "known": recorded}


def tape_of(deeds: list[Deed], features: FeatureSet = FEATURES, *, marked: tuple[int, ...] = (0, 1)) -> Tape:
    """One account's tape with a mark for each lead behind everything."""
    end = max(d["time"] for d in deeds) + 1
    code = {name: place for place, name in enumerate(features.event_types)}
    rows = [(d["time"], EVENT, d["lead"], code[d["type"]], d["asset"], d["known"]) for d in deeds]
    rows = sorted(rows) + [(end, MARK, lead, -1, 0, end) for lead in marked]
    names = ("time", "kind", "lead", "type", "asset", "known")
    kinds = {"key": np.int32, "kind": np.int8, "type": np.int32, "value": np.float64, "channel": np.int32}
    given_columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return Tape(
        **{
            name: np.array(given_columns.get(name, [0] * len(rows)), dtype=kinds.get(name, np.int64))
            for name in Tape._fields
        }
    )


def left_out(deeds: list[Deed], features: FeatureSet = FEATURES) -> list[tuple[float, str]]:
    """Second and type of the events that are not counted."""
    tape = tape_of(deeds, features)
    rules = rules_of(features)
    assert rules is not None
    drop_machines(tape, rules)
    skipped = np.flatnonzero(tape.kind == SKIPPED)
    return [(tape.time[i] / SECOND, features.event_types[tape.type[i]]) for i in skipped]


def test_open_when_within_five_seconds_of_a_send_then_left_out() -> None:
    deeds = [deed(9, "open"), deed(10, "sent"), deed(15, "open"), deed(15.1, "open")]
    assert left_out(deeds) == [(15.0, "open")]


def test_open_when_in_the_microsecond_of_the_send_then_left_out_whatever_the_order_of_codes() -> None:
    swapped = replace(FEATURES, event_types=("open", "sent", "click", "page"))
    for features in (FEATURES, swapped):
        assert left_out([deed(10, "sent"), deed(10, "open")], features) == [(10.0, "open")]


def test_open_when_the_send_was_to_a_colleague_then_counted() -> None:
    assert left_out([deed(10, "sent", lead=1), deed(12, "open")]) == []


def test_open_when_the_send_was_recorded_later_then_counted() -> None:
    late = deed(10, "sent", known=13)
    assert left_out([late, deed(12, "open")]) == []
    assert left_out([late, deed(12, "open", known=13)]) == [(12.0, "open")]
    assert left_out([deed(9, "sent"), late, deed(12, "open")]) == [(12.0, "open")]


def test_clicks_when_three_different_links_in_a_minute_then_left_out_from_the_third_on() -> None:
    deeds = [deed(s, "click", asset=a) for s, a in ((0, 7), (10, 7), (20, 8), (60, 9), (65, 7), (81, 7))]
    # At 81 the window from 21 on holds 9 and 7 only.
    assert left_out(deeds) == [(60.0, "click"), (65.0, "click")]


def test_clicks_when_links_have_no_asset_then_each_is_a_link_of_its_own() -> None:
    assert left_out([deed(s, "click") for s in (0, 1, 2, 62.5)]) == [(2.0, "click")]


def test_clicks_when_an_earlier_one_was_recorded_later_then_it_does_not_count_against_them() -> None:
    deeds = [deed(0, "click", asset=1), deed(1, "click", asset=2, known=100), deed(2, "click", asset=3)]
    assert left_out(deeds) == []
    assert left_out([*deeds, deed(3, "click", asset=4)]) == [(3.0, "click")]
    assert left_out([*deeds, deed(3, "click", asset=1, known=100)]) == [(3.0, "click")]


def test_pages_when_many_in_a_minute_then_no_rule_of_mails_holds() -> None:
    assert left_out([deed(s, "page", asset=s) for s in range(20)]) == []


def test_burst_when_more_than_the_most_within_a_minute_then_the_rest_is_left_out() -> None:
    deeds = [deed(s, "page") for s in (0, 1, 2, 3, 60, 61.5, 62.5)]
    # 60 has the four before it, 61.5 those at 2, 3 and 60, 62.5 those at 3, 60 and 61.5: left out ones count as well.
    assert left_out(deeds, BURST) == [(3.0, "page"), (60.0, "page"), (61.5, "page"), (62.5, "page")]
    assert left_out([deed(s, "page") for s in (0, 1, 2, 61.5)], BURST) == []


def test_burst_when_the_events_are_a_colleagues_or_recorded_later_then_counted() -> None:
    assert left_out([deed(s, "page", lead=int(s % 2)) for s in range(6)], BURST) == []
    late = [deed(0, "page"), deed(1, "page", known=50), deed(2, "page"), deed(3, "page")]
    assert left_out(late, BURST) == []
    assert left_out([*late, deed(4, "page")], BURST) == [(4.0, "page")]


def expected(deeds: list[Deed], burst: int, links: int) -> list[bool]:
    """The rules as the text says them, event by event against all others (numbers stand for seconds)."""
    verdicts = []
    for place, one in enumerate(deeds):
        before = [d for d in deeds[:place] if d["lead"] == one["lead"] and d["known"] <= one["known"]]
        same = [d for d in deeds[place + 1 :] if d["lead"] == one["lead"] and d["time"] == one["time"]]
        sends = [d for d in [*before, *same] if d["type"] == "sent" and d["known"] <= one["known"]]
        is_open = one["type"] == "open" and any(one["time"] - d["time"] <= 5 * SECOND for d in sends)
        recent = [d for d in before if one["time"] - d["time"] <= 60 * SECOND]
        clicks = [d for d in [*recent, one] if d["type"] == "click"]
        different = len({d["asset"] for d in clicks} - {-1}) + sum(d["asset"] < 0 for d in clicks)
        is_link = one["type"] == "click" and different >= links
        verdicts.append(is_open or is_link or len(recent) >= burst)
    return verdicts


EVERY = FeatureSet(event_types=TYPES, traffic=replace(RULES, burst_events=5, burst_seconds=60))
some_deeds = st.builds(
    lambda second, kind, lead, asset, late: deed(
        second, kind, lead=lead, asset=asset if kind == "click" else -1, known=second + late
    ),
    st.integers(0, 150),
    st.sampled_from(TYPES),
    st.integers(0, 1),
    st.integers(-1, 3),
    st.sampled_from([0, 0, 0, 3, 40]),
)
many_deeds = st.lists(some_deeds, min_size=1, max_size=40)


def in_order(deeds: list[Deed]) -> list[Deed]:
    return sorted(deeds, key=lambda d: (d["time"], d["lead"], TYPES.index(d["type"]), d["asset"], d["known"]))


@settings(max_examples=150, deadline=None)
@given(many_deeds)
def test_rules_when_told_event_by_event_then_the_kernel_says_the_same(deeds: list[Deed]) -> None:
    ordered = in_order(deeds)
    tape = tape_of(ordered, EVERY)
    counts = drop_machines(tape, rules_of(EVERY))  # type: ignore[arg-type]
    skipped = (tape.kind == SKIPPED)[: len(ordered)]
    assert skipped.tolist() == expected(ordered, burst=5, links=3)
    assert counts[:, 1].sum() == skipped.sum()


@settings(max_examples=150, deadline=None)
@given(many_deeds, many_deeds, st.integers(0, 150))
def test_past_when_facts_of_the_future_are_added_then_the_same_events_are_left_out(
    deeds: list[Deed], later: list[Deed], second: int
) -> None:
    moment = second * SECOND
    known = [d for d in deeds if d["time"] < moment and d["known"] < moment]
    future = [d for d in [*deeds, *later] if d["time"] >= moment or d["known"] >= moment]
    if not known:
        return
    alone, together = tape_of(in_order(known), EVERY), tape_of(in_order([*known, *future]), EVERY)
    for tape in (alone, together):
        drop_machines(tape, rules_of(EVERY))  # type: ignore[arg-type]
    is_past = (together.time < moment) & (together.known < moment) & (together.kind != MARK)
    assert together.kind[is_past].tolist() == alone.kind[: len(known)].tolist()


def test_features_when_an_event_is_left_out_then_no_feature_sees_it_and_the_tally_tells(make: Any) -> None:
    rows = [event(make, "email_sent", 10), event(make, "email_open", 12), event(make, "email_open", 60)]
    history = make.history([{"lead_id": "a"}, {"lead_id": "b"}], events=[*rows, event(make, "email_open", 9, "b")])
    features = learned(history, make, use=["email_open"])
    tally = Tally()
    table = build_features(history, make.marks(("a", make.start + make.day)), features, tally=tally)
    assert table["events.email_open.count_ever"].to_pylist() == [1.0]
    assert table["events.any.count_ever"].to_pylist() == [2.0]
    lines = {line["rule"]: line for line in tally.lines()}
    opens = lines["Opens within 5 seconds of a send"]
    assert (opens["seen"], opens["dropped"], opens["share"], opens["leads"]) == (2, 1, 0.5, 1)
    assert lines["Events of a lead beyond 100 within 60 seconds"]["seen"] == 3
    assert "opens within 5 seconds of a send: 1 of 2 (of 1 leads)" in tally.notes[0]


def test_tally_when_colleagues_have_no_mark_then_only_the_leads_with_one_are_counted() -> None:
    deeds = [deed(s, "click", lead=lead) for s in (0, 1, 2, 3) for lead in (0, 1)]
    counts = [
        drop_machines(tape_of(deeds, marked=marked), rules_of(FEATURES))[2].tolist()  # type: ignore[arg-type]
        for marked in ((0,), (0, 1))
    ]
    assert counts == [[4, 2, 1], [8, 4, 2]]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=many_deeds, later=many_deeds, second=st.integers(0, 150))
def test_features_when_facts_of_the_future_are_added_then_no_row_changes(
    make: Any, deeds: list[Deed], later: list[Deed], second: int
) -> None:
    features = replace(EVERY, event_types=("open", "click"), other=True, assets=True)
    known = [d for d in deeds if d["time"] < second * SECOND and d["known"] < second * SECOND]
    future = [d for d in [*deeds, *later] if d["time"] >= second * SECOND or d["known"] >= second * SECOND]
    marks = make.marks(*((lead, make.start + second * SECOND) for lead in ("0", "1")))
    tables = []
    for some in (known, [*known, *future]):
        history = make.history(
            [{"lead_id": "0"}, {"lead_id": "1"}],
            events=[
                {
                    "lead_id": str(d["lead"]),
                    "occurred_at": naive(make, d["time"]),
                    "recorded_at": naive(make, d["known"]),
                    "event_type": d["type"],
                    "asset": None if d["asset"] < 0 else str(d["asset"]),
                }
                for d in some
            ],
        )
        tables.append(build_features(history, marks, features).drop_columns(["lead_id", "at"]))
    for before, after in zip(tables[0].columns, tables[1].columns, strict=True):
        np.testing.assert_array_equal(before.to_numpy(), after.to_numpy())


def test_sends_when_made_by_sales_or_beyond_the_vocabulary_then_the_rule_still_sees_them(make: Any) -> None:
    rows = [event(make, "email_sent", 10), *(event(make, "email_open", s) for s in (12, 61, 62)), event(make, "x", 63)]
    history = make.history([{"lead_id": "a"}], events=rows)
    mark = ("a", make.start + make.day)
    by_sales = learned(history, make, use=["email_open"], by_sales=["email_sent"])
    row = make.row(history, by_sales, *mark)
    assert row["events.email_open.count_ever"] == 2.0
    assert row["events.any.count_ever"] == 3.0
    few = replace(by_sales, event_types=("email_open",), dropped_types=(), other=True)
    row = make.row(history, few, *mark)
    assert row["events.email_open.count_ever"] == 2.0
    assert row["events.other.count_ever"] == 2.0
    fewer = replace(few, event_types=("x",))
    assert make.row(history, fewer, *mark)["events.other.count_ever"] == 3.0


def test_opens_when_nothing_is_said_then_they_are_off_and_counted(make: Any) -> None:
    rows = [event(make, "E-Mail opened", 10.5), event(make, "E-Mail opened", 61.5), event(make, "page", 12)]
    history = make.history([{"lead_id": "a"}, {"lead_id": "b"}], events=[*rows, event(make, "E-Mail opened", 9, "b")])
    features = learned(history, make)
    assert features.event_types == ("page",)
    assert features.dropped_opens == ("E-Mail opened",)
    assert "Opened mails are not used" in features.notes[0]
    assert "'E-Mail opened'" in features.notes[0]
    tally = Tally()
    build_features(history, make.marks(("a", make.start + make.day)), features, tally=tally)
    first = tally.lines()[0]
    assert (first["rule"][:12], first["dropped"], first["leads"]) == ("Opened mails", 2, 1)


def test_agents_when_one_is_named_in_any_case_then_its_events_are_left_out(make: Any) -> None:
    agents = ("Googlebot/2.1", "my (scanner)", "Mozilla/5.0", None, "CUBOT X18")
    rows = [{**event(make, "page", 10 + i), "agent": agent} for i, agent in enumerate(agents)]
    history = make.history([{"lead_id": "a"}], events=rows)
    features = learned(history, make, machines={"agent": "client", "agents": ["BOT/", "y (S"]})
    tally = Tally()
    table = build_features(history, make.marks(("a", make.start + make.day)), features, tally=tally)
    assert table["events.page.count_ever"].to_pylist() == [3.0]
    assert tally.lines()[0] == {
        "rule": "Events of named agents (scanners, crawlers, scripts)",
        "seen": 5,
        "dropped": 2,
        "share": 0.4,
        "leads": 1,
    }


def test_agents_when_no_column_is_named_then_the_rule_is_off(make: Any) -> None:
    history = make.history([{"lead_id": "a"}], events=[event(make, "page", 10.5)])
    features = learned(history, make)
    assert features.traffic is not None
    assert features.traffic.agents == ()


def test_rules_when_all_are_switched_off_then_nothing_is_judged(make: Any) -> None:
    off = {"sends": [], "opens": [], "clicks": [], "burst_events": 0}
    history = make.history([{"lead_id": "a"}], events=[event(make, "email_open", 10.5)])
    features = learned(history, make, machines=off)
    assert features.event_types == ("email_open",)
    assert features.notes == ()
    assert rules_of(features) is None
    assert rules_of(replace(features, traffic=None)) is None


@pytest.mark.parametrize("field", ["open_within_seconds", "links", "links_within_seconds", "burst_seconds"])
def test_rule_when_its_number_is_zero_then_it_is_off(field: str) -> None:
    deeds = [deed(1, "sent"), deed(2, "open"), *(deed(s, "click") for s in (3, 4, 5, 6))]
    features = replace(EVERY, traffic=replace(EVERY.traffic, **{field: 0}))  # type: ignore[type-var]
    kinds = {kind for _, kind in left_out(deeds, features)}
    expected_kinds = {"open_within_seconds": {"click"}, "links": {"open", "click"}, "burst_seconds": {"open", "click"}}
    assert kinds == expected_kinds.get(field, {"open", "click"})


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("email_sent", "sends"),
        ("Send Email", "sends"),
        ("Mail delivered", "sends"),
        ("E-Mail Open", "opens"),
        ("newsletter-opened", "opens"),
        ("email_click", "clicks"),
        ("link_click", "clicks"),
        ("Clicked link in email", "clicks"),
        ("open", None),
        ("page_click", None),
        ("email_bounced", None),
    ],
)
def test_types_when_nothing_is_named_then_recognised_by_name(name: str, role: str | None) -> None:
    learned_rules = learn_traffic(Machines(), [TypeCount(name, 10, 0, 0)])
    found = {r: getattr(learned_rules, r) for r in ("sends", "opens", "clicks")}
    assert found == {r: (name,) if r == role else () for r in found}


def test_types_when_named_for_another_role_then_not_recognised_for_their_own() -> None:
    learned_rules = learn_traffic(Machines(opens=("email_click",)), [TypeCount("email_click", 10, 0, 0)])
    assert (learned_rules.opens, learned_rules.clicks) == (("email_click",), ())


def test_rules_when_times_are_days_or_minutes_then_those_that_ask_for_seconds_are_off_and_say_so() -> None:
    days = [TypeCount(name, 100, 0, 0, whole_minutes=100, whole_hours=95) for name in ("email_open", "email_click")]
    assert learn_traffic(Machines(), days).coarse == ("open", "links", "burst")
    minutes = [TypeCount(name, 100, 0, 0, whole_minutes=95, whole_hours=2) for name in ("email_open", "email_click")]
    rules = learn_traffic(Machines(), minutes)
    assert rules.coarse == ("open",)
    assert (rules.open_within_seconds, rules.links, rules.burst_events) == (0, 3, 100)
    features = FeatureSet(event_types=("email_open",), traffic=rules)
    assert "too coarse" in features.notes[-1]
    assert "opens after a send" in features.notes[-1]


def test_rules_when_stored_then_they_come_back_as_they_were() -> None:
    features = replace(EVERY, traffic=replace(EVERY.traffic, agents=("bot/",), coarse=("open",)))  # type: ignore[type-var]
    assert FeatureSet.from_dict(json.loads(json.dumps(features.to_dict()))) == features


@pytest.mark.parametrize(
    ("settings_of_machines", "says"),
    [
        ({"sends": ["a"], "opens": ["a"]}, "'a' can only be one of"),
        ({"links": 1}, "at least 2, or 0"),
        ({"agents": ["bot", ""]}, "empty text"),
        ({"link": 3}, "did you mean 'links'"),
        ({"burst_seconds": -1}, "greater than or equal to 0"),
    ],
)
def test_settings_when_they_make_no_sense_then_refused(
    make: Any, settings_of_machines: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        make.config(events={"path": "e", "machines": settings_of_machines})


def naive(make: Any, microseconds: int) -> datetime:
    return datetime.fromtimestamp(make.start / 1e6, UTC).replace(tzinfo=None) + timedelta(microseconds=microseconds)


def event(make: Any, kind: str, second: float, lead: str = "a") -> dict[str, Any]:
    moment = datetime.fromtimestamp(make.start / 1e6 + second, UTC).replace(tzinfo=None)
    return {"lead_id": lead, "occurred_at": moment, "event_type": kind}


def learned(history: Any, make: Any, **events: Any) -> FeatureSet:
    return learn_feature_set(history, make.config(events={"path": "e", **events}), until=UNTIL, attributes=[])
