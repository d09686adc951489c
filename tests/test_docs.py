"""The documentation says what the code says: reference pages, message codes, links and menu."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mqlml.cli import cli
from mqlml.config import Config

pytestmark = pytest.mark.long

# Calls whose first argument, or whose ``code``, is the code of a message.
MAKERS = {"Problem", "problem", "Fault"}


def run_script(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python command in the root of the repository, with this source tree first."""
    paths = os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )


def codes_in(source: Path) -> Iterator[str]:
    """Every code of a message that a file of the source names."""
    text = source.read_text(encoding="utf-8")
    yield from (code for code in re.findall(r"MQL-([a-z][a-z-]*)", text))
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        maker = getattr(node.func, "id", getattr(node.func, "attr", ""))
        named = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "code")] if maker in MAKERS else []
        yield from (a.value for a in named if isinstance(a, ast.Constant))


def test_reference_when_one_page_is_older_than_the_code_then_check_names_it_alone(root, tmp_path):
    for pattern, folder in (("scripts/reference*.py", "scripts"), ("docs/reference/*.md", "docs/reference")):
        (tmp_path / folder).mkdir(parents=True)
        for file in root.glob(pattern):
            shutil.copy(file, tmp_path / folder)
    (tmp_path / "docs/reference/scores.md").write_text("older", encoding="utf-8")
    done = run_script(root, str(tmp_path / "scripts/reference.py"), "--check")
    assert done.returncode == 1
    assert done.stderr == "docs/reference/scores.md is not what the code says. Fix: make docs\n"


def test_messages_page_when_compared_with_the_source_then_names_every_code_and_no_other(root):
    source = {code for file in (root / "src/mqlml").rglob("*.py") for code in codes_in(file)}
    page = set(re.findall(r"`MQL-([a-z-]+)`", (root / "docs/messages.md").read_text(encoding="utf-8")))
    assert page == source


def test_commands_when_asked_for_help_then_each_shows_an_example():
    without = [name for name, command in sorted(cli.commands.items()) if "Example: mqlml" not in (command.help or "")]
    assert without == []


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_commands_when_a_page_names_them_then_they_exist(root, page):
    shell = re.findall(r"```sh\n(.*?)```", (root / page).read_text(encoding="utf-8"), re.DOTALL)
    named = re.findall(r"\bmqlml ([a-z]+)\b", "\n".join(shell))
    assert named
    assert set(named) <= set(cli.list_commands(click.Context(cli)))


def test_settings_in_the_docs_when_read_then_every_key_exists(root):
    checked = 0
    for page in sorted((root / "docs").rglob("*.md")):
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            try:
                settings = tomllib.loads(block)
            except tomllib.TOMLDecodeError as error:
                pytest.fail(f"{page.name}: {error}\n{block}")
            if not set(settings) <= set(Config.model_fields):
                continue  # words.toml, criteria.toml
            unknown = list(unknown_keys(settings))
            assert not unknown, f"{page.name}: {unknown}"
            checked += 1
    assert checked > 10


def unknown_keys(settings: dict[str, object]) -> Iterator[str]:
    """Keys of a piece of ``mqlml.toml`` that do not exist, whatever is missing from it."""
    from pydantic import ValidationError

    try:
        Config.model_validate(settings)
    except ValidationError as error:
        yield from (str(problem["loc"]) for problem in error.errors() if problem["type"] == "extra_forbidden")
