"""One small sample history, trained once through the command line; tests look at what lies there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mqlml.cli import main

AS_OF = "2026-04-01"


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run mqlml as from a shell, quietly."""

    def command(*arguments: object) -> Ran:
        code = main(["-q", *map(str, arguments)])
        found = capfd.readouterr()
        return Ran(code, found.out, found.err)

    return command


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a sample of 3,000 leads and a first bundle as of April 2026."""
    folder = tmp_path_factory.mktemp("history")
    assert main(["-q", "sample", "--leads", "3000", "--out", str(folder)]) == 0
    settings = folder / "mqlml.toml"
    small = "\n[model]\nbags = 2\norigins = 2\nthreads = 1\n[features]\nwindows_days = [7, 30]\n"
    settings.write_text(settings.read_text() + small)
    assert main(["-q", "train", "--config", str(settings), "--as-of", AS_OF]) == 0
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """Give a test its own copy of the trained folder, to change what it likes."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))
