"""The scorecard: rules by hand, a card that can be stated exactly, and its forms."""

from __future__ import annotations

import csv
import io

import numpy as np
import pyarrow as pa
import pytest

from mqlml.review.scorecard import Rule, Seen, as_csv, as_markdown, as_text, make_scorecard
from mqlml.review.scorecard.fitting import choose_rules, points_of
from mqlml.review.scorecard.rules import rule_sentence, rules_for
from mqlml.tape.columns import Feature

INDUSTRY = Feature("lead.industry", "attribute", "fit", "industry", "category", "Industry.", kind="category")
SIZE = Feature("lead.size", "attribute", "fit", "size", "as recorded", "Size.")
CLICKS = Feature(
    "events.click.count_7d", "count", "engagement", "click", "events", "Clicks.", event_type="click", window_days=7
)
LAST = Feature("events.click.days_since_last", "recency", "timing", "click", "days", "Since.", event_type="click")
NAMED = {"lead.industry": frozenset({"software", "retail"})}


def world(rows: int = 4_000, *, seed: int = 0) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Leads whose log-odds are -3 + 2 (software) + 1 (at least 3 clicks)."""
    generator = np.random.default_rng(seed)
    industry = generator.choice(["software", "retail", "=rare"], rows, p=[0.3, 0.69, 0.01])
    clicks = generator.poisson(2, rows).astype(float)
    size = generator.lognormal(4, 1, rows)
    table = pa.table(
        {
            "lead.industry": pa.array(industry.tolist()),
            "lead.size": size,
            "events.click.count_7d": clicks,
            "events.click.days_since_last": np.where(clicks > 0, 3.0, np.nan),
        }
    )
    z = -3.0 + 2.0 * (industry == "software") + 1.0 * (clicks >= 3)
    p = 1 / (1 + np.exp(-z))
    return table, p, (generator.random(rows) < p).astype(float)


def seen(*, present: bool = False) -> Seen:
    table, p, won = world()
    newest = np.arange(len(p)) >= 3_000
    order = np.arange(len(p), dtype=float) if present else None
    return Seen(table, p, won, newest, "the newest that were tested", p >= 0.2, order)


def card(**options: bool) -> dict:
    return make_scorecard(seen(**options), [INDUSTRY, SIZE, CLICKS, LAST], NAMED, seed=0)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule("f", "industry", "property", "fit", "is one of", levels=("retail", "software")),
         "industry is retail or software"),
        (Rule("f", "size", "property", "fit", "at least", 1200.0), "size is at least 1,200"),
        (Rule("f", "size", "property", "fit", "is filled in"), "size is filled in"),
        (Rule("f", "click", "event", "engagement", "at least", 1.0, window_days=7),
         "at least 1 'click' event in the last 7 days"),
        (Rule("f", "click", "event", "engagement", "at least", 3.0), "at least 3 'click' events so far"),
        (Rule("f", "opt-out", "event", "engagement", "at most", 0.0, window_days=1),
         "no 'opt-out' event in the last 1 day"),
        (Rule("f", "/pricing", "page", "engagement", "at most", 14.0, since=True),
         "last visit to '/pricing' at most 14 days ago"),
        (Rule("f", "any activity", "event", "engagement", "at least", 2.0, window_days=30),
         "at least 2 events of any kind in the last 30 days"),
        (Rule("f", "age of the lead", "age", "engagement", "at most", 90.0),
         "the lead was created at most 90 days ago"),
    ],
)  # fmt: skip
def test_sentence_when_a_rule_is_written_then_it_reads_like_a_rule(rule: Rule, text: str) -> None:
    assert rule_sentence(rule) == text


def test_holds_when_a_value_is_missing_then_only_empty_holds() -> None:
    table = pa.table({"size": [np.nan, 5.0, 10.0], "industry": pa.array([None, "a", "b"])})
    held = {
        op: Rule("size", "size", "property", "fit", op, 5.0).holds(table).tolist() for op in ("at least", "at most")
    }
    assert held == {"at least": [False, True, True], "at most": [False, True, False]}
    assert Rule("size", "size", "property", "fit", "is empty").holds(table).tolist() == [True, False, False]
    one_of = Rule("industry", "industry", "property", "fit", "is one of", levels=("a",))
    assert one_of.holds(table).tolist() == [False, True, False]
    assert Rule("industry", "industry", "property", "fit", "is filled in").holds(table).tolist() == [False, True, True]


def test_candidates_when_a_level_is_rare_then_it_is_in_no_rule() -> None:
    table, p, _ = world()
    rules = list(rules_for(INDUSTRY, table, np.log(p / (1 - p)), named=NAMED["lead.industry"]))
    assert {level for rule in rules for level in rule.levels} == {"software"}


def test_scorecard_when_the_model_is_two_rules_then_it_finds_them_with_their_points() -> None:
    table, p, _ = world()
    z = np.log(p / (1 - p))
    candidates = [
        rule for f in (INDUSTRY, SIZE, CLICKS) for rule in rules_for(f, table, z, named=NAMED.get(f.name, frozenset()))
    ]
    rules = choose_rules(candidates, table, p)
    assert [(rule_sentence(r), r.points) for r in rules] == [
        ("industry is software", 67),
        ("at least 3 'click' events in the last 7 days", 33),
    ]
    assert sorted(set(points_of(rules, table))) == [0.0, 33.0, 67.0, 100.0]


def test_scorecard_when_made_then_it_decides_as_the_model_and_says_how_true_it_is() -> None:
    found = card(present=True)
    assert [rule["points"] for rule in found["rules"]] == [67, 33]
    assert found["most"] == {"fit": 67, "engagement": 33}
    fidelity = found["fidelity"]
    assert fidelity["snapshots"] == 1_000
    assert fidelity["same_decision"] == 1.0
    assert fidelity["auc"]["scorecard"] == pytest.approx(fidelity["auc"]["model"], abs=1e-12)
    assert fidelity["auc"]["present rule"] == pytest.approx(0.5, abs=0.06)
    assert fidelity["win_rate"]["scorecard"] > fidelity["base_rate"]


def test_scorecard_when_nothing_tells_leads_apart_then_it_is_empty_and_says_so() -> None:
    table, p, won = world()
    flat = Seen(table, np.full(len(p), 0.1), won, np.arange(len(p)) > 3_000, "the newest", p > 0.5)
    found = make_scorecard(flat, [INDUSTRY, CLICKS], NAMED, seed=0)
    assert found["rules"] == []
    assert found["fidelity"] is None
    assert "No rule tells leads apart" in as_text(found)
    assert "No rule tells leads apart" in as_markdown(found)


def test_csv_when_a_name_is_a_formula_then_no_spreadsheet_runs_it() -> None:
    found = card()
    found["rules"][0].update(subject="=cmd()", text="=cmd() is x")
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert lines[0]["subject"] == "'=cmd()"
    assert lines[0]["rule"] == "'=cmd() is x"
    assert lines[-1]["group"] == "cut-off"
    assert int(lines[-1]["points"]) == found["cut"]


def test_rule_when_written_and_read_then_it_is_the_same() -> None:
    rule = Rule("lead.industry", "industry", "property", "fit", "is one of", levels=("a", "b"), points=7)
    assert Rule.from_dict(rule.to_dict()) == rule
