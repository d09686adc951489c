"""The command line's manners: exit codes, streams, help and signals."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mqlml.cli import cli, main


def test_help_when_asked_then_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in cli.commands.items():
        assert main([name, "--help"]) == 0
        assert len(command.help or "") > 20
        assert "Usage: mqlml" in capsys.readouterr().out


def test_help_when_started_then_nothing_heavy_is_imported() -> None:
    heavy = "lightgbm,sklearn,shap,mlflow,pandas,pyarrow,duckdb,numba,altair,numpy,rich,pydantic"
    code = (
        "import sys; from mqlml.cli import main; main(['--help']); "
        f"bad = [m for m in {heavy.split(',')!r} if m in sys.modules]; sys.exit(', '.join(bad) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "trian"),
        (["train", "--as-off", "x"], "--as-off"),
        (["score", "--out"], "--out"),
        (["sample", "--leads", "3"], "3 is not in the range"),
        (["example", "titanic"], "titanic"),
    ],
)
def test_main_when_the_command_is_wrong_then_one_line_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_main_when_the_configuration_is_missing_then_exit_2_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--config", str(tmp_path / "none.toml")]) == 2
    assert "Hint: name one with --config" in capsys.readouterr().err


def test_main_when_a_key_is_misspelled_then_the_nearest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "mqlml.toml"
    settings.write_text('[leads]\npath = "x.csv"\n[outcomes]\n[label]\nhorizon_day = 3\n[polcy]\n')
    assert main(["train", "--config", str(settings)]) == 2
    err = capsys.readouterr().err
    assert "'[label] horizon_day'; did you mean 'horizon_days'?" in err
    assert "'polcy'; did you mean 'policy'?" in err


def test_main_when_data_are_refused_then_exit_3_and_nothing_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "leads.csv").write_text("<html><body>please log in</body></html>")
    (tmp_path / "mqlml.toml").write_text('[leads]\npath = "leads.csv"\n[outcomes]\n')
    assert main(["-q", "train", "--config", str(tmp_path / "mqlml.toml")]) == 3
    err = capsys.readouterr().err
    assert err.startswith("MQL-")
    assert "Fix:" in err
    assert "Nothing was written" in err
    assert not (tmp_path / "models").exists()


def test_main_when_something_unforeseen_happens_then_exit_1_says_it_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mqlml.cli.looking.load", lambda _: 1 / 0)
    assert main(["-q", "check"]) == 1
    assert "a bug in mqlml: ZeroDivisionError" in capsys.readouterr().err


def test_sample_when_json_is_asked_for_then_stdout_is_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--leads", "1000", "--out", str(tmp_path / "s"), "--json"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["tables"]["leads"] == 1_000
    assert "Writing a history" in found.err


@pytest.mark.long
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_main_when_a_signal_arrives_then_it_ends_cleanly_with_its_code(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "mqlml", "sample", "--leads", "3000000", "--out", str(tmp_path / "big")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    assert "Writing" in process.stderr.readline()
    time.sleep(1.0)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "nothing half-written was kept" in err
    assert [p for p in (tmp_path / "big").rglob("*") if p.is_file()] == []


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _commands(below, (*path, name))


@pytest.mark.parametrize("path", list(_commands(cli)), ids=" ".join)
def test_help_when_asked_of_a_command_then_shows_an_example_that_exists(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    examples = re.findall(r"^ *Example.*?: +(mqlml .*)$", capsys.readouterr().out, flags=re.MULTILINE)
    assert examples
    for one in (part for example in examples for part in example.split("&&")):
        words, found = shlex.split(one)[1:], cli
        options = {option for parameter in found.params for option in parameter.opts}
        while words and isinstance(found, click.Group) and words[0] in found.commands:
            found = found.commands[words.pop(0)]
            options |= {o for parameter in found.params for o in (*parameter.opts, *parameter.secondary_opts)}
        assert found is not cli, one
        assert {word for word in words if word.startswith("--")} <= options, one


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_when_a_shell_asks_then_gets_its_script(shell: str) -> None:
    environment = {**os.environ, "_MQLML_COMPLETE": f"{shell}_source"}
    ran = subprocess.run([sys.executable, "-m", "mqlml"], env=environment, capture_output=True, text=True, check=True)
    assert "_MQLML_COMPLETE" in ran.stdout
