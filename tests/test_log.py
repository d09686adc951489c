"""JSON lines for machines: every line is one object, counts are there, and no value of the data is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from datetime import datetime
from pathlib import Path

import pytest

from mqlml.cli import main
from mqlml.cli.log import log_result, new_run

CANARY = "Zoë O'Canary-7731"
LEADS = "lead_id,created_at,company,size,outcome,decided_at\n"


@pytest.fixture(autouse=True)
def plain_again():
    yield
    new_run()


def lines(err: str) -> list[dict]:
    found = [json.loads(line) for line in err.splitlines()]
    for line in found:
        assert list(line)[:4] == ["time", "level", "event", "message"]
        assert datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 0
        assert line["level"] in ("info", "warning", "error")
    return found


def history(folder: Path, *, size: str, outcome: str = "won") -> Path:
    """Write 200 leads whose company is the canary; one size is ``size``, one outcome ``outcome``."""
    rows = [
        f'L{i},2026-01-{1 + i % 28:02},"{CANARY}",{size if i == 7 else i},{outcome if i == 9 else "won"},2026-03-01'
        for i in range(200)
    ]
    (folder / "leads.csv").write_text(LEADS + "\n".join(rows) + "\n", encoding="utf-8")
    settings = folder / "mqlml.toml"
    settings.write_text('[leads]\npath = "leads.csv"\ntimezone = "UTC"\n[outcomes]\nwon = ["won"]\nlost = ["lost"]\n')
    return settings


def test_log_when_json_then_steps_counts_and_the_end_are_lines(tmp_path, capsys):
    assert main(["--log", "json", "sample", "--leads", "1000", "--out", str(tmp_path / "s")]) == 0
    found = capsys.readouterr()
    assert found.out.strip() == str(tmp_path / "s")
    started, step, result, done = lines(found.err)
    assert (started["event"], started["message"]) == ("started", "mqlml sample")
    assert (step["event"], step["message"], step["parts"]) == ("step", "Writing a history of 1,000 leads", 1_000)
    assert result["counts"]["tables"]["leads"] == 1_000
    assert (done["event"], done["exit_code"]) == ("done", 0)
    assert done["seconds"] > 0


def test_log_when_the_environment_asks_then_json_and_quiet_leaves_the_steps_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MQLML_LOG", "json")
    assert main(["-q", "sample", "--leads", "1000", "--out", str(tmp_path / "s")]) == 0
    assert [line["event"] for line in lines(capsys.readouterr().err)] == ["started", "result", "done"]


def test_log_when_not_asked_for_then_messages_are_as_ever(tmp_path, capsys):
    assert main(["sample", "--leads", "1000", "--out", str(tmp_path / "s")]) == 0
    err = capsys.readouterr().err.splitlines()
    assert err[:2] == ["Writing a history of 1,000 leads ...", "leads: 1,000 rows"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size": CANARY}, "MQL-odd-number"),
        ({"size": f"{CANARY}' and 'more"}, "MQL-odd-number"),
        ({"size": "3", "outcome": CANARY}, "MQL-unknown-outcome"),
    ],
)
def test_log_when_data_are_refused_then_place_and_counts_are_told_and_no_value(change, code, tmp_path, capsys):
    settings = history(tmp_path, **change)
    assert main(["train", "--config", str(settings)]) == 3
    plain = capsys.readouterr().err
    assert "O'Canary-7731" in plain  # people are shown what to correct
    assert main(["--log", "json", "train", "--config", str(settings)]) == 3
    err = capsys.readouterr().err
    problem = next(line for line in lines(err) if line["event"] == code)
    assert (problem["level"], problem["count"], problem["total"], problem["exit_code"]) == ("error", 1, 200, 3)
    assert problem["column"] in ("size", "outcome")
    assert problem["file"].endswith("leads.csv")
    assert lines(err)[-1]["event"] == "stopped"
    for word in ("Canary", "7731", "Zoë", "Zo\\u00eb"):
        assert word not in err


@pytest.mark.parametrize(
    ("arguments", "code", "event"),
    [(["--log", "json", "trian"], 2, "usage"), (["--log", "json", "check", "--config", "none.toml"], 2, "MQL-config")],
)
def test_log_when_the_command_is_wrong_then_one_error_and_the_end(arguments, code, event, capsys):
    assert main(arguments) == code
    *_, error, end = lines(capsys.readouterr().err)
    assert (error["event"], error["level"], error["exit_code"]) == (event, "error", 2)
    assert (end["event"], end["exit_code"]) == ("failed", code)


def test_log_when_there_is_a_bug_then_its_kind_is_told_and_not_what_it_says(capsys, monkeypatch):
    def fail(_: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr("mqlml.cli.looking.load", fail)
    assert main(["-q", "--log", "json", "check"]) == 1
    err = capsys.readouterr().err
    assert [line["event"] for line in lines(err)] == ["started", "bug", "failed"]
    assert "KeyError" in err
    assert "Canary" not in err


def test_log_when_a_library_warns_then_that_is_a_line(capsys, monkeypatch):
    def warn(_: object) -> None:
        warnings.simplefilter("always")
        warnings.warn("old, will go", DeprecationWarning, stacklevel=1)
        sys.exit(0)

    monkeypatch.setattr("mqlml.cli.looking.load", warn)
    with pytest.raises(SystemExit):
        main(["--log", "json", "check"])
    warned = lines(capsys.readouterr().err)[-1]
    assert (warned["level"], warned["category"]) == ("warning", "DeprecationWarning")


def test_log_result_when_scores_were_written_then_counts_by_mqlmls_own_words_only(capsys):
    main(["--log", "json", "--version"])
    capsys.readouterr()
    manifest = {
        "model_version": "2026-04-01-0123", "review": CANARY, "rows_in": 9, "scored": 7, "complete": True,
        "tiers": {"hot": 1}, "skipped": {"decided": 2}, "selection": {"rules": {CANARY: 3}},
        "notes": [f"say '{CANARY}'"],
    }  # fmt: skip
    log_result(manifest)
    note, result = lines(capsys.readouterr().err)
    assert note["message"] == "say '…'"
    assert result["counts"] == {"rows_in": 9, "scored": 7, "skipped": {"decided": 2}, "tiers": {"hot": 1}}
    assert result["model_version"] == "2026-04-01-0123"


def test_log_when_terminated_then_the_last_line_says_so(tmp_path):
    command = [sys.executable, "-m", "mqlml", "--log", "json", "sample", "--leads", "3000000", "--out"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([*command, str(tmp_path / "big")], stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    heard = [process.stderr.readline(), process.stderr.readline()]
    assert json.loads(heard[1])["event"] == "step"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    last = lines("".join(heard) + err)[-1]
    assert (last["event"], last["level"], last["exit_code"]) == ("terminated", "warning", 143)
    assert process.returncode == 143
    assert [p for p in (tmp_path / "big").rglob("*") if p.is_file()] == []
