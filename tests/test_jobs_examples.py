"""The examples of docs/jobs.md for schedulers: they parse, and try again only what is worth it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parent.parent / "docs/jobs.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the page's blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the example of Airflow with stand-ins for what it imports; return the task's own function."""
    tasks = []

    class Fails(Exception):
        pass

    def task(**settings: Any) -> Any:
        assert settings["retries"] > 0
        return lambda function: tasks.append(function) or (lambda: None)

    sdk, exceptions = ModuleType("airflow.sdk"), ModuleType("airflow.sdk.exceptions")
    sdk.dag = lambda **_: lambda function: function  # type: ignore[attr-defined]
    sdk.task = task  # type: ignore[attr-defined]
    exceptions.AirflowFailException = Fails  # type: ignore[attr-defined]
    for module in (ModuleType("airflow"), sdk, exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    (example,) = (block for block in blocks("python") if "airflow" in block)
    exec(compile(example, "docs/jobs.md", "exec"), {})
    return SimpleNamespace(run=tasks[0], fails=Fails)


@pytest.mark.parametrize(("code", "again"), [(0, None), (2, False), (3, False), (4, False), (5, True), (143, True)])
def test_airflow_example_when_a_run_ends_then_only_what_may_pass_is_tried_again(
    code: int, again: bool | None, score: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command)
        return subprocess.CompletedProcess(command, code, stderr="why")

    monkeypatch.setattr(subprocess, "run", run)
    if again is None:
        score.run(ds="2026-03-01")
    else:
        with pytest.raises(subprocess.CalledProcessError if again else score.fails):
            score.run(ds="2026-03-01")
    assert asked[0][-2:] == ["--as-of", "2026-03-01"]


@pytest.mark.parametrize(("code", "runs"), [(0, 1), (3, 1), (5, 3)])
def test_cron_example_when_a_run_ends_then_only_the_engines_failures_are_tried_again(
    code: int, runs: int, tmp_path: Path
) -> None:
    """The script runs as it stands, but for the folder, and with pauses of no length."""
    (script,) = (block for block in blocks("sh") if "for pause" in block)
    program = tmp_path / ".venv/bin/mqlml"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit {code}\n')
    program.chmod(0o755)
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    (tmp_path / "sleep").chmod(0o755)
    file = tmp_path / "score.sh"
    file.write_text(script.replace("cd /srv/mqlml", f"cd {tmp_path}"))
    ran = subprocess.run(["sh", str(file)], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert ran.returncode == code
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == runs
    assert asked[0].startswith("-q score --as-of 20")
