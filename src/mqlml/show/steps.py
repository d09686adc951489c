"""Progress: bars on a terminal, one line a step elsewhere, nothing where asked to be quiet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

__all__ = ["Steps", "progress"]


class Steps:
    """Progress: bars on a terminal, one line a step elsewhere, nothing where asked to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: Bars | None = None
        self._task: Any = None

    def __enter__(self) -> Steps:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True))
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        if self._bars is not None:
            self._bars.stop()

    def begin(self, text: str, total: int | None = None) -> None:
        """A new step begins."""
        self._finish()
        if self._bars is not None:
            self._task = self._bars.add_task(text, total=total)
        elif not self._quiet:
            sys.stderr.write(f"{text} ...\n")
            sys.stderr.flush()

    def advance(self) -> None:
        """One part of the step is done."""
        if self._bars is not None:
            self._bars.advance(self._task)

    def reach(self, done: int) -> None:
        """So many parts of the step are done."""
        if self._bars is not None:
            self._bars.update(self._task, completed=done)

    def _finish(self) -> None:
        if self._bars is not None and self._task is not None:
            total = self._bars.tasks[self._task].total or 1
            self._bars.update(self._task, total=total, completed=total)


def progress(*, quiet: bool) -> Steps:
    """A place to tell how far a command is."""
    return Steps(quiet=quiet)
