"""Wrong kernels on purpose, and a program that tells which checks notice them.

The kernel runs here as plain Python (``NUMBA_DISABLE_JIT=1``), so that nothing is compiled for a mistake. Run as
``python -m tape.mutants NAME ...``; prints one JSON object: for each name the complaints of each check.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

CASES, SEEDS = 60, (0, 1, 2)


@dataclass(frozen=True)
class Mutant:
    """One mistake: in a module of ``mqlml.tape`` every ``right`` becomes ``wrong``; ``right`` occurs ``times`` times."""

    module: str
    right: str
    wrong: str
    times: int = 1

    def source(self, text: str) -> str:
        """Make the mistake.

        Raises
        ------
        ValueError
            The text is not what the mistake was made up for.
        """
        found = text.count(self.right)
        if found != self.times:
            raise ValueError(f"mqlml.tape.{self.module} holds {self.right!r} {found} times, not {self.times}")
        return text.replace(self.right, self.wrong)


MUTANTS: dict[str, Mutant] = {}


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self.mutant = mutant

    def get_code(self, fullname: str) -> Any:
        return compile(self.mutant.source(Path(self.path).read_text("utf-8")), self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != f"mqlml.tape.{self.mutant.module}":
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self.mutant)
        return spec


@contextmanager
def installed(mutant: Mutant | None) -> Iterator[None]:
    """Import everything about the tape anew, with the mistake."""
    for name in [name for name in sys.modules if name.startswith(("mqlml.tape", "tape."))]:
        if name != __name__:
            del sys.modules[name]
    finders = [] if mutant is None else [_Finder(mutant)]
    sys.meta_path[:0] = finders
    try:
        yield
    finally:
        sys.meta_path[: len(finders)] = []


def complaints() -> dict[str, str]:
    """Run the checks on the tape as it is now; what each complains of, in short."""
    conftest, histories, compare = (
        importlib.import_module(f"tape.{name}") for name in ("conftest", "histories", "oracle.compare")
    )
    future, sets = (importlib.import_module(f"tape.{name}") for name in ("test_future", "feature_sets"))
    make = conftest.Maker()
    found = {}
    for seed in SEEDS:
        history, marks = histories.case(seed, events=200, marks=60).of(make)
        different = compare.differences(history, marks, sets.VARIANTS[seed])
        if different:
            found["oracle"] = f"{len(different)} features, such as {different[0]}"
            break
    try:
        future.check_futures(make, CASES)
    except AssertionError as error:
        found["future"] = str(error).splitlines()[0]
    return found


def main(names: list[str]) -> dict[str, dict[str, str]]:
    """Try the mistakes of these names; an empty name is the right kernel."""
    answers = {}
    for name in names:
        with installed(MUTANTS[name] if name else None):
            answers[name] = complaints()
    return answers


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))  # noqa: T201
