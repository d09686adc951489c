"""Who is handed over, counted by hand; and what holds for any leads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqlml.config import Policy as Settings
from mqlml.decision.memory import Memory
from mqlml.decision.policy import Policy
from mqlml.decision.rules import Verdicts
from mqlml.decision.selection import Candidates, Selection, applied_version, select
from mqlml.learning.snapshots import DAY, NEVER

NOW = 1_000 * DAY
WEEK = NOW - 2 * DAY
LINE = Policy("cost", "", 0.5, 0.7, 0.2)
THREE = replace(LINE, kind="capacity", per_week=3)


def leads(p: list[float], **known: Any) -> Candidates:
    """Candidates a, b, c ... with chances, each of an account of its own."""
    n = len(p)
    made = Candidates(
        lead_id=np.array([chr(97 + i) for i in range(n)], dtype=object),
        account=np.arange(n),
        p=np.array(p, dtype=float),
        began=np.full(n, NOW - 30 * DAY),
        verdicts=Verdicts.none(n),
    )
    return replace(made, **{name: np.array(value) if name != "verdicts" else value for name, value in known.items()})


def before(n: int, **known: Any) -> Memory:
    """Nothing remembered but what is said; there was a list."""
    made = replace(Memory.none(n, week=WEEK), waited=np.zeros(n, dtype=bool))
    return replace(made, **{k: np.array(v) if isinstance(v, list) else v for k, v in known.items()})


def choose(c: Candidates, policy: Policy = LINE, memory: Memory | None = None, **settings: Any) -> Selection:
    return select(c, policy, Settings(**settings), before(len(c.p)) if memory is None else memory, as_of=NOW)


def names(flags: np.ndarray) -> str:
    return "".join(chr(97 + i) for i in np.flatnonzero(flags))


def test_select_when_nothing_is_remembered_then_the_line_decides() -> None:
    s = choose(leads([0.5, 0.49, 0.8]))
    assert names(s.is_mql) == "ac"
    assert s.change.tolist() == ["new", "none", "new"]
    assert s.tier.tolist() == ["mql", "nurture", "hot"]
    assert s.since.tolist() == [NOW, NEVER, NOW]


def test_select_when_there_are_three_places_then_the_best_get_them_and_ties_go_by_id() -> None:
    s = choose(leads([0.6, 0.9, 0.6, 0.6, 0.8]), THREE)
    assert names(s.is_mql) == "abe"
    assert s.change.tolist() == ["new", "new", "none", "none", "new"]
    assert s.rule.tolist() == [None, None, "waits for a place", "waits for a place", None]
    assert s.tier[2] == "nurture", "who waits is not called yet"
    assert s.counts["waits"] == 2
    assert s.counts["places_left"] == 0


def test_select_when_places_of_this_week_are_taken_then_fewer_are_left() -> None:
    c = leads([0.6, 0.9, 0.6, 0.6, 0.8])
    assert names(choose(c, THREE, before(5, used=2)).is_mql) == "b"
    assert names(choose(c, THREE, before(5, used=7)).is_mql) == ""


def test_select_when_it_is_the_first_list_then_the_backlog_is_released_at_its_rate() -> None:
    c, first = leads([0.6, 0.9, 0.6, 0.6, 0.8]), Memory.none(5, week=WEEK)
    assert names(choose(c, THREE, first).is_mql) == "abe"
    assert names(choose(c, THREE, first, backlog_per_week=1).is_mql) == "abce"
    assert names(choose(c, THREE, replace(first, used=4), backlog_per_week=2).is_mql) == "b", "one of two was used"


def test_select_when_the_backlog_is_released_then_only_to_those_who_waited() -> None:
    c = leads([0.6, 0.9, 0.6, 0.6, 0.8])
    waited = [False, False, False, True, False]
    assert names(choose(c, THREE, before(5, waited=waited), backlog_per_week=5).is_mql) == "abde"


def test_select_when_a_lead_falls_a_little_then_it_stays_and_further_then_it_leaves() -> None:
    was, since = [True, True, False], [NOW - 30 * DAY, NOW - 30 * DAY, NEVER]
    s = choose(leads([0.41, 0.39, 0.41]), memory=before(3, was=was, since=since))
    assert s.change.tolist() == ["stays", "leaves", "none"]
    assert s.since.tolist() == [NOW - 30 * DAY, NEVER, NEVER]
    single = choose(leads([0.41, 0.39, 0.41]), memory=before(3, was=was, since=since), stay_at=1.0)
    assert single.change.tolist() == ["leaves", "leaves", "none"]


def test_select_when_wins_have_values_of_their_own_then_staying_asks_for_them_too() -> None:
    # The line: a chance of 0.1 and chance x value of 80; to stay, 0.8 of both.
    paying = Policy("value", "", 0.1, 0.7, 0.05, cost=80.0, worth={"kind": "learned"})
    c = leads([0.2, 0.2, 0.2, 0.2], worth=[400.0, 399.0, 320.0, 319.0])
    was, since = [False, False, True, True], [NEVER, NEVER, NOW - 30 * DAY, NOW - 30 * DAY]
    s = choose(c, paying, before(4, was=was, since=since))
    assert s.change.tolist() == ["new", "none", "stays", "leaves"]


def test_select_when_a_lead_has_just_come_then_it_stays_for_its_days() -> None:
    memory = before(2, was=[True, True], since=[NOW - 6 * DAY, NOW - 7 * DAY])
    assert choose(leads([0.1, 0.1]), memory=memory).change.tolist() == ["stays", "leaves"]


def test_select_when_leads_stay_then_they_take_no_new_place() -> None:
    memory = before(4, was=[True, False, False, False], since=[NOW - 9 * DAY, NEVER, NEVER, NEVER])
    s = choose(leads([0.99, 0.6, 0.7, 0.8]), THREE, memory)
    assert s.change.tolist() == ["stays", "new", "new", "new"]


def test_select_when_sales_is_at_it_then_a_lead_stays_whatever_its_chance() -> None:
    memory = before(1, was=[True], since=[NOW - 90 * DAY], with_sales=[True])
    assert choose(leads([0.01]), memory=memory).change.tolist() == ["stays"]


def test_select_when_sales_rejected_a_lead_then_only_time_or_its_own_doing_brings_it_back() -> None:
    at = [NOW - 10 * DAY, NOW - 10 * DAY, NOW - 90 * DAY, NOW - 89 * DAY, NEVER]
    memory = before(5, rejected_at=at, acted=[False, True, False, False, False])
    s = choose(leads([0.9] * 5), memory=memory)
    assert names(s.is_mql) == "bce"
    assert s.counts["held_back"] == {"sales rejected them lately": 2}
    assert names(choose(leads([0.9] * 5), memory=memory, retry_days=0).is_mql) == "abcde"


def test_select_when_rules_speak_then_they_decide_and_are_counted_apart() -> None:
    said = Verdicts(
        np.array(["competitor", "asked to be called", "opportunity", None], dtype=object),
        np.array(["never", "always", "sales-ready", ""], dtype=object),
    )
    c = leads([0.9, 0.01, 0.9, 0.9], verdicts=said)
    s = choose(c, replace(THREE, per_week=2), before(4))
    assert names(s.is_mql) == "bd"
    assert names(choose(c, THREE, before(4, used=2)).is_mql) == "b", "who asked has the last place"
    assert names(choose(c, THREE, before(4, used=3)).is_mql) == "b", "and waits for none"
    assert s.rule.tolist() == ["competitor", "asked to be called", "opportunity", None]
    assert s.tier.tolist() == ["cold", "mql", "hot", "hot"]
    assert s.counts["rules"] == {"asked to be called": 1, "competitor": 1, "opportunity": 1}
    assert (s.counts["sales_ready"], s.counts["by_rule"]) == (1, 1)


def test_select_when_a_fast_track_lead_was_rejected_then_it_is_not_sent_again_every_week() -> None:
    said = Verdicts(np.array(["asked"], dtype=object), np.array(["always"], dtype=object))
    memory = before(1, rejected_at=[NOW - DAY])
    assert not choose(leads([0.9], verdicts=said), memory=memory).is_mql.any()


def test_select_when_a_lead_is_keen_but_cannot_buy_then_it_does_not_enter() -> None:
    c = leads([0.9, 0.9, 0.9], fit=np.array(["A", "C", "D"], dtype=object))
    assert names(choose(c, min_fit="C").is_mql) == "ab"
    assert choose(c, min_fit="A").counts["held_back"] == {"fit below A": 2}


def test_select_when_an_account_has_several_then_some_go_with_their_colleague() -> None:
    c = leads([0.9, 0.8, 0.7, 0.6], account=[1, 1, 1, 2])
    s = choose(c, per_account=2)
    assert names(s.is_mql) == "abd"
    assert s.attached_to.tolist() == [None, None, "a", None]
    assert (s.change[2], s.rule[2]) == ("none", "waits for a place")
    later = choose(c, memory=before(4, used_by_account={1: ("x",)}), per_account=1)
    assert names(later.is_mql) == "d"
    assert later.attached_to.tolist() == ["x", "x", "x", None]


def test_select_when_the_unit_is_the_account_then_its_best_lead_is_the_contact() -> None:
    c = leads([0.7, 0.9, 0.1, 0.6], account=[1, 1, 1, 2])
    s = choose(c, unit="account")
    assert names(s.is_mql) == "bd"
    assert s.attached_to.tolist() == ["b", None, None, None]
    busy = choose(c, memory=before(4, contacts={1: "x"}), unit="account")
    assert names(busy.is_mql) == "d", "sales is talking to x of that account"
    both = choose(c, memory=before(4, was=[True] * 4, since=[NOW] * 4), unit="account")
    assert names(both.is_mql) == "bd"


def test_select_when_capacities_are_by_region_then_each_has_its_own_and_others_are_named() -> None:
    c = leads([0.9, 0.8, 0.7, 0.6, 0.55], team=np.array(["EU", "EU", "US", "APAC", ""], dtype=object))
    s = choose(c, capacity_by="region", capacities={"EU": 1, "US": 5})
    assert names(s.is_mql) == "ac"
    assert s.counts["without_team"] == {"": 1, "APAC": 1}
    s = choose(c, capacity_by="region", capacities={"EU": 1, "US": 5, "other": 1})
    assert names(s.is_mql) == "acd"
    s = choose(c, memory=before(5, used_by_team={"EU": 1}), capacity_by="region", capacities={"EU": 1, "US": 5})
    assert names(s.is_mql) == "c"


def test_select_when_control_leads_are_drawn_then_from_last_weeks_new_ones_and_once() -> None:
    began = [WEEK - DAY] * 6 + [WEEK - 8 * DAY, WEEK]
    c = leads([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], began=began)
    s = choose(c, control_per_week=2)
    assert s.control.sum() == 2
    assert not s.control[[0, 6, 7]].any(), "not above the line, and only those that began last week"
    assert not (s.is_mql & s.control).any()
    drawn = s.control.tolist()
    again = choose(c, memory=before(8, control=drawn, control_used=2), control_per_week=2)
    assert again.control.tolist() == drawn, "the same week draws nobody else"
    assert choose(c, memory=before(8, control_used=2), control_per_week=2).control.sum() == 0
    other = choose(c, memory=before(8, drawn=drawn), control_per_week=2)
    assert other.control.sum() == 2
    assert not (other.control & s.control).any()


def test_select_when_a_file_has_no_dates_then_the_best_of_it_are_taken() -> None:
    take = Policy("capacity", "", None, 0.7, 0.2, take=2)
    s = select(leads([0.1, 0.6, 0.3]), take, Settings(backlog_per_week=1), Memory.none(3), as_of=None)
    assert names(s.is_mql) == "bc"
    assert (s.since[1:] == NEVER).all()


def test_applied_version_when_nothing_is_set_then_it_is_the_policys_own() -> None:
    assert applied_version(LINE, Settings(capacity_per_week=3)) == LINE.version
    assert applied_version(LINE, Settings(retry_days=10)) != LINE.version
    assert applied_version(LINE, Settings(retry_days=10)) != applied_version(LINE, Settings(retry_days=11))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Candidates, Policy, Settings, Memory]:
    n = draw(st.integers(0, 30))

    def flags() -> np.ndarray:
        return np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)

    def of(values: list[Any], kind: Any = object) -> np.ndarray:
        return np.array(draw(st.lists(st.sampled_from(values), min_size=n, max_size=n)), dtype=kind)

    was = flags()
    then = of(["", "", "", "never", "always", "sales-ready"])
    name = np.where(then == "", None, then)
    memory = replace(
        Memory.none(n, week=WEEK),
        was=was,
        since=np.where(was, of([NOW - DAY, NOW - 20 * DAY], np.int64), NEVER),
        waited=flags(),
        rejected_at=of([NEVER, NEVER, NOW - DAY], np.int64),
        acted=flags(),
        drawn=flags(),
        used=draw(st.integers(0, 4)),
    )
    c = Candidates(
        np.array([f"lead {i}" for i in range(n)], dtype=object),
        of(list(range(6)), np.int64),
        of([0.1, 0.3, 0.45, 0.5, 0.6, 0.9], float),
        of([WEEK - DAY, NOW - 90 * DAY], np.int64),
        Verdicts(name, then),
        of(["A", "B", "C", "D"]),
        of(["EU", "US", ""]),
    )
    settings = Settings(
        min_fit=draw(st.sampled_from([None, "B"])),
        per_account=draw(st.sampled_from([None, 1, 2])),
        unit=draw(st.sampled_from(["lead", "account"])),
        backlog_per_week=draw(st.integers(0, 3)),
        control_per_week=draw(st.integers(0, 3)),
        **draw(st.sampled_from([{}, {"capacity_by": "r", "capacities": {"EU": 2, "other": 1}}])),
    )
    return c, draw(st.sampled_from([LINE, THREE])), settings, memory


@given(cases(), st.randoms(use_true_random=False))
def test_select_when_rows_are_shuffled_then_every_lead_gets_the_same(case: Any, random: Any) -> None:
    c, policy, settings, memory = case
    n = len(c.p)
    order = np.array(random.sample(range(n), n), dtype=int)

    def moved(of: Any) -> Any:
        if isinstance(of, np.ndarray):
            return of[order]
        return replace(of, **{k: moved(v) for k, v in vars(of).items() if isinstance(v, np.ndarray | Verdicts)})

    first = select(c, policy, settings, memory, as_of=NOW)
    second = select(moved(c), policy, settings, moved(memory), as_of=NOW)
    for column in ("is_mql", "control", "tier", "change", "rule", "attached_to", "since"):
        found = getattr(first, column)
        assert len(found) == n
        assert found[order].tolist() == getattr(second, column).tolist()
    assert first.counts == second.counts


@given(cases())
def test_select_whatever_comes_then_no_capacity_is_exceeded(case: Any) -> None:
    c, policy, settings, memory = case
    s = select(c, policy, settings, memory, as_of=NOW)
    new = (s.change == "new") & (c.verdicts.then != "always")
    if policy.per_week is not None:
        room = max(0, policy.per_week - memory.used)
        backlog = max(0, settings.backlog_per_week - max(0, memory.used - policy.per_week))
        assert new.sum() <= room + backlog
        assert (new & ~memory.waited).sum() <= room
    for team, most in settings.capacities.items():
        own = (c.team == team) if team != "other" else ~np.isin(c.team, list(settings.capacities))
        assert (new & own).sum() <= most
    if settings.per_account is not None:
        assert np.bincount(c.account[new], minlength=6).max(initial=0) <= settings.per_account
    assert s.control.sum() <= settings.control_per_week
    assert not (s.is_mql & s.control).any()
    assert not s.is_mql[np.isin(c.verdicts.then, ["never", "sales-ready"])].any()
    assert (s.is_mql == np.isin(s.change.astype(str), ["new", "stays"])).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"capacity_by": "region"}, "give both"),
        ({"rules": [{"name": "x", "then": "never"}]}, "needs either 'when' or 'stage'"),
        ({"rules": [{"name": "x", "stage": "s", "then": "never"}] * 2}, "two rules are named 'x'"),
    ],
)
def test_settings_when_they_contradict_themselves_then_they_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(**settings)
