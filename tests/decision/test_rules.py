"""Rules beside the model, judged from what was known at the moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from history.histories import at, configured, reading

from mqlml.config import HardRule
from mqlml.decision.rules import apply_rules, known_then, rule_problems, under_rules
from mqlml.learning.snapshots import as_microseconds, population

AS_OF = as_microseconds(at("2024-03-06"))
FILES = {
    "leads.csv": "lead_id,created_at,industry,customer\n"
    "a,2024-02-01T00:00:00Z,CRM,yes\nb,2024-02-01T00:00:00Z,CRM,no\n"
    "c,2024-02-01T00:00:00Z,retail,no\nd,2024-02-01T00:00:00Z,retail,no\n",
    "outcomes.csv": "lead_id,outcome\n",
    "events.csv": "lead_id,occurred_at,event_type\nc,2024-03-05T00:00:00Z,call me\nd,2024-03-06T00:00:00Z,call me\n",
    "stages.csv": "lead_id,stage,entered_at\nb,Opportunity,2024-03-05T00:00:00Z\nc,Opportunity,2024-03-07T00:00:00Z\n",
}
SECTIONS: dict[str, dict[str, Any]] = {
    "events": {"path": "events.csv"},
    "stages": {"path": "stages.csv"},
    "leads": {"path": "leads.csv", "exclude": ["customer"], "known_at_creation": ["industry"]},
    "policy": {
        "rules": [
            {"name": "in talks", "stage": "Opportunity", "then": "sales-ready"},
            {"name": "competitor", "when": {"column": "industry", "op": "in", "value": ["CRM"]}, "then": "never"},
            {"name": "customer", "when": {"column": "customer", "value": "yes"}, "then": "never"},
            {"name": "asked", "when": [{"event": "call me", "window_days": 7}], "then": "always"},
        ]
    },
}


def marks() -> pa.Table:
    return pa.table({"lead_id": list("abcd"), "at": pa.array([AS_OF] * 4, pa.timestamp("us", "UTC"))})


def test_apply_rules_when_several_hold_then_the_first_decides_and_only_the_past_counts(tmp_path: Path) -> None:
    rules = configured(tmp_path, **SECTIONS).policy.rules
    with reading(tmp_path, FILES, **SECTIONS) as history:
        assert rule_problems(rules, history) == []
        found = apply_rules(rules, history, marks())
    assert found.name.tolist() == ["competitor", "in talks", "asked", None]
    assert found.then.tolist() == ["never", "sales-ready", "always", ""]


def test_apply_rules_when_all_conditions_must_hold_then_one_is_not_enough(tmp_path: Path) -> None:
    both = HardRule(
        name="both",
        when=[{"column": "industry", "value": "CRM"}, {"column": "customer", "value": "yes"}],
        then="never",
    )
    with reading(tmp_path, FILES, **SECTIONS) as history:
        assert apply_rules([both], history, marks()).name.tolist() == ["both", None, None, None]
        assert apply_rules([], history, marks()).then.tolist() == [""] * 4


def test_rule_problems_when_names_are_unknown_then_each_is_told(tmp_path: Path) -> None:
    rules = [
        HardRule(name="x", when={"column": "industri", "value": "CRM"}, then="never"),
        HardRule(name="y", when={"event": "call us"}, then="always"),
        HardRule(name="z", stage="Oportunity", then="sales-ready"),
    ]
    with reading(tmp_path, FILES, **SECTIONS) as history:
        said = " ".join(map(str, rule_problems(rules, history)))
    assert "column 'industri': [[policy.rules]] names a column" in said
    assert "[[policy.rules]] names the event 'call us'" in said
    assert "the rule 'z' names the stage 'Oportunity', which no lead entered" in said


def test_known_then_when_a_rule_needs_todays_value_then_it_is_hindsight_for_the_past(tmp_path: Path) -> None:
    config = configured(tmp_path, **SECTIONS)
    with reading(tmp_path, FILES, **SECTIONS) as history:
        past, hindsight = known_then(config.policy.rules, history, config)
    assert [rule.name for rule in past] == ["in talks", "competitor", "asked"]
    assert hindsight == ["customer"]


def test_rule_when_its_name_is_what_waiting_leads_are_said_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be named 'Waits for a place'"):
        HardRule.model_validate({"name": "Waits for a place", "stage": "MQL", "then": "never"})


def test_under_rules_when_snapshots_are_past_then_each_is_judged_as_of_its_own_moment(tmp_path: Path) -> None:
    days = [as_microseconds(at(f"2024-03-{day:02d}")) for day in (6, 8, 14)]
    with reading(tmp_path, FILES, **SECTIONS) as history:
        config = configured(tmp_path, **SECTIONS)
        people = population(history, config, until=None)
        lead, moment = np.repeat(np.arange(4), 3), np.tile(days, 4)
        found = under_rules(config, history, people, lead, moment)
    expected = {
        "a": [True, True, True],  # a competitor at any time
        "b": [True, True, True],  # in talks from the 5th
        "c": [True, True, True],  # asked on the 5th, in talks from the 7th
        "d": [False, True, True],  # asked on the 6th; that ends on the 13th, but sales has the lead since the 8th
    }
    assert {name: found.row[3 * k : 3 * k + 3].tolist() for k, name in enumerate("abcd")} == expected
    assert found.to_dict() == {
        "leads": 4,
        "by_rule": {"in talks": 2, "competitor": 1, "asked": 2},
        "not_judged": ["customer"],
    }


def test_under_rules_when_there_are_none_then_nobody_is_left_out(tmp_path: Path) -> None:
    with reading(tmp_path, FILES) as history:
        config = configured(tmp_path)
        found = under_rules(config, history, population(history, config, until=None), np.arange(4), np.full(4, AS_OF))
    assert not found.row.any()
    assert found.to_dict() == {}
