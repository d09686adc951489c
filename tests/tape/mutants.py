"""A program that makes mistakes in the kernel on purpose and tells which checks notice them.

The kernel runs as plain Python (``NUMBA_DISABLE_JIT=1``), so that nothing is compiled for a mistake. Run as
``python -m tape.mutants NAME ...`` with names of ``MISTAKES``, an empty one for the right kernel; prints one JSON
object with the complaints of each check by name.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

import numpy as np
from tape.mistakes import MISTAKES, Mistake

CASES, SEEDS = 120, (0, 1, 2, 5)
_TAPE = "mqlml.tape."


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, mistake: Mistake) -> None:
        super().__init__(name, path)
        self.mistake = mistake

    def get_code(self, fullname: str) -> Any:
        text = self.mistake.of(fullname.removeprefix(_TAPE), Path(self.path).read_text("utf-8"))
        return compile(text, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if not any(fullname == _TAPE + edit.module for edit in self.mistake.edits):
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self.mistake)
        return spec


@contextmanager
def installed(mistake: Mistake) -> Iterator[None]:
    """Import everything about the tape anew, with the mistake."""
    for name in [name for name in sys.modules if name.startswith(("mqlml.tape", "tape."))]:
        del sys.modules[name]
    finder = _Finder(mistake)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def readable(kernel: Any) -> None:
    """Let plain Python read the fields of records as attributes, as compiled code does."""
    new_state = kernel.new_state

    def make(tape: Any, recipe: Any) -> Any:
        state = new_state(tape, recipe)
        team = state.team._replace(facts=state.team.facts.view(np.recarray))
        rows, leads = (records.view(np.recarray) for records in (state.rows, state.leads))
        return state._replace(rows=rows, leads=leads, team=team)

    kernel.new_state = make


def complaints() -> dict[str, str]:
    """Run the checks on the tape as it is now; what each complains of, in short."""
    readable(importlib.import_module("mqlml.tape.kernel"))
    make = importlib.import_module("tape.conftest").Maker()
    said = {"oracle": against_sql(make), "future": against_the_future(make)}
    return {check: complaint for check, complaint in said.items() if complaint}


def against_sql(make: Any) -> str:
    """Compare with plain SQL; what differs in the first history where anything does."""
    histories, sets = (importlib.import_module(f"tape.{name}") for name in ("histories", "feature_sets"))
    for seed in SEEDS:
        history, marks = histories.case(seed, events=200, marks=60).of(make)
        differences = importlib.import_module("tape.oracle.compare").differences
        found = differences(history, marks, sets.VARIANTS[seed % len(sets.VARIANTS)])
        if found:
            return f"{len(found)} features, such as {found[0]}"
    return ""


def against_the_future(make: Any) -> str:
    """Compare worlds with two futures; what differs first."""
    try:
        importlib.import_module("tape.test_future").check_futures(make, CASES)
    except AssertionError as error:
        return str(error).splitlines()[0]
    return ""


def main(names: list[str]) -> dict[str, dict[str, str]]:
    """Try the mistakes of these names."""
    answers = {}
    for name in names:
        with installed(MISTAKES.get(name) or Mistake(())):
            answers[name] = complaints()
    return answers


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:])))
