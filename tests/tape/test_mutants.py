"""The checks are worth something: they notice every mistake that is made in the kernel on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tape.mistakes import MISTAKES, Edit

import mqlml

Complaints = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def complaints() -> Complaints:
    """What the checks say about the right kernel, which has no name, and about every wrong one."""
    folders = [str(Path(__file__).parent.parent), str(Path(mqlml.__file__).parent.parent)]
    done = subprocess.run(
        [sys.executable, "-m", "tape.mutants", "", *MISTAKES],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Complaints = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_checks_when_the_kernel_is_right_then_nothing_is_said(complaints: Complaints) -> None:
    assert complaints[""] == {}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_checks_when_a_mistake_is_made_then_it_is_noticed(complaints: Complaints, mistake: str) -> None:
    assert complaints[mistake]


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [name for name, mistake in MISTAKES.items() if mistake.leaks])
def test_checks_when_the_future_leaks_then_both_notice(complaints: Complaints, mistake: str) -> None:
    assert set(complaints[mistake]) == {"oracle", "future"}


@pytest.mark.parametrize("edit", [edit for mistake in MISTAKES.values() for edit in mistake.edits])
def test_edit_when_the_kernel_is_as_it_is_then_its_text_stands_there_once(edit: Edit) -> None:
    source = Path(mqlml.__file__).parent / "tape" / f"{edit.module}.py"

    assert edit.of(source.read_text("utf-8")) != source.read_text("utf-8")


def test_mistakes_when_counted_then_at_least_twelve() -> None:
    assert len(MISTAKES) >= 12


@pytest.mark.parametrize("text", ["", "a = b\na = b\n"])
def test_edit_when_the_text_is_not_there_once_then_refused(text: str) -> None:
    with pytest.raises(ValueError, match="times, not once"):
        Edit("kernel", "a = b", "a = c").of(text)
