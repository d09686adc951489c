"""Decisions on criteria go into the next training, its report and its reasons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from workflows.conftest import AS_OF, Run

pytestmark = pytest.mark.training

DECISIONS = """
[[criterion]]
name = "industry"
decision = "bar"
by = "Ana"

[[criterion]]
name = "page_view"
decision = "must-increase"
label = "Pages seen"
note = "sales agrees"
by = "Ana"
on = 2026-04-01
"""


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "history"
    shutil.copytree(trained, copy)
    return copy


@pytest.mark.training
@pytest.mark.slow
def test_train_when_criteria_are_decided_then_it_obeys_and_says_what_each_cost(folder: Path, run: Run) -> None:
    (folder / "criteria.toml").write_text(DECISIONS)
    done = run("train", "--config", folder / "mqlml.toml", "--as-of", AS_OF, "--json").json
    bundle = Path(done["bundle"])
    report = json.loads((bundle / "report.json").read_text())
    assert "industry" not in {driver["criterion"] for driver in report["drivers"]}
    marks = report["criteria"]["marks"]
    assert [mark["name"] for mark in marks] == ["industry", "page_view"]
    assert all("log loss" in mark["effect"] for mark in marks)
    assert "log loss" in report["criteria"]["together"]
    assert all(mark["figures"]["mqls_per_week"]["low"] is not None for mark in marks)
    # The minutes stay with the bundle: who, when, what, why.
    minutes = json.loads((bundle / "criteria.json").read_text())["marks"][1]
    found = [minutes[key] for key in ("by", "on", "decision", "note")]
    assert found == ["Ana", "2026-04-01", "must-increase", "sales agrees"]
    old = next(p.name for p in (folder / "models").glob(f"{AS_OF}-*/") if p.name != bundle.name)
    told = run("criteria", "diff", old, bundle, "--config", folder / "mqlml.toml").out
    assert "by Ana on 2026-04-01: sales agrees" in told
    assert "MQLs a week at the same threshold" in told
    assert "industry: no longer among those that weigh most" in told
    assert any("2 decisions on criteria are obeyed" in note for note in done["notes"])
    html = Path(done["report"]).read_text()
    assert "sales agrees" in html
    assert "Pages seen" in html
    assert "Compared with the model in use" in html

    scores = folder / "scores.csv"
    assert (
        run("score", "--config", folder / "mqlml.toml", "--as-of", AS_OF, "--model", bundle, "--out", scores).code == 0
    )
    assert "industry:" not in scores.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DECISIONS.replace('by = "Ana"', "", 1), "'by' is missing"),
        (DECISIONS.replace("bar", "must-increase", 1), "'industry': no number"),
    ],
)
def test_train_when_decisions_are_wrong_then_it_says_so_and_ends_with_2(
    folder: Path, run: Run, text: str, message: str
) -> None:
    (folder / "criteria.toml").write_text(text)
    done = run("train", "--config", folder / "mqlml.toml", "--as-of", AS_OF)
    assert done.code == 2
    assert message in done.err


def test_train_when_the_named_file_of_decisions_is_missing_then_it_says_so(folder: Path, run: Run) -> None:
    settings = folder / "mqlml.toml"
    settings.write_text(settings.read_text() + '\n[criteria]\npath = "agreed.toml"\n')
    done = run("train", "--config", settings, "--as-of", AS_OF)
    assert done.code == 2
    assert "agreed.toml" in done.err
