"""What the commands about criteria say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mqlml.errors import shown

__all__ = ["diff", "required"]

_MOST = 300
_DIRECTIONS = {"raises": "more raises the chance", "lowers": "more lowers the chance", "mixed": "depends on the value"}
_NO_LONGER = "no longer among those that weigh most"
_CHANGES = {"new": "new", "reversed": "reversed", "drifted": "drifted", "same": "as before"}


def required(found: Mapping[str, Any]) -> str:
    """The criteria that ask for a decision."""
    lines = [f"Model {found['model_version']} ({found['review']})."]
    if found["since"]:
        lines.append(f"Compared with the model in use, {found['since']}.")
    if not found["criteria"]:
        return "\n".join([*lines, "No criterion asks for a decision."])
    lines.append(f"{len(found['criteria'])} criteria ask for a decision, {found['others']} do not:")
    for row in found["criteria"]:
        change = f", {_CHANGES[row['change']]}" if row["change"] else ""
        direction = _DIRECTIONS.get(row["direction"], "direction not measured")
        lines.append(f"  {shown(row['criterion'])}: {100 * row['importance']:.1f} % of the weight, {direction}{change}")
        if row["sentence"]:
            lines.append(f"    {_whole(row['sentence'])}")
        if row["mark"]:
            lines.append(f"    so far: {_mark(row['mark'])}")
    lines.append("Decide in the report ('mqlml report'), and put the downloaded criteria.toml beside mqlml.toml.")
    return "\n".join(lines)


def diff(found: Mapping[str, Any]) -> str:
    """What changed between two sets of decisions, or two models."""
    lines = [f"Decisions, from {shown(found['old'])} to {shown(found['new'])}:"]
    for row in found["decisions"]:
        lines.append(f"  {shown(row['criterion'])}: {row['what']}")
        lines += [f"    {word}: {_mark(row[word])}" for word in ("before", "after") if row[word]]
        if row["effect"]:
            lines.append(f"    {row['effect']}")
    if not found["decisions"]:
        lines.append("  none changed")
    if found["unchanged"]:
        lines.append(f"  {found['unchanged']} more are the same")
    if found["together"]:
        lines.append(f"All decisions of {shown(found['new'])} together: {found['together']['effect']}")
    drivers = found["drivers"]
    return "\n".join(lines if drivers is None else [*lines, "", "Criteria of the model:", *_drivers(drivers)])


def _drivers(drivers: Mapping[str, Any]) -> list[str]:
    told = [(name, change) for name, change in drivers["criteria"].items() if change["change"] != "same"]
    lines = [f"  {shown(name)}: {_CHANGES[change['change']]}{_was(change)}" for name, change in told]
    lines += [f"  {shown(row['criterion'])}: {_NO_LONGER}{_was(row)}" for row in drivers["gone"]]
    same = len(drivers["criteria"]) - len(told)
    return [*lines, f"  {same} are as before"] if same or not lines else lines


def _was(change: Mapping[str, Any]) -> str:
    if change["importance"] is None:
        return ""
    direction = _DIRECTIONS.get(str(change["direction"]))
    return f" (was {100 * change['importance']:.1f} % of the weight{f', {direction}' if direction else ''})"


def _mark(mark: Mapping[str, Any]) -> str:
    """A decision with who, when and why."""
    said = str(mark["decision"])
    said += "" if mark.get("cap") is None else f" {mark['cap']:g}"
    said += f", called '{shown(mark['label'])}'" if mark.get("label") else ""
    when = f" on {mark['on']}" if mark.get("on") else ""
    why = f": {_whole(mark['note'])}" if mark.get("note") else ""
    return f"{said}, by {shown(mark['by'])}{when}{why}"


def _whole(text: object) -> str:
    """A sentence from a file, safe to print on one line."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:_MOST]
