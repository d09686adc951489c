"""The present rule from small histories: recorded dates, a score over time, conditions; never what came later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history.histories import configured, reading

from mqlml.config import PresentCondition
from mqlml.errors import DataRefused
from mqlml.learning.contest import contest
from mqlml.learning.labels import Rows
from mqlml.learning.present import PresentRule, present_problems, present_rule
from mqlml.learning.snapshots import DAY, as_microseconds, mark_table, population
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet

START = datetime(2025, 1, 1, tzinfo=UTC)
LEADS = (
    "lead_id,created_at,title,country,size,mql_at\n"
    "a,2025-01-01,Chief Buyer,DE,10,2025-01-12T00:00:00Z\nb,2025-01-01,student,FR,200,\nc,2025-01-01,,DE,,2025-01-05\n"
)
OUTCOMES = "lead_id,outcome,decided_at\na,won,2025-06-01\n"
EVENTS = (
    "lead_id,occurred_at,event_type\n"
    "a,2025-01-05,demo\na,2025-01-10,demo\na,2025-01-20,demo\nb,2025-01-03,call\nb,2025-01-20,visit\n"
)
CHANGES = (
    "lead_id,changed_at,field,value,old_value\n"
    "a,2025-01-10,score,40,5\na,2025-01-20,score,95,40\nb,2025-01-25,score,80,\n"
    "a,2025-01-18,stage,MQL,Lead\n"
)
STAGES = "lead_id,stage,entered_at\nb,MQL,2025-01-16\nb,MQL,2025-02-16\na,SQL,2025-01-02\n"
HANDOVERS = (
    "lead_id,handed_at,by,rejected_at\na,2025-01-17,rule,\nb,2025-01-02,control,\nb,2025-01-21,other,2025-01-22\n"
)
FILES: dict[str, Any] = {"leads.csv": LEADS, "outcomes.csv": OUTCOMES}
DAYS = (8, 15, 22)


@dataclass(frozen=True)
class Asked:
    """Points and marks by lead, at days 8, 15 and 22."""

    rule: PresentRule | None
    note: str | None

    def points(self, lead: str) -> list[float]:
        assert self.rule is not None
        place = 3 * "abc".index(lead)
        return [None if np.isnan(p) else p for p in self.rule.points[place : place + 3]]

    def marked(self, lead: str) -> list[bool]:
        assert self.rule is not None
        assert self.rule.marked is not None
        place = 3 * "abc".index(lead)
        return self.rule.marked[place : place + 3].tolist()


def ask(folder: Path, *, files: dict[str, Any] | None = None, timing: str = "horizon", **sections: Any) -> Asked:
    """The present rule of leads a, b and c."""
    files = FILES | (files or {})
    sections.setdefault("leads", {})
    sections["leads"] = {"known_at_creation": ["title", "country", "size"], **sections["leads"]}
    with reading(folder, files, **sections) as history:
        config = configured(folder, **sections)
        attributes = ["title", "country", "size"]
        if problems := present_problems(history, config, attributes=attributes):
            raise DataRefused(problems)
        people = population(history, until=None)
        at = np.tile([as_microseconds(START + timedelta(days=d - 1)) for d in DAYS], 3)
        lead = np.repeat([0, 1, 2], 3)
        rows = Rows(lead, at, at, at + 30 * DAY, np.zeros(9), lead, timing)  # type: ignore[arg-type]
        table = build_features(history, mark_table(people, lead, at), FeatureSet(age=False))
        return Asked(*present_rule(history, config, rows, people, table=table))


def test_present_rule_when_nothing_is_recorded_then_there_is_none(tmp_path: Path) -> None:
    assert ask(tmp_path) == Asked(None, None)


def test_present_rule_when_hand_overs_are_recorded_then_they_count_until_the_next_snapshot(tmp_path: Path) -> None:
    """Handed over on the 17th: chosen in the week of the 15th. Control leads were drawn at random, not chosen."""
    found = ask(tmp_path, files={"handovers.csv": HANDOVERS}, handovers={"path": "handovers.csv"})
    assert found.marked("a") == [False, True, True]
    assert found.marked("b") == [False, True, True]
    assert found.marked("c") == [False, False, False]
    assert found.rule is not None
    assert "hand-overs" in found.rule.name


def test_present_rule_when_a_column_holds_dates_then_they_are_it(tmp_path: Path) -> None:
    found = ask(tmp_path, policy={"present_dates": "mql_at"})
    assert found.marked("a") == [True, True, True]
    assert found.marked("b") == [False, False, False]
    assert found.marked("c") == [True, True, True]


def test_present_rule_when_a_stage_means_mql_then_its_first_entry_counts(tmp_path: Path) -> None:
    found = ask(tmp_path, files={"stages.csv": STAGES}, stages={"path": "stages.csv"}, policy={"present_stage": "MQL"})
    assert found.marked("b") == [False, True, True]
    assert found.marked("a") == [False, False, False]


def test_present_rule_when_dates_cannot_be_compared_then_a_note_says_so(tmp_path: Path) -> None:
    found = ask(tmp_path, timing="final", policy={"present_dates": "mql_at"})
    assert found.rule is None
    assert "horizon_days" in str(found.note)


def test_present_rule_when_a_score_changes_then_it_is_read_as_of_each_snapshot(tmp_path: Path) -> None:
    """The 95 of the 20th and b's 80 of the 25th are the future to the 8th and the 15th."""
    found = ask(
        tmp_path,
        files={"changes.csv": CHANGES},
        history={"path": "changes.csv"},
        policy={"present_score": "score", "present_from": 30},
    )
    assert found.points("a") == [5.0, 40.0, 95.0]
    assert found.points("b") == [None, None, None]
    assert found.marked("a") == [False, True, True]
    assert found.marked("b") == [False, False, False]


def test_present_rule_when_a_score_has_no_line_then_only_its_order_is_known(tmp_path: Path) -> None:
    found = ask(
        tmp_path, files={"changes.csv": CHANGES}, history={"path": "changes.csv"}, policy={"present_score": "score"}
    )
    assert found.rule is not None
    assert found.rule.marked is None


@pytest.mark.parametrize("with_history", [False, True])
def test_present_rule_when_a_score_is_known_only_as_of_today_then_it_is_refused(
    tmp_path: Path, with_history: bool
) -> None:
    files = {"changes.csv": CHANGES} if with_history else {}
    sections = {"history": {"path": "changes.csv"}} if with_history else {}
    with pytest.raises(DataRefused, match=r"column 'size': .* only today's value is known"):
        ask(tmp_path, files=files, policy={"present_score": "size"}, **sections)


def test_present_rule_when_a_score_is_no_number_then_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="no value of 'stage' that is a number"):
        ask(
            tmp_path, files={"changes.csv": CHANGES}, history={"path": "changes.csv"}, policy={"present_score": "stage"}
        )


def test_present_rule_when_conditions_have_points_then_they_are_summed_as_of_each_snapshot(tmp_path: Path) -> None:
    conditions = [
        {"column": "title", "op": "contains", "value": "chief", "points": 10},
        {"column": "country", "op": "in", "value": ["DE", "AT"], "points": 3},
        {"column": "size", "op": ">=", "value": 100, "points": 5},
        {"column": "stage", "op": "=", "value": "MQL", "points": 100},
        {"event": "demo", "window_days": 7, "at_least": 2, "points": 20},
        {"event": "demo", "points": 1},
    ]
    found = ask(
        tmp_path,
        files={"changes.csv": CHANGES, "events.csv": EVENTS},
        history={"path": "changes.csv"},
        events={"path": "events.csv"},
        policy={"present": conditions, "present_from": 15},
    )
    # Two demos within seven days of the 12th would count; on the 15th only that of the 10th is left.
    assert found.points("a") == [14.0, 14.0, 114.0]
    assert found.points("b") == [5.0, 5.0, 5.0]
    assert found.points("c") == [3.0, 3.0, 3.0]
    assert found.marked("a") == [False, False, True]


def test_present_rule_when_any_event_counts_then_those_made_by_sales_do_too(tmp_path: Path) -> None:
    found = ask(
        tmp_path,
        files={"events.csv": EVENTS},
        events={"path": "events.csv", "by_sales": ["call"]},
        policy={"present": [{"event": "any", "window_days": 7}]},
    )
    assert found.marked("b") == [True, False, True]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"column": "title", "op": "is empty"}, [0, 0, 1]),
        ({"column": "title", "op": "is not empty"}, [1, 1, 0]),
        ({"column": "title", "op": "!=", "value": "student"}, [1, 0, 0]),
        ({"column": "title", "value": "student"}, [0, 1, 0]),
        ({"column": "title", "value": "studentship and more"}, [0, 0, 0]),
        ({"column": "country", "op": "not in", "value": ["DE"]}, [0, 1, 0]),
        ({"column": "size", "op": "<", "value": 200}, [1, 0, 0]),
        ({"column": "size", "op": "<=", "value": 200}, [1, 1, 0]),
        ({"column": "size", "op": ">", "value": 10}, [0, 1, 0]),
        ({"column": "size", "value": 10}, [1, 0, 0]),
        ({"column": "size", "op": "in", "value": [10, 200]}, [1, 1, 0]),
        ({"column": "size", "op": "is empty"}, [0, 0, 1]),
    ],
)
def test_present_rule_when_a_column_is_compared_then_a_missing_value_meets_nothing_but_is_empty(
    tmp_path: Path, condition: dict[str, Any], expected: list[int]
) -> None:
    found = ask(tmp_path, policy={"present": [condition]})
    assert [found.points(lead)[0] for lead in "abc"] == expected


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"column": "nowhere", "value": "x"}, "neither an attribute of the leads nor a field"),
        ({"column": "budget", "op": ">", "value": 1}, "known only as today's value"),
        ({"column": "title", "op": ">", "value": 1}, "holds texts"),
        ({"column": "size", "op": "contains", "value": "1"}, "holds numbers"),
        ({"event": "dema"}, "no event has this type"),
    ],
)
def test_present_rule_when_a_condition_cannot_be_judged_then_it_is_refused(
    tmp_path: Path, condition: dict[str, Any], words: str
) -> None:
    leads = LEADS.replace("mql_at\n", "mql_at,budget\n").replace("\nb", ",7\nb").replace("\nc", ",8\nc")
    leads = leads.removesuffix("\n") + ",9\n"
    with pytest.raises(DataRefused, match=words):
        ask(
            tmp_path,
            files={"leads.csv": leads, "events.csv": EVENTS},
            events={"path": "events.csv"},
            policy={"present": [condition]},
        )


def test_condition_when_read_then_points_are_one_each() -> None:
    assert PresentCondition(column="country", value="DE").points == 1.0


def test_contest_when_both_take_as_many_leads_then_their_wins_are_counted() -> None:
    """Five leads, two snapshots each; the rule takes leads 0 and 1, the model 1 and 2, of which 1 and 2 are won."""
    lead = np.repeat(np.arange(5), 2)
    at = np.tile([0, 7 * DAY], 5)
    won = np.repeat([0.0, 1, 1, 0, 0], 2)
    rows = Rows(lead, at, at, at + DAY, won, lead, "horizon")
    marked = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    p = np.array([0.1, 0.1, 0.1, 0.7, 0.9, 0.2, 0.3, 0.3, 0.2, 0.1])
    found = contest(rows, np.arange(10), p, marked, seed=0)
    assert found is not None
    assert (found["leads"], found["wins"], found["model_leads"], found["model_wins"]) == (2, 1, 2, 2)
    assert (found["win_rate"]["value"], found["model_win_rate"]["value"]) == (0.5, 1.0)
    assert (found["share_of_wins"]["value"], found["model_share_of_wins"]["value"]) == (0.5, 1.0)
    assert found["difference"]["value"] == 0.5
    assert found["per_week"] == 1.0, "lead 0 in the second week; the first holds a backlog"


def test_contest_when_the_rule_takes_nobody_then_there_is_none() -> None:
    rows = Rows(*(np.arange(4) for _ in range(4)), np.zeros(4), np.arange(4), "horizon")
    assert contest(rows, np.arange(4), np.full(4, 0.5), np.zeros(4, dtype=bool), seed=0) is None
    assert contest(replace(rows), np.arange(4), np.full(4, 0.5), np.ones(4, dtype=bool), seed=0) is None
