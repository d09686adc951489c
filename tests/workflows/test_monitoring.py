"""Monitoring through the command line: a trained bundle, scores of past weeks, answers from sales."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workflows.conftest import Run

from mqlml.config import Config
from mqlml.operation.bundle import read_bundle
from mqlml.operation.reference import REFERENCE
from mqlml.operation.registry import resolve
from mqlml.workflows.stored_scores import stored_scores

pytestmark = pytest.mark.training

STATES = {"fine", "watch", "alarm", "not measured"}


def test_monitor_when_scores_matured_then_every_check_is_told_and_the_page_is_complete(run: Run, copy: Path) -> None:
    settings, scores, page = copy / "mqlml.toml", copy / "scores", copy / "monitor.html"
    settings.write_text(settings.read_text().replace("[handovers]\n", '[handovers]\nregion = "country"\n'))
    for day in ("2026-03-25", "2026-04-01"):
        score = ("score", "--config", settings, "--as-of", day, "--out", scores / f"{day}.parquet", "--no-reasons")
        assert run(*score).code == 0
    done = run(
        "monitor", "--config", settings, "--as-of", "2026-06-30", "--scores", scores, "--out", page, "--json"
    )  # fmt: skip
    found = done.json
    assert done.code == (4 if found["alarms"] else 0)
    checks = {c["code"]: c for c in found["checks"]}
    assert list(checks) == [f"MON-{k:02}" for k in range(1, 18)]
    assert {c["state"] for c in checks.values()} <= STATES
    assert checks["MON-02"]["figures"]["scores"] > 500
    for code in ("MON-06", "MON-07", "MON-09", "MON-11", "MON-13", "MON-14", "MON-15", "MON-17"):
        assert checks[code]["state"] != "not measured", checks[code]["sentence"]
    assert {line["part"] for line in found["regions"]} >= {"DE", "FR"}
    assert found["run_id"]
    html = page.read_text()
    assert "default-src 'none'" in html
    assert "<script" not in html
    assert 'href="http' not in html
    report = copy / "report.html"
    assert run("report", "--config", settings, "--out", report).code == 0
    assert "Watched in use" in report.read_text()
    assert found["retrain"]["sentence"].split(":")[0] in report.read_text()


def test_reference_when_the_bundle_is_read_then_it_holds_no_lead(trained: Path) -> None:
    config = Config.load(trained / "mqlml.toml")
    parts = read_bundle(resolve(config.path("models"), None)).parts
    found = json.loads(parts[REFERENCE])
    assert found["features"]["lead.source"]["kind"] == "category"
    assert found["chance"]["shares"]
    assert b"L00" not in parts[REFERENCE]


def test_scores_when_stored_as_csv_and_folders_then_they_are_read_alike(run: Run, copy: Path) -> None:
    settings = copy / "mqlml.toml"
    for out in ("one.parquet", "two.csv", "folder"):
        asked = ("score", "--config", settings, "--as-of", "2026-04-01", "--out", copy / out, "--no-reasons")
        assert run(*asked).code == 0
    config = Config.load(settings)
    tables = [stored_scores([copy / out], config) for out in ("one.parquet", "two.csv", "folder")]
    assert tables[0].num_rows > 0
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert stored_scores([copy / "one.parquet", copy / "two.csv"], config).equals(tables[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scores", "nowhere"), "there is no such file or folder"),
        (("--out", "page.pdf"), "end its name in .html"),
    ],
)
def test_monitor_when_asked_wrongly_then_exit_2(
    run: Run, trained: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run("monitor", "--config", trained / "mqlml.toml", "--as-of", "2026-06-30", *arguments)
    assert done.code == 2
    assert words in done.err
