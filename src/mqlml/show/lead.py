"""One lead's story for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["explained"]

_STEPS = 12
_REASONS = 15
_ABSENT = {
    "taken by sales": "Sales has this lead",
    "dormant": "Dormant: older than the settings look back, and silent since",
}


def explained(found: Mapping[str, Any]) -> str:
    """One lead's story."""
    row = found["score"]
    lines = [
        f"Lead {row['lead_id']} as of {row['as_of'] or 'no date'}",
        f"Chance to win {100 * row['probability']:.1f} % (better than {row['percentile']:.0f} % of leads), "
        f"tier {row['tier']}, fit {row['fit_grade']}, engagement {row['engagement_grade']}.",
        *_fate(found),
        "",
        "What moves the chance, in log-odds (they sum to it)",
        f"  {found['base']:+.3f}  base",
    ]
    lines += [_reason(c) for c in found["criteria"][:_REASONS]]
    if weak := found["criteria"][_REASONS:]:
        lines.append(
            f"  {sum(c['contribution'] for c in weak):+.3f}  {len(weak)} weaker ones (all with --json or --out)"
        )
    lines += _timeline(found) or _events(found)
    return "\n".join([*lines, *_what_if(found)])


def _fate(found: Mapping[str, Any]) -> Iterator[str]:
    fate, decided = found["fate"], found["decided"]
    if decided:
        when = f" on {decided['at']:%Y-%m-%d %H:%M}; shown is the moment before" if decided["at"] else ""
        yield f"Decided: {decided['outcome']}{when}. A scoring job would skip this lead."
    elif fate != "candidate":
        yield f"Not a candidate: {_ABSENT.get(fate, fate)}. A scoring job would skip this lead."


def _reason(c: Mapping[str, Any]) -> str:
    compared, beside = c["compared"], ""
    if compared:
        beside = f"; {100 * compared['win_rate']:.1f} % of {compared['leads']:,} such leads won"
    return f"  {c['contribution']:+.3f}  {c['fact']}{beside}  [{c['group']}, {c['theme']}]"


def _timeline(found: Mapping[str, Any]) -> list[str]:
    steps = found["timeline"][-_STEPS:]
    if not steps:
        return []
    lines = ["", "How it came about (the chance just after each)"]
    for step in steps:
        chance = "     -" if step["chance"] is None else f"{100 * step['chance']:5.1f} %"
        change = "" if step["change"] is None else f" ({100 * step['change']:+.1f})"
        beside = "" if step["state"] == "candidate" else f"  [{step['state']}]"
        lines.append(f"  {step['at']:%Y-%m-%d %H:%M}  {chance}{change:<8}  {step['what']}{beside}")
    return lines


def _events(found: Mapping[str, Any]) -> list[str]:
    if not found["events"]:
        return []
    return ["", "Last events"] + [
        f"  {e['occurred_at']:%Y-%m-%d %H:%M}  {e['event_type']}{'  ' + e['asset'] if e['asset'] else ''}"
        for e in found["events"]
    ]


def _what_if(found: Mapping[str, Any]) -> Iterator[str]:
    ways = found["what_if"]
    if not ways:
        return
    yield ""
    yield "What would change it (an association: making a lead do it need not have the same effect)"
    for way in ways["events"]:
        again = " once more" if way["again"] else ""
        yield f"  {100 * way['chance']:5.1f} %  leads like this one who also did {way['called']}{again} just now"
    if not ways["events"]:
        yield "  no single event would raise the chance by half a point"
    quiet = ", ".join(f"{100 * later['chance']:.1f} % after {later['days']} days" for later in ways["silence"])
    yield f"  If nothing happens: {quiet}."
