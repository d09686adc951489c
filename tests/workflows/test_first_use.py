"""From exports to a scored list, a report and a threshold, by a person who does only what README and messages say.

Four exports of different shape. Each walk prints its seconds, the commands it took, and how often a message asked for
something.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from history import exports
from postgres_server import PASSWORD, Server

from mqlml.cli import main

pytestmark = pytest.mark.training


class Newcomer:
    """Types commands, reads what is printed, and does what it asks for."""

    def __init__(self, capfd: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch) -> None:
        self.capfd, self.environment = capfd, environment
        self.commands: list[str] = []
        self.asked: list[str] = []
        self.begun = time.monotonic()

    def types(self, command: str) -> str:
        """Run a command of mqlml that must succeed; return what it says."""
        self.commands.append(command)
        code = main(shlex.split(command)[1:])
        said = self.capfd.readouterr()
        assert code == 0, f"{command} ended with {code}:\n{said.out}\n{said.err}"
        return said.out

    def follows(self, said: str) -> str:
        """Do what stands behind 'Next': set what is to be set, and return the command of mqlml."""
        for step in re.findall(r"^\s*Next:?\s+(.*)$", said, flags=re.MULTILINE):
            if step.startswith("mqlml "):
                return str(step)
            self.asked.append(step)
            assert step.startswith("export PGPASSWORD"), step
            self.environment.setenv("PGPASSWORD", PASSWORD)
        raise AssertionError(f"nothing says what comes next:\n{said}")

    def walks(self, first: str) -> Path:
        """From the first command to everything the README promises; return the folder of the settings."""
        check = self.follows(self.types(first))
        settings = Path(shlex.split(check)[-1])
        train = self.follows(self.types(check))
        bundle = Path(self.types(train).splitlines()[-1])
        assert (bundle / "SHA256SUMS").is_file()
        self.types(f"mqlml score --config {settings} --out {settings.parent}/scores.csv")
        report = self.types(f"mqlml report --config {settings}").splitlines()[-1]
        threshold = self.types(f"mqlml threshold --config {settings} --capacity 5")
        with (settings.parent / "scores.csv").open(newline="") as file:
            scores = list(csv.DictReader(file))
        assert len(scores) > 50
        assert all(0 < float(row["probability"]) < 1 for row in scores)
        assert {row["is_mql"] for row in scores} <= {"true", "false", "True", "False"}
        assert "<html" in Path(report).read_text(encoding="utf-8")[:2_000]
        assert re.search(r"\d[\d.]* %", threshold)
        return settings.parent

    def tells(self, shape: str) -> str:
        """What the walk took."""
        return (
            f"first use of {shape}: {time.monotonic() - self.begun:.0f} s, {len(self.commands)} commands, "
            f"{len(self.asked)} asked for by messages"
        )


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert main(["-q", "sample", "--leads", "1500", "--seed", "5", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def newcomer(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Newcomer:
    capfd.readouterr()
    return Newcomer(capfd, monkeypatch)


def told(person: Newcomer, shape: str, capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():
        sys.stdout.write(f"\n{person.tells(shape)}\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "write", "options"),
    [
        ("one CSV of leads", exports.one_csv, ""),
        ("leads and activities", exports.leads_and_activities, " --timezone Europe/Berlin"),
        ("Salesforce and HubSpot", exports.salesforce_and_hubspot, ""),
    ],
)
def test_first_use_when_exports_lie_in_a_folder_then_the_words_of_the_messages_suffice(
    shape: str,
    write: Callable[[Path, Path], None],
    options: str,
    sample: Path,
    tmp_path: Path,
    newcomer: Newcomer,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write(sample, tmp_path / "exports")
    assert newcomer.walks(f"mqlml init {tmp_path}/exports{options}") == tmp_path / "exports"
    assert (len(newcomer.commands), newcomer.asked) == (6, [])
    told(newcomer, shape, capfd)


@pytest.mark.slow
@pytest.mark.engine
def test_first_use_when_tables_lie_in_a_database_then_only_the_password_is_asked_for(
    sample: Path, tmp_path: Path, postgres: Server, newcomer: Newcomer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "PGPASSWORD" not in os.environ
    exports.into_postgres(sample, postgres.url)
    assert newcomer.walks(f"mqlml init '{postgres.url}' --out {tmp_path}") == tmp_path
    assert (len(newcomer.commands), len(newcomer.asked)) == (6, 1)
    told(newcomer, "a PostgreSQL database", capfd)
