"""Whose win a won opportunity is, what counts as one, and what is told of losses."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from learning.worlds import configured, fate, labels, seen, t, with_crowd, world

from mqlml.config import Config
from mqlml.errors import DataRefused, UsageError

LATE = 500.0


def winners(tables: dict[str, Any], credit: str, day: float = LATE) -> set[str]:
    """Leads won under a way of giving credit, and a check that every way counts what it would give."""
    config = configured(outcomes={"credit": credit})
    with world(**tables) as history:
        people = seen(history, config, day)
    ids = np.array(people.lead_id.to_pylist())
    found = {str(name) for name in ids[np.unique(people.decisions.wins.lead)]}
    assert people.credit[credit] == len(found)
    return found


def lead(name: str, created: float, account: str | None = None) -> dict[str, Any]:
    return {"lead_id": name, "created_at": created, "account_id": account}


def won(name: str, day: float, **more: Any) -> dict[str, Any]:
    return {"lead_id": name, "outcome": "won", "decided_at": day, **more}


DEAL: dict[str, Any] = {
    "leads": [
        lead("a", 20, "acme"), lead("b", 10, "acme"), lead("c", 0, "acme"), lead("d", 60, "acme"),
        lead("e", 0, "other"),
    ],
    "outcomes": [won("a", 50, opportunity_id="o1"), won("b", 50, opportunity_id="o1")],
}  # fmt: skip


def test_credit_when_an_opportunity_names_several_leads_then_it_is_whose_the_setting_says() -> None:
    assert winners(DEAL, "lead") == {"b"}, "the earliest created of those named"
    assert winners(DEAL, "contacts") == {"a", "b"}
    assert winners(DEAL, "account") == {"a", "b", "c"}, "all the account had then; d came later"


def test_credit_when_a_contact_is_primary_then_the_win_is_theirs() -> None:
    rows = [won("a", 50, opportunity_id="o1", is_primary=True), won("b", 50, opportunity_id="o1", is_primary=False)]
    assert winners({**DEAL, "outcomes": rows}, "lead") == {"a"}


def test_credit_when_rows_name_no_opportunity_then_each_is_the_win_of_its_lead() -> None:
    rows = [won("a", 50), won("b", 50)]
    assert winners({**DEAL, "outcomes": rows}, "lead") == {"a", "b"}


def test_credit_when_it_changes_the_count_then_all_counts_are_told() -> None:
    with world(**DEAL) as history:
        people = seen(history, configured(), LATE)
        assert people.credit == {"lead": 1, "contacts": 2, "account": 3}
        assert people.notes == (
            "How many leads count as won depends on whose win a won opportunity is: lead 1, contacts 2, account 3; "
            "[outcomes] credit = 'lead' holds.",
        )
        assert seen(history, configured(), 50.0).credit == {"lead": 0, "contacts": 0, "account": 0}


def test_credit_when_a_named_lead_gets_none_then_it_is_decided_all_the_same_and_closed() -> None:
    tables = {**DEAL, "events": [{"lead_id": "a", "occurred_at": 70.0}, {"lead_id": "c", "occurred_at": 70.0}]}
    with world(**tables) as history:
        people = seen(history, configured(), LATE)
    assert {name: fate(people, 80)[name] for name in "abc"} == {"a": "decided", "b": "decided", "c": "candidate"}
    assert people.outcome[:3].tolist() == pytest.approx([0, 1, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("rows", "events", "expected"),
    [
        ([], [], {"a", "c"}),
        ([{"lead_id": "c", "outcome": "lost", "decided_at": 30.0}], [], {"a"}),
        ([{"lead_id": "c", "outcome": "lost", "decided_at": 30.0}], [40.0], {"a", "c"}),
        ([{"lead_id": "c", "outcome": "lost", "decided_at": 30.0}], [60.0], {"a"}),
        ([{"lead_id": "c", "outcome": "lost", "decided_at": 70.0}], [], {"a", "c"}),
    ],
)
def test_credit_when_the_account_is_won_then_colleagues_that_were_open_are_won_too(
    rows: list[dict[str, Any]], events: list[float], expected: set[str]
) -> None:
    tables = {
        "leads": [lead("a", 0, "acme"), lead("c", 0, "acme"), lead("x", 0)],
        "outcomes": [won("a", 50), *rows, *({"lead_id": "x", "outcome": "lost", "decided_at": d} for d in (1.0, 2.0))],
        "events": [{"lead_id": "c", "occurred_at": day} for day in events],
    }
    assert winners(tables, "account") == expected


def test_credit_when_the_account_is_won_then_snapshots_of_colleagues_are_positive_and_they_leave() -> None:
    tables = with_crowd([lead("a", 0, "acme"), lead("c", 0, "acme"), lead("l", 0)], [won("a", 50), won("l", 110)])
    tables["events"] = [{"lead_id": "c", "occurred_at": 70.0}]
    config = {"label": {"horizon_days": 20}, "snapshots": {"max_age_days": 100, "every_days": 10}}
    with world(**tables) as history:
        _, by_account = labels(history, configured(outcomes={"credit": "account"}, **config), 120.0)
        _, by_lead = labels(history, configured(**config), 120.0)
    assert by_account["c"] == {20: 0, 30: 0, 40: 1, 50: 1}
    assert by_lead["c"] == dict.fromkeys(range(20, 101, 10), 0.0)


# ------------------------------------------------------------------------------------------------------------- target

STAGED: dict[str, Any] = {
    "leads": [lead(name, 0) for name in "abcd"],
    "outcomes": [won("a", 60), won("b", 60), {"lead_id": "c", "outcome": "lost", "decided_at": 20.0}],
    "stages": [
        {"lead_id": "a", "stage": "opportunity", "entered_at": 40.0},
        {"lead_id": "a", "stage": "opportunity", "entered_at": 45.0},
        {"lead_id": "a", "stage": "mql", "entered_at": 5.0},
        {"lead_id": "c", "stage": "opportunity", "entered_at": 50.0},
        {"lead_id": "d", "stage": "opportunity", "entered_at": 90.0},
    ],
    "events": [{"lead_id": name, "occurred_at": 30.0} for name in "abcd"]
    + [{"lead_id": name, "occurred_at": 95.0} for name in "abcd"],
}


def test_target_when_it_is_a_stage_then_entering_it_first_counts_and_ends_the_candidate_for_good() -> None:
    config = configured(label={"target": "opportunity"})
    with world(**STAGED) as history:
        people = seen(history, config, LATE)
        early = seen(history, config, 42.0)
    wins = people.decisions.wins
    assert wins.lead.tolist() == [0, 1, 2, 3]
    assert wins.at.tolist() == [t(40), t(60), t(50), t(90)], "b was won without a record of the stage"
    assert fate(people, 35) == {"a": "candidate", "b": "candidate", "c": "decided", "d": "candidate"}
    assert fate(people, 300) == dict.fromkeys("abcd", "decided")
    assert early.decisions.wins.at.tolist() == [t(40)]
    assert people.notes == (
        "What is foreseen is that a lead enters the stage 'opportunity' for the first time: 'won' means that here.",
        "1 leads were won without a record of 'opportunity': they reached it when they were won.",
    )
    assert people.credit == {}


def test_target_when_nobody_entered_it_then_it_is_refused_with_the_nearest_stage() -> None:
    with (
        world(**STAGED) as history,
        pytest.raises(DataRefused, match=r"MQL-unknown-stage stages.parquet.*'oportunity'.*did you mean 'opportunity'"),
    ):
        seen(history, configured(label={"target": "oportunity"}), LATE)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ({"target": "opportunity"}, "add the table [stages]"),
        ({"mode": "ipcw"}, "set 'horizon_days' too"),
        ({"mode": "final", "horizon_days": 30}, "remove 'horizon_days' or 'mode'"),
    ],
)
def test_label_when_settings_contradict_each_other_then_they_are_refused(label: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        Config.of({"leads": {"path": "l"}, "outcomes": {}, "label": label})


# ------------------------------------------------------------------------------------------------------------- losses


def test_lost_reasons_when_supplied_then_they_are_counted_as_known_then() -> None:
    rows = [
        {"lead_id": "a", "outcome": "lost", "decided_at": 10.0, "lost_reason": "no budget"},
        {"lead_id": "a", "outcome": "lost", "decided_at": 90.0, "lost_reason": "no need"},
        {"lead_id": "b", "outcome": "lost", "decided_at": 20.0, "lost_reason": "no budget"},
        {"lead_id": "c", "outcome": "lost", "decided_at": 20.0},
    ]
    with world([lead(name, 0) for name in "abc"], outcomes=rows) as history:
        assert seen(history, configured(), LATE).lost_reasons == {"no budget": 2, "no need": 1}
        assert seen(history, configured(), 20.0).lost_reasons == {"no budget": 1}
