"""Settings of the label through the command line: what is foreseen, whose win it is, what young snapshots do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from workflows.conftest import AS_OF, Run
from workflows.test_degraded_inputs import history

pytestmark = pytest.mark.training


def checked(copy: Path, run: Run, old: str, new: str) -> dict[str, Any]:
    settings = copy / "mqlml.toml"
    assert old in settings.read_text()
    settings.write_text(settings.read_text().replace(old, new))
    ran = run("check", "--config", settings, "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.json
    return found


def test_check_when_the_settings_are_as_they_are_then_curves_reasons_and_credit_are_told(
    trained: Path, run: Run
) -> None:
    ran = run("check", "--config", trained / "mqlml.toml", "--as-of", AS_OF, "--json")
    p = ran.json["population"]
    rates = [point["win_rate"] for point in p["win_curves"]["points"]]
    assert rates == sorted(rates)
    assert {point["days"] for point in p["win_curves"]["points"]} >= {30, 60, 90}
    assert p["win_curves"]["advice"].startswith("90 % of the wins come within")
    assert p["credit"]["wins"]["lead"] == p["credit"]["wins"]["contacts"] < p["credit"]["wins"]["account"]
    assert "no response" in p["lost_reasons"]
    text = run("check", "--config", trained / "mqlml.toml", "--as-of", AS_OF).out
    assert "Lost: " in text
    assert "won by then" in text


def test_check_when_the_target_is_a_stage_then_more_leads_reach_it_than_are_won(
    trained: Path, copy: Path, run: Run
) -> None:
    plain = run("check", "--config", trained / "mqlml.toml", "--as-of", AS_OF, "--json").json["population"]
    found = checked(copy, run, "[label]", '[label]\ntarget = "opportunity"')
    assert found["population"]["won"] > plain["won"]
    assert any("enters the stage 'opportunity' for the first time" in note for note in found["notes"])


def test_check_when_the_account_is_credited_then_more_leads_are_won(copy: Path, run: Run) -> None:
    found = checked(copy, run, 'won = ["won"]', 'won = ["won"]\ncredit = "account"')["population"]
    assert found["credit"]["used"] == "account"
    assert found["wins_in_snapshots"] > found["credit"]["wins"]["lead"] * 1.2


def test_check_when_nobody_entered_the_target_then_it_says_which_stages_there_are(copy: Path, run: Run) -> None:
    settings = copy / "mqlml.toml"
    settings.write_text(settings.read_text().replace("[label]", '[label]\ntarget = "oportunity"'))
    ran = run("check", "--config", settings, "--as-of", AS_OF)
    assert ran.code == 3
    assert "MQL-unknown-stage stages.parquet" in ran.err
    assert "did you mean 'opportunity'?" in ran.err


def test_train_when_young_snapshots_are_learned_from_then_the_tests_hold_none_of_them(tmp_path: Path, run: Run) -> None:
    settings = history(tmp_path)
    settings.write_text(settings.read_text() + '[label]\nhorizon_days = 60\nmode = "ipcw"\n')
    ran = run("train", "--config", settings, "--json")
    assert ran.code == 0, ran.err
    population = ran.json["population"]
    assert population["young_snapshots"] > 0
    assert population["snapshots"] > sum(part["snapshots"] for part in ran.json["plan"][1:])
    assert any("are younger than the horizon" in note for note in ran.json["notes"])
    assert run("score", "--config", settings, "--out", tmp_path / "s.parquet").code == 0
