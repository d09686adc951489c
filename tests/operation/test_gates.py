"""Each gate can be closed, alone, in words that say what to do."""

from __future__ import annotations

from copy import deepcopy

import pytest

from mqlml.config import Promotion
from mqlml.errors import UsageError
from mqlml.operation.gates import check_gates
from mqlml.review.criteria import Criteria, Mark


def interval(value, low, high):
    return {"value": value, "low": low, "high": high}


def judged(*, worse=(-0.01, -0.02, 0.01), observed=(1.0, 0.9, 1.1), slope=(1.0, 0.9, 1.1)):
    figures = {"observed_over_expected": observed, "slope": slope}
    return {
        "worse_by": interval(*worse),
        "figures": [{"name": name, "new": interval(*values)} for name, values in figures.items()],
    }


COMPARISON = {"shipped": judged(), "again": judged(), "learned": ["new"], "why": None}
SUMMARY = {
    "verdict": {"code": "ready", "sentence": "It is better than the base rate."},
    "audit": [{"level": "note", "column": "x", "waived": None}, {"level": "ask", "column": "y", "waived": "checked"}],
    "drivers": [{"criterion": "pricing", "importance": 0.7}, {"criterion": "age", "importance": 0.3}],
}
CRITERIA = Criteria((Mark("pricing", "approve", by="A. Lee"), Mark("age", "must-decrease", by="B. Roy")))


def closed(comparison=COMPARISON, summary=SUMMARY, criteria=CRITERIA, settings=None, **more):
    gates = check_gates(comparison, summary, settings or Promotion(), criteria=criteria, **more)
    assert [g.name for g in gates] == ["not worse", "calibrated", "better than the base rate", "audited", "reviewed"]
    found = {g.name: g for g in gates if not g.passed}
    assert all(g.sentence and g.remedy for g in found.values())
    return found


def test_check_gates_when_all_is_well_then_every_gate_is_open():
    assert closed() == {}
    assert closed({**COMPARISON, "again": None, "learned": []}) == {}


@pytest.mark.parametrize("side", ["shipped", "again"])
@pytest.mark.parametrize(
    ("worse", "remedy"),
    [
        ((0.05, 0.03, 0.08), "keep the champion"),
        ((0.0, -0.05, 0.021), "too few wins to tell"),
        ((0.0, None, None), "too few"),
    ],
)
def test_check_gates_when_the_bound_is_above_the_margin_then_not_worse_is_closed(side, worse, remedy):
    found = closed({**COMPARISON, side: judged(worse=worse)})
    assert set(found) == {"not worse"}
    assert remedy in found["not worse"].remedy
    assert "at most +2.0 % is allowed ([promotion] worse_by_at_most)" in found["not worse"].sentence


def test_check_gates_when_the_margin_is_wider_then_open():
    worse = {**COMPARISON, "again": judged(worse=(0.0, -0.05, 0.04))}
    assert closed(worse, settings=Promotion(worse_by_at_most=0.05)) == {}


def test_check_gates_when_only_what_learned_from_the_window_was_judged_then_it_proves_nothing():
    found = closed({**COMPARISON, "again": None, "why": "too little was known before"})
    assert set(found) == {"not worse", "calibrated"}
    assert "too little was known before" in found["not worse"].sentence


@pytest.mark.parametrize(
    ("more", "passes"),
    [
        ({"observed": (0.7, 0.6, 0.79)}, False),
        ({"observed": (0.7, 0.6, 0.81)}, True),
        ({"observed": (1.5, 1.3, 1.8)}, False),
        ({"slope": (0.5, 0.3, 0.6)}, False),
        ({"slope": (0.5, 0.3, 0.8)}, True),
    ],
)
def test_check_gates_when_calibration_is_surely_off_then_closed(more, passes):
    assert (closed({**COMPARISON, "again": judged(**more)}) == {}) is passes


def test_check_gates_when_the_base_rate_is_not_beaten_then_closed():
    found = closed(summary={**SUMMARY, "verdict": {"code": "no signal", "sentence": "Nothing was found."}})
    assert set(found) == {"better than the base rate"}


def test_check_gates_when_the_audit_asks_then_only_a_person_opens_it():
    summary = deepcopy(SUMMARY)
    summary["audit"][1]["waived"] = None
    found = closed(summary=summary)
    assert "nobody has answered: 'y'" in found["audited"].sentence
    assert closed(summary=summary, reviewed_by="A. Lee") == {}
    summary["audit"][1]["level"] = "block"
    assert set(closed(summary=summary, reviewed_by="A. Lee")) == {"audited"}


def test_check_gates_when_a_criterion_is_not_decided_on_then_review_is_closed():
    found = closed(criteria=Criteria((Mark("pricing", "approve", by="A. Lee"), Mark("age", "none", by="A. Lee"))))
    assert "1 criteria that matter are not decided on: 'age'" in found["reviewed"].sentence
    assert closed(criteria=Criteria(), reviewed_by="A. Lee") == {}


@pytest.mark.parametrize("bounds", [[1.0, 1.2], [0.8, 1.0], [-0.1, 1.2]])
def test_promotion_settings_when_bounds_do_not_hold_one_then_refused(bounds):
    from mqlml.config import Config

    given = {"leads": {"path": "x"}, "outcomes": {"won": ["won"]}, "promotion": {"slope": bounds}}
    with pytest.raises(UsageError, match=r"\[promotion\] slope: bounds are a number"):
        Config.of(given)
