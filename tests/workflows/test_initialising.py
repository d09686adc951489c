"""From exports to settings that check and train as they are: three folders, end to end, through the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from history import exports

from mqlml.cli import main
from mqlml.workflows.examining import examine

if TYPE_CHECKING:
    from workflows.conftest import Run

pytestmark = pytest.mark.long

SMALL = "\n[model]\nbags = 2\norigins = 2\nthreads = 1\n[features]\nwindows_days = [30]\nmax_pairs = 0\n"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert main(["-q", "sample", "--leads", "1000", "--seed", "5", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def salesforce(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crm") / "exports"
    exports.salesforce_and_hubspot(sample, folder)
    return folder


def read(folder: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((folder / "mqlml.toml").read_text(encoding="utf-8"))


def test_init_when_one_csv_then_check_accepts_what_it_wrote(sample: Path, tmp_path: Path, run: Run):
    exports.one_csv(sample, tmp_path / "exports")
    started = run("init", tmp_path / "exports", "--json")
    assert started.code == 0, started.err
    settings = read(tmp_path / "exports")
    assert settings["outcomes"]["outcome"] == "outcome"
    assert settings["outcomes"]["decided_at"] == "closed_at"
    assert settings["label"]["horizon_days"] in (90, 120, 150, 180)
    assert {"email", "onboarding_owner"} <= {*settings["leads"]["exclude"], *settings["leads"]["state"]}
    assert "example.org" not in started.out
    checked = run("check", "--config", tmp_path / "exports" / "mqlml.toml", "--json")
    assert checked.code == 0
    assert checked.json["population"]["leads"] > 900
    assert checked.json["outlook"]["missing"] == ["events", "history", "handovers"]
    told = run("check", "--config", tmp_path / "exports" / "mqlml.toml").out
    assert "  Enough?  " in told
    assert told.rstrip().endswith(f"Next     mqlml train --config {tmp_path / 'exports' / 'mqlml.toml'}")


def test_init_when_german_spreadsheets_then_check_reads_the_activities(sample: Path, tmp_path: Path, run: Run):
    exports.leads_and_activities(sample, tmp_path / "exports")
    started = run("init", tmp_path / "exports", "--timezone", "Europe/Berlin")
    assert started.code == 0, started.err
    assert "'Working'" in started.out
    settings = read(tmp_path / "exports")
    assert settings["leads"]["timestamp_format"] == "%d.%m.%Y %H:%M"
    assert settings["events"]["by_sales"] == ["call", "meeting"]
    checked = run("check", "--config", tmp_path / "exports" / "mqlml.toml", "--json")
    assert checked.code == 0
    used = {line["table"]: line["used"] for line in checked.json["accounting"]}
    assert used["events"] > 10_000


def test_init_when_two_systems_then_every_fact_stands_under_its_lead(salesforce: Path, run: Run):
    started = run("init", salesforce, "--force", "--json")
    assert started.code == 0, started.err
    tables = {Path(path).stem: rows for path, rows in started.json["tables"].items()}
    assert set(tables) == {"outcomes", "events", "history", "stages", "handovers", "links"}
    checked = run("check", "--config", salesforce / "mqlml.toml", "--json")
    assert checked.code == 0
    accounts = {line["table"]: line for line in checked.json["accounting"]}
    assert accounts["leads"]["used"] == 1_000
    assert accounts["leads"]["skipped"] == {"not selected by [leads] where": 50}
    for table in ("outcomes", "events", "handovers"):
        assert accounts[table]["used"] == accounts[table]["rows_in"] == tables[table]


def test_init_when_only_tables_are_wanted_then_those_of_the_settings_are_made_anew(salesforce: Path, run: Run):
    assert run("init", salesforce, "--force").code == 0
    settings, events = salesforce / "mqlml.toml", salesforce / "mqlml-tables" / "events.parquet"
    mine = (
        settings.read_text(encoding="utf-8").replace("[stages]\npath", "[stages]\n# path").replace("[stages]", "# no")
    )
    settings.write_text(mine, encoding="utf-8")
    before = events.read_bytes()
    events.unlink()
    done = run("init", salesforce, "--tables-only", "--json")
    assert done.code == 0, done.err
    assert events.read_bytes() == before
    assert "mqlml-tables/stages.parquet" not in done.json["tables"]
    assert settings.read_text(encoding="utf-8") == mine
    settings.unlink()


@pytest.mark.slow
@pytest.mark.training
def test_init_when_two_systems_then_training_needs_no_hand_editing(salesforce: Path, run: Run):
    assert run("init", salesforce, "--force").code == 0
    settings = salesforce / "mqlml.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + SMALL, encoding="utf-8")  # only to be quick
    trained = run("train", "--config", settings, "--json")
    assert trained.code == 0, trained.err
    assert Path(trained.json["report"]).exists()


def test_init_when_there_are_settings_then_they_stay_unless_forced(tmp_path: Path, run: Run):
    text = "lead_id,created_at,outcome\n" + "".join(
        f"L{i},2024-01-{1 + i % 28:02},{'won' if i % 3 else 'lost'}\n" for i in range(60)
    )
    (tmp_path / "leads.csv").write_text(text)
    (tmp_path / "mqlml.toml").write_text("# mine\n")
    refused = run("init", tmp_path)
    assert refused.code == 2
    assert "--force" in refused.err
    assert (tmp_path / "mqlml.toml").read_text() == "# mine\n"
    forced = run("init", tmp_path, "--force")
    assert forced.code == 0, forced.err
    assert read(tmp_path)["label"] == {"mode": "final"}


def test_init_when_no_outcome_is_found_then_nothing_is_written(tmp_path: Path, run: Run):
    (tmp_path / "leads.csv").write_text("lead_id,created_at,industry\nA,2024-01-01,x\nB,2024-01-02,y\n")
    refused = run("init", tmp_path)
    assert refused.code == 3
    assert "--outcome COLUMN" in refused.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["leads.csv"]


def test_doctor_when_all_is_well_then_says_so(tmp_path: Path, run: Run):
    found = run("doctor", "--config", tmp_path / "mqlml.toml", "--json")
    assert found.code == 0
    names = {check["name"] for check in found.json["checks"]}
    assert {"Python", "libraries", "threads", "compiled code", "models", "MLflow"} <= names


def test_doctor_when_the_settings_are_wrong_then_ends_with_5_and_says_what_to_repair(tmp_path: Path, run: Run):
    (tmp_path / "mqlml.toml").write_text('[leads]\npath = "a.csv"\n[outcomes]\nwonn = ["x"]\n')
    found = run("doctor", "--config", tmp_path / "mqlml.toml")
    assert found.code == 5
    assert "did you mean 'won'?" in found.out


def test_doctor_when_the_mlflow_server_is_down_then_advises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:9")
    checks = {check.name: check for check in examine(tmp_path / "mqlml.toml")}
    assert checks["MLflow"].state == "advice"
    assert "secret" not in str(checks["MLflow"])


def test_init_when_one_file_is_named_then_settings_lie_beside_it_and_only_it_is_read(
    sample: Path, tmp_path: Path, run: Run
):
    exports.one_csv(sample, tmp_path / "exports")
    (tmp_path / "exports" / "Activities.csv").write_text("lead_id,date,type\nx,2026-01-01,call\n")
    started = run("init", tmp_path / "exports" / "crm_export.csv", "--json")
    assert started.code == 0, started.err
    assert set(read(tmp_path / "exports")) == {"leads", "outcomes", "label", "policy"}
