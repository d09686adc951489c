"""The verdict's four words, and the estimate of the wins that would settle a question."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mqlml.learning.resampling import Draws, Interval
from mqlml.learning.verdict import Evidence, more_wins, verdict


def drawn(value: float, error: float) -> Draws:
    """A figure with a normal sampling error."""
    return Draws(value, value + error * np.linspace(-2.5, 2.5, 201))


def evidence(
    *,
    auc: Draws | None = None,
    base: Draws | None = None,
    present: Draws | None = None,
    others: tuple[tuple[str, Draws], ...] = (),
    promised: Draws | None = None,
    wins: int = 400,
) -> Evidence:
    gains = [("base rate", base or drawn(0.05, 0.005)), *others]
    if present is not None:
        gains.append(("your present rule: hand-overs", present))
    return Evidence(
        auc=auc or drawn(0.75, 0.02),
        observed_over_expected=promised or drawn(1.0, 0.05),
        gains=gains,
        present=None if present is None else "your present rule: hand-overs",
        wins=wins,
    )


def test_verdict_when_the_gain_is_beyond_doubt_but_next_to_nothing_then_no_signal() -> None:
    little = evidence(auc=drawn(0.54, 0.005), base=drawn(0.003, 0.0005))
    assert verdict(little)["code"] == "ready"
    found = verdict(replace(little, skill=drawn(0.005, 0.001)))
    assert found["code"] == "no signal"
    assert "54 of 100 pairs" in found["sentence"]
    assert verdict(replace(little, skill=drawn(0.009, 0.002)))["code"] == "ready"


def test_verdict_when_everything_is_clear_then_ready() -> None:
    found = verdict(evidence(present=drawn(0.02, 0.004)))
    assert found["code"] == "ready"
    assert "in 75 of 100 pairs" in found["sentence"]
    assert "than your present rule" in found["sentence"]
    assert found["details"] == []


def test_verdict_when_the_present_rule_may_be_as_good_then_not_better_and_how_many_wins_would_tell() -> None:
    found = verdict(evidence(present=drawn(0.004, 0.004)))
    assert found["code"] == "not better"
    # The lower end lies 1.65 * 1.29 of the draws' spread below: (2.25 * 0.004 / 0.004)^2 - 1 times the 400 wins.
    assert found["more_wins"] == 1_700, "1,625 in two figures, rounded up"
    assert f"about {found['more_wins']:,} more won leads" in found["sentence"]


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (drawn(-0.02, 0.004), "keep it"),
        (drawn(-0.001, 0.004), "hardly change"),
        (drawn(0.0001, 0.004), "hardly change"),
    ],
)
def test_verdict_when_the_present_rule_is_as_good_or_better_then_it_says_so(gain: Draws, words: str) -> None:
    found = verdict(evidence(present=gain))
    assert found["code"] == "not better"
    assert words in found["sentence"]
    assert found["more_wins"] is None


def test_verdict_when_nothing_is_told_apart_then_no_signal() -> None:
    found = verdict(evidence(auc=drawn(0.505, 0.02), base=drawn(-0.002, 0.004)))
    assert found["code"] == "no signal"
    assert found["more_wins"] is None


def test_verdict_when_leads_are_ranked_but_the_level_is_off_then_it_says_that() -> None:
    found = verdict(evidence(auc=drawn(0.72, 0.02), base=drawn(-0.05, 0.004)))
    assert found["code"] == "no signal"
    assert "in 72 of 100 pairs" in found["sentence"]
    assert "level" in found["sentence"]


def test_verdict_when_a_signal_is_near_then_too_thin_with_the_wins_that_would_settle_it() -> None:
    spread = float(np.linspace(-2.5, 2.5, 201).std(ddof=1))
    found = verdict(evidence(auc=drawn(0.60, 0.05), base=drawn(0.01, 0.003), wins=60))
    assert found["code"] == "too thin"
    assert 60 * ((2.326 * spread * 0.05 / 0.10) ** 2 - 1) == pytest.approx(111.6, abs=0.1)
    assert found["more_wins"] == 120, "in two figures, rounded up"
    assert "an estimate" in found["sentence"]


def test_verdict_when_there_are_few_wins_then_too_thin_whatever_the_figures() -> None:
    found = verdict(evidence(wins=25))
    assert (found["code"], found["more_wins"]) == ("too thin", 15)
    found = verdict(evidence(auc=drawn(0.5, 0.1), base=drawn(-0.1, 0.1), wins=12))
    assert (found["code"], found["more_wins"]) == ("too thin", 28)


def test_verdict_when_other_ways_are_not_beaten_then_each_is_named() -> None:
    others = (
        ("win rate by source", drawn(0.03, 0.004)),
        ("Odoo's method", drawn(-0.02, 0.004)),
        ("logistic regression", drawn(0.002, 0.002)),
    )
    found = verdict(evidence(others=others, promised=drawn(1.6, 0.05)))
    assert found["code"] == "ready"
    assert [line.split(":")[0] for line in found["details"]] == [
        "The ranking holds, the level does not",
        "Clearly worse than",
        "Not clearly better than",
    ]
    assert "1.60 leads were won for each one promised" in found["details"][0]
    assert "logistic regression (about 1,700 more" in found["details"][2]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval(0.01, 0.001, 0.02), 0),
        (Interval(0.01, -0.01, 0.03), 300),
        (Interval(0.01, -0.0041, 0.03), 99),
        (Interval(0.0001, -0.01, 0.03), None),
        (Interval(-0.01, -0.02, 0.0), None),
        (Interval(0.01, None, None), None),
    ],
)
def test_more_wins_when_an_interval_narrows_with_the_root_then_so_many(interval: Interval, expected: int) -> None:
    assert more_wins(interval, 100) == expected
