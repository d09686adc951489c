"""A policy set after the training decides in scores and report, and the bundle stays as it is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from workflows.conftest import AS_OF, Run

from mqlml.operation.bundle import read_bundle
from mqlml.operation.policies import read_basis
from mqlml.operation.registry import champion

pytestmark = pytest.mark.training


def test_threshold_when_set_then_scores_and_report_follow_it_and_the_bundle_is_unchanged(copy: Path, run: Run) -> None:
    settings = copy / "mqlml.toml"
    bundle = champion(copy / "models")
    assert bundle is not None
    before = read_bundle(bundle).parts
    asked = ("threshold", "--config", settings, "--json", "--floor", "0.02", "--without", "capacity_per_week")
    found = run(*asked, "--set", "--author", "A. Lee", "--reason", "a trial")
    assert found.code == 0, found.err
    policy = found.json["policy_version"]
    scored = run("score", "--config", settings, "--as-of", AS_OF, "--out", copy / "scores.parquet", "--json")
    assert scored.code == 0, scored.err
    assert scored.json["policy_version"] == policy
    scores = pq.read_table(copy / "scores.parquet")
    assert set(scores["policy_version"].to_pylist()) == {policy}
    reached, mqls = pc.greater_equal(scores["probability"], 0.02), scores["is_mql"]
    assert not pc.any(pc.and_not(mqls, reached)).as_py()
    # leads that sales rejected lately are held back; everybody else above the line is handed over
    held = sum(scored.json["selection"]["held_back"].values())
    assert pc.sum(reached).as_py() == pc.sum(mqls).as_py() + held
    written = run("report", "--config", settings, "--out", copy / "report.html")
    assert written.code == 0, written.err
    page = (copy / "report.html").read_text()
    assert "set after the training by" in page
    assert "A. Lee" in page
    assert dict(read_bundle(bundle).parts) == dict(before)


def test_threshold_when_leads_are_worth_their_own_then_scores_weigh_chance_and_value(copy: Path, run: Run) -> None:
    settings = copy / "mqlml.toml"
    asked = ("threshold", "--config", settings, "--json", "--cost", "300", "--value", "learned")
    found = run(*asked, "--without", "capacity_per_week", "--set", "--author", "A. Lee", "--reason", "a trial")
    assert found.code == 0, found.err
    policy = found.json["policy"]
    scored = run("score", "--config", settings, "--as-of", AS_OF, "--out", copy / "scores.parquet")
    assert scored.code == 0, scored.err
    scores = pq.read_table(copy / "scores.parquet")
    chosen = [p for p, mql in zip(scores["probability"].to_pylist(), scores["is_mql"].to_pylist(), strict=True) if mql]
    worths = [*policy["worth"]["levels"].values(), policy["worth"]["default"]]
    assert chosen
    assert min(chosen) >= 300 / max(worths)


def test_train_when_done_then_the_replay_holds_no_id_of_anybody(trained: Path) -> None:
    bundle = champion(trained / "models")
    assert bundle is not None
    basis = read_basis(read_bundle(bundle))
    assert {"handed", "accepted", "opportunity", "value", "present", "worth_learned"} <= set(basis.replay.more)
    ids = pq.read_table(trained / "leads.parquet", columns=["lead_id"])["lead_id"].to_pylist()
    stored = (bundle / "replay.parquet").read_bytes()
    assert not any(str(lead).encode() in stored for lead in ids[:500])
