"""The ladder, the present rule and the looks, from a history's files to the bundle and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workflows.conftest import AS_OF, Run

pytestmark = pytest.mark.training


def summary_of(folder: Path) -> dict[str, Any]:
    bundle = next(p for p in (folder / "models").iterdir() if (p / "report.json").exists())
    return dict(json.loads((bundle / "report.json").read_text()))


def test_train_when_hand_overs_are_recorded_then_every_rung_stands_in_the_bundle(trained: Path) -> None:
    evaluation = summary_of(trained)["evaluation"]
    assert [rung["kind"] for rung in evaluation["ladder"]] == [
        "base rate",
        "win rate by source",
        "present rule",
        "Odoo's method",
        "Odoo's method with engagement",
        "logistic regression",
        "model",
    ]
    for rung in evaluation["ladder"][:-1]:
        for gain in ("model_better_by", "auc_better_by"):
            assert rung[gain]["low"] <= rung[gain]["value"] <= rung[gain]["high"]
    assert evaluation["ladder"][2]["name"] == "your present rule: hand-overs"
    contest = evaluation["present"]["contest"]
    assert contest["leads"] <= contest["model_leads"] <= contest["leads"] + 5, "ties at the line may add a few"
    assert 0 < contest["win_rate"]["value"] < 1


def test_train_when_parts_are_looked_at_then_each_look_is_in_the_bundle(trained: Path) -> None:
    summary = summary_of(trained)
    looks = summary["evaluation"]["looks"]
    tested = [part["part"] for part in summary["plan"] if part["part"] != "fit"]
    assert list(dict.fromkeys(look["part"] for look in looks)) == tested
    assert {look["wins"] for look in looks} <= {part["wins"] for part in summary["plan"]}
    judged = [look["part"] for look in looks if "final figures" in look["use"]]
    assert judged == (tested if summary["evaluation"]["pooled"] else ["test"])
    if summary["evaluation"]["pooled"]:
        assert "not certified" in summary["evaluation"]["sentence"]


def test_train_when_the_report_is_read_then_the_present_rule_is_compared_in_plain_words(trained: Path) -> None:
    page = next((trained / "models").glob("*.report.html")).read_text()
    assert "Against your present rule" in page
    assert "Your present rule: hand-overs" in page
    assert "Odoo" in page


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('present_score = "job_title_score"', "only today's value is known"),
        ('present_stage = "no such stage"', "holds no lead that entered it"),
        ('[[policy.present]]\nevent = "no such event"\n', "no event has this type"),
    ],
)
def test_train_when_the_present_rule_cannot_be_known_then_exit_3_before_anything_is_learned(
    trained: Path, tmp_path: Path, run: Run, policy: str, words: str
) -> None:
    text = (trained / "mqlml.toml").read_text().replace('path = "', f'path = "{trained}/')
    changed = text.replace("[policy]", f"[policy]\n{policy}") if "[[" not in policy else f"{text}\n{policy}"
    (tmp_path / "mqlml.toml").write_text(changed)
    ran = run("train", "--config", tmp_path / "mqlml.toml", "--as-of", AS_OF)
    assert ran.code == 3, ran.err
    assert words in ran.err
    assert not (tmp_path / "models").exists()
    checked = run("check", "--config", tmp_path / "mqlml.toml", "--as-of", AS_OF, "--json")
    assert any(words in problem for problem in checked.json["problems"])
