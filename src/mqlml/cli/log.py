"""What a run tells while it goes: sentences for people, or on request one JSON object a line for machines.

JSON lines hold no values of the data: what stands in quotes in a message could be one, so it is left out there.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

from mqlml.errors import DataRefused, MqlError

if TYPE_CHECKING:
    from mqlml.show.steps import Steps

__all__ = ["JsonSteps", "begin_log", "log_end", "log_error", "log_event", "log_result", "new_run", "steps", "tell"]

Level = Literal["info", "warning", "error"]

_QUOTED = re.compile(r"'.*'", re.DOTALL)
_CODE = re.compile(r"MQL-[a-z0-9-]+")
# Counts of these are counts by words of mqlml itself; keys of others may be words of the data.
_SAFE_COUNTS = ("tables", "skipped", "tiers", "quality", "population")


class _Run:
    """How the present run tells; one process runs one command at a time."""

    json = False
    begun = 0.0


def new_run() -> None:
    """Forget how the run before told; sentences until `begin_log` says otherwise."""
    _Run.json, _Run.begun = False, time.monotonic()


def begin_log(kind: str) -> None:
    """Tell as ``"plain"`` or ``"json"`` from now on; libraries' warnings become lines of their own then."""
    _Run.json = kind == "json"
    if _Run.json:
        warnings.showwarning = _log_warning


def tell(text: str) -> None:
    """Print a message for people on stderr; JSON lines say the same in `log_result` and `log_error`."""
    if not _Run.json:
        click.echo(text, err=True)


def log_event(event: str, message: str, *, level: Level = "info", **facts: Any) -> None:
    """Write a JSON line on stderr, where JSON lines are wanted.

    Parameters
    ----------
    event : str
        A word or a code to filter by.
    message : str
        A sentence; what it has in quotes is left out.
    level : {"info", "warning", "error"}
    facts
        Counts, names and codes; those that are None are left out.
    """
    if not _Run.json:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"time": now, "level": level, "event": event, "message": _QUOTED.sub("'…'", message)}
    line |= {key: value for key, value in facts.items() if value is not None}
    click.echo(json.dumps(line, ensure_ascii=False, default=str), err=True)


def log_result(facts: Mapping[str, Any]) -> None:
    """Write what a command found: its notes, a line each, and its counts."""
    for note in facts.get("notes") or ():
        log_event("note", str(note))
    versions: dict[str, Any] = {key: facts.get(key) for key in ("as_of", "model_version", "policy_version")}
    log_event("result", "The command has its result.", **versions, counts=_counts(facts))


def log_error(error: BaseException, *, exit_code: int) -> None:
    """Write why a run ends: one line for each problem of the data, or one."""
    if isinstance(error, DataRefused):
        for p in error.problems:
            place: dict[str, Any] = {
                "file": p.file,
                "column": p.column,
                "count": p.count,
                "total": p.total,
                "rows": list(p.rows[:5]),
            }
            fix = _QUOTED.sub("'…'", p.fix)
            log_event(f"MQL-{p.code}", f"{p.what}.", level="error", **place, fix=fix, exit_code=exit_code)
    elif isinstance(error, MqlError | OSError | click.ClickException):
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        code = _CODE.match(text)
        log_event(code.group() if code else _word(error), text, level="error", exit_code=exit_code)
    else:  # what a bug says may hold anything
        log_event("bug", f"{type(error).__name__}; run with --debug.", level="error", exit_code=exit_code)


def log_end(exit_code: int) -> None:
    """Write that the run is over; SIGTERM and an interruption are said here."""
    words = {0: "done", 130: "interrupted", 143: "terminated"}
    event = words.get(exit_code, "failed" if exit_code not in (3, 4) else "stopped")
    kept = "Nothing half-written was kept." if exit_code in (130, 143) else f"The run ended with {exit_code}."
    seconds = round(time.monotonic() - _Run.begun, 3)
    level: Level = "info" if exit_code == 0 else "warning" if exit_code in (4, 130, 143) else "error"
    log_event(event, kept, level=level, exit_code=exit_code, seconds=seconds)


class JsonSteps:
    """Progress as JSON lines: one a step."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __enter__(self) -> JsonSteps:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def begin(self, text: str, total: int | None = None) -> None:
        """A new step begins."""
        if not self._quiet:
            log_event("step", text, parts=total)

    def advance(self) -> None:
        """Parts of a step are not logged."""

    def reach(self, done: int) -> None:
        """Parts of a step are not logged."""


def steps() -> Steps | JsonSteps:
    """A place to tell how far a command is: bars or lines for people, or JSON lines; nothing with --quiet."""
    from mqlml import show

    quiet = bool(click.get_current_context().find_root().params.get("quiet"))
    return JsonSteps(quiet=quiet) if _Run.json else show.progress(quiet=quiet)


def _word(error: BaseException) -> str:
    """``UsageError`` becomes ``usage``, ``EngineError`` ``engine``; what click refuses is usage too."""
    return (
        "usage"
        if isinstance(error, click.ClickException)
        else type(error).__name__.removesuffix("Error").lower() or "error"
    )


def _counts(facts: Mapping[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = {key: value for key, value in facts.items() if _is_count(value)}
    if "problems" in facts:
        counts["problems"] = len(facts["problems"])
    for key in _SAFE_COUNTS:
        inner = facts.get(key)
        if isinstance(inner, Mapping):
            counts[key] = {name: n for name, n in inner.items() if _is_count(n)}
    return counts


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001 - as `warnings.showwarning` is called
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    log_event("warning", str(message), level="warning", category=category.__name__)
