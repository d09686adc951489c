"""What ``mqlml init`` and ``mqlml doctor`` say."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mqlml.show.figures import table

__all__ = ["doctor", "started"]

_MARKS = {"good": "ok", "advice": "--", "bad": "!!"}


def started(found: Mapping[str, Any]) -> str:
    """What was recognised, what was assumed, and what a person must decide."""
    lines = ["Found"]
    rows = [
        (f["file"], f"{f['rows']:,}{' (a part)' * f['sampled']}", f["taken_for"], f["system"]) for f in found["found"]
    ]
    lines += table(("file", "rows", "taken for", "layout"), rows)
    if found["tables"]:
        lines += ["", "Made", *table(("table", "rows"), [(path, f"{n:,}") for path, n in found["tables"].items()])]
        again = "from newer data, with the same options, before each later train and score:"
        lines += [f"  They are copies. Anew {again}", f"  {found['again']}"]
    lines += ["", "Assumed", *_listed(_short(found["assumptions"]))]
    if found["questions"]:
        lines += ["", "To decide by a person who knows the data"]
        lines += _listed(
            f"{q['about']}: {q['question']}{' Seen: ' * bool(q['seen'])}{q['seen']}" for q in found["questions"]
        )
    if found["problems"]:
        lines += ["", "A training would be refused:", *_listed(found["problems"])]
    lines += ["", *(f"Next: {step}" for step in found["next_steps"])]
    return "\n".join(lines)


def _short(assumptions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Items of one list with the same reason in one line."""
    together: dict[tuple[str, str], list[str]] = {}
    for a in assumptions:
        value = a.get("value")
        shown = "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        together.setdefault((a["about"], a["why"]), []).append(shown)
    for (about, why), values in together.items():
        told = ", ".join(filter(None, values))
        yield f"{about} {told}: {why}" if told else f"{about} {why}"


def _listed(sentences: Any) -> Iterator[str]:
    for sentence in sentences:
        yield from textwrap.wrap(sentence, 110, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def doctor(checks: Sequence[Mapping[str, Any]]) -> str:
    """One line for each thing looked at, and what repairs it."""
    lines = []
    for check in checks:
        lines.append(f"{_MARKS[check['state']]}  {check['name']}: {check['found']}")
        if check["fix"]:
            lines.append(f"      {check['fix']}")
    bad = sum(check["state"] == "bad" for check in checks)
    lines += ["", f"{bad} things keep mqlml from working." if bad else "mqlml can work here."]
    return "\n".join(lines)
