"""What people are asked to review, what changed between models, and the definition they sign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workflows.conftest import AS_OF, Run

from mqlml.config import Config
from mqlml.operation.bundle import read_bundle, read_json, write_bundle
from mqlml.operation.registry import champion, set_champion
from mqlml.workflows.reviewing import as_told

OLD = """
[[criterion]]
name = "industry"
decision = "approve"
by = "Ana"

[[criterion]]
name = "country"
decision = "bar"
by = "Ana"
"""
NEW = """
[[criterion]]
name = "industry"
decision = "bar"
note = "no longer a market"
by = "Ben"
on = 2026-05-02

[[criterion]]
name = "page_view"
decision = "cap"
cap = 3
label = "Pages seen"
by = "Ben"
"""


@pytest.fixture
def models(copy: Path) -> Path:
    return copy / "models"


def changed_bundle(models: Path, **changes: Any) -> Path:
    """Write a second bundle that differs from the first in parts of its report."""
    first = champion(models)
    assert first is not None
    parts = dict(read_bundle(first).parts)
    summary = read_json(parts, "report.json") | changes
    parts["report.json"] = json.dumps(summary).encode()
    return write_bundle(parts, models, as_of=Config.of({"leads": {"path": ""}, "outcomes": {}}).moment(AS_OF))


@pytest.mark.training
def test_criteria_when_the_first_model_is_read_then_those_that_carry_the_weight_are_asked_for(
    trained: Path, run: Run
) -> None:
    done = run("criteria", "--config", trained / "mqlml.toml", "--json").json
    assert done["review"] == "unreviewed"
    assert done["since"] is None
    assert 0 < len(done["criteria"]) <= 20
    assert all(row["mark"] is None and row["change"] is None for row in done["criteria"])
    carried = sum(row["importance"] for row in done["criteria"])
    assert carried >= 0.9 or len(done["criteria"]) == 20 or done["others"] == 0
    text = run("criteria", "--config", trained / "mqlml.toml").out
    assert f"{len(done['criteria'])} criteria ask for a decision" in text


@pytest.mark.training
def test_as_told_when_the_champion_was_reviewed_then_only_new_and_reversed_criteria_are_asked_for(
    models: Path,
) -> None:
    first = champion(models)
    assert first is not None
    drivers = read_json(read_bundle(first).parts, "report.json")["drivers"]
    way = {"raises": "lowers", "lowers": "raises"}
    turned = next(driver for driver in drivers if driver["direction"] in way)
    other = [{**d, "direction": way[d["direction"]]} if d is turned else d for d in drivers]
    other.insert(0, {**drivers[0], "criterion": "webinar"})
    second = changed_bundle(models, drivers=other)
    summary = read_json(read_bundle(second).parts, "report.json")

    unreviewed = as_told(summary, models, second)
    assert len(unreviewed["to_review"]) > 2
    set_champion(models, first.name, review="reviewed by Ana")
    told = as_told(summary, models, second)
    assert set(told["to_review"]) == {"webinar", turned["criterion"]}
    assert told["since"]["model_version"] == first.name
    assert told["since"]["criteria"]["webinar"]["change"] == "new"
    assert as_told(summary, models, first)["since"] is None


@pytest.mark.training
def test_diff_when_two_files_are_compared_then_who_when_and_why_are_told(copy: Path, run: Run) -> None:
    (copy / "old.toml").write_text(OLD)
    (copy / "new.toml").write_text(NEW)
    done = run("criteria", "diff", "old.toml", "new.toml", "--config", copy / "mqlml.toml", "--json").json
    assert {row["criterion"]: row["what"] for row in done["decisions"]} == {
        "industry": "changed",
        "page_view": "added",
        "country": "withdrawn",
    }
    assert done["drivers"] is None
    text = run("criteria", "diff", "old.toml", "new.toml", "--config", copy / "mqlml.toml").out
    assert "after: bar, by Ben on 2026-05-02: no longer a market" in text
    assert "after: cap 3, called 'Pages seen', by Ben" in text


@pytest.mark.training
def test_diff_when_two_bundles_are_compared_then_changed_drivers_are_told(models: Path, run: Run) -> None:
    first = champion(models)
    assert first is not None
    drivers = read_json(read_bundle(first).parts, "report.json")["drivers"]
    second = changed_bundle(models, drivers=[{**drivers[0], "criterion": "webinar"}, *drivers[2:]])
    settings = models.parent / "mqlml.toml"
    text = run("criteria", "diff", first.name, second.name, "--config", settings).out
    assert "none changed" in text
    assert "webinar: new" in text
    was = f"(was {100 * drivers[1]['importance']:.1f} % of the weight"
    assert f"{drivers[1]['criterion']}: no longer among those that weigh most {was}" in text


@pytest.mark.training
def test_diff_when_a_name_is_neither_file_nor_bundle_then_it_ends_with_2(trained: Path, run: Run) -> None:
    done = run("criteria", "diff", "nowhere.toml", "nothing", "--config", trained / "mqlml.toml")
    assert (done.code, "there is no file 'nowhere.toml'" in done.err) == (2, True)
    assert run("criteria", "diff", "nothing", "nothing", "--config", trained / "mqlml.toml").code == 2


@pytest.mark.training
def test_definition_when_written_then_marketing_and_sales_can_sign_it(trained: Path, run: Run, tmp_path: Path) -> None:
    summary = read_json(read_bundle(next((trained / "models").glob(f"{AS_OF}-*/"))).parts, "report.json")
    out = tmp_path / "mql.md"
    assert run("definition", "--config", trained / "mqlml.toml", "--out", out).out.strip() == str(out)
    text = out.read_text()
    assert text.startswith("# MQL definition")
    assert "Hand over every lead whose chance to win is" in text
    assert "Known to be duplicate" in text
    assert f"{100 * summary['decision']['win_rate']['value']:.0f}" in text
    assert "| For sales |" in text
    assert summary["definition"]["review_on"] == "2026-06-30"
    assert {line["criterion"] for s in summary["signals"] for line in s["lines"]} == {
        "budget_stated",
        "company_size",
        "job_title",
        "buying_role",
    }
    assert summary["ideal"]["leads"] > 0
    assert any(driver["split"]["periods"] for driver in summary["drivers"] if driver["split"])
