"""What comparing, promoting and retraining say, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mqlml.show.figures import interval, percent, table

__all__ = ["compared", "gates", "promoted", "retrained", "rolled_back"]

_SIDES = {"old": "the old one", "new": "the new one"}


def compared(found: Mapping[str, Any]) -> str:
    """Two bundles beside one another."""
    lines = [f"As of {found['as_of'] or 'no date'}"]
    for side in ("old", "new"):
        bundle = found[side]
        facts = f"{bundle['review']}; {bundle['features']:,} features"
        lines.append(f"  {side}  {bundle['model_version']} ({facts}): {bundle['rule']}{_line(bundle)}")
    lines += ["", *_window(found["window"]), "", *_lists(found["lists"])]
    lines += ["", *(f"Note: {note}" for note in found["notes"])] if found["notes"] else []
    return "\n".join(lines)


def gates(found: Mapping[str, Any]) -> str:
    """Each gate of a promotion, and what opens those that are closed."""
    lines = []
    for gate in found["gates"]:
        lines.append(f"  {'open  ' if gate['passed'] else 'CLOSED'}  {gate['name']}: {gate['sentence']}")
        if not gate["passed"] and gate["remedy"]:
            lines.append(f"          To do: {gate['remedy']}.")
    return "\n".join(lines)


def promoted(found: Mapping[str, Any]) -> str:
    """What came of a promotion."""
    lines = []
    if found["comparison"] is not None:
        lines += [compared(found["comparison"]), ""]
    lines += ["Gates", gates(found), "", *(f"Note: {note}" for note in found["notes"])]
    change = found["change"]
    if change is None:
        closed = sum(not gate["passed"] for gate in found["gates"])
        lines.append(f"Not promoted: {closed} of {len(found['gates'])} gates are closed. {_still(found)}")
    else:
        by_force = " although gates were closed" if change["forced"] else ""
        lines.append(f"In use from now on{by_force}: {change['model_version']} ({change['review']}).")
        lines.append(f"'mqlml rollback' puts {change['before']} in use again.")
    return "\n".join(lines)


def rolled_back(found: Mapping[str, Any]) -> str:
    """What came of a rollback."""
    change = found["change"]
    lines = [f"Note: {note}" for note in found["notes"]]
    lines.append(f"In use again: {change['model_version']} ({change['review']}), instead of {change['before']}.")
    return "\n".join(lines)


def retrained(found: Mapping[str, Any]) -> str:
    """What came of a retraining; the training itself has been told before."""
    if found["outcome"] == "in use":
        return f"In use: {found['champion']}; there was nothing to compare it with."
    text = promoted(found)
    if found["outcome"] != "ready":
        return text
    told = text.rpartition("\n")[0]
    return f"{told}\nEvery gate is open. {_still(found)} 'mqlml promote' puts {found['model_version']} in use."


def _still(found: Mapping[str, Any]) -> str:
    return f"{found['champion']} stays in use."


def _line(bundle: Mapping[str, Any]) -> str:
    return "" if bundle["threshold"] is None else f" MQL from a chance of {100 * bundle['threshold']:.1f} %."


def _window(window: Mapping[str, Any]) -> Iterator[str]:
    if "leads" in window:
        yield (
            f"Weeks with known outcomes, {window['from']} to {window['to']}: {window['snapshots']:,} snapshots of "
            f"{window['leads']:,} leads, {window['wins']:,} of them won."
        )
    if window["why"] is not None:
        yield f"Not compared on leads that neither had learned from: {window['why']}."
    if window["again"] is not None:
        yield f"Neither learned from these leads ({_remade(window)})"
        yield from _figures(window["again"])
    if window["shipped"] is not None:
        learned = [_SIDES[side] for side in window["learned"]]
        seen = f"; {' and '.join(learned)} knew some of these outcomes, which flatters" if learned else ""
        yield f"As shipped{seen or '; neither learned from these leads'}"
        yield from _figures(window["shipped"])


def _remade(window: Mapping[str, Any]) -> str:
    if window["same_recipe"]:
        return "both recipes are the same, so that they are equal when fitted before these weeks"
    who = "both recipes were" if len(window["remade"]) == 2 else f"the recipe of {_SIDES[window['remade'][0]]} was"
    return f"{who} fitted again, a little lighter, on what was known before"


def _figures(found: Mapping[str, Any]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        (f["name"], *(interval(f[key]) for key in ("old", "new", "difference"))) for f in found["figures"]
    ]
    mqls = found["mqls"]
    sides = (percent(mqls[side]["win_rate"]) for side in ("old", "new"))
    rows.append(("win rate of MQLs", *sides, percent(mqls["difference"])))
    if found["same_number"] is not None:
        same = found["same_number"]
        rates = (percent(same[key]) for key in ("win_rate", "model_win_rate", "difference"))
        rows.append((f"  of {same['leads']:,} MQLs each", *rates))
    yield from table(("figure", "old [90 % interval]", "new", "new less old (paired)"), rows)
    yield f"  The new log loss is {_share(found['worse_by'])} against the old one."


def _share(worse: Mapping[str, float | None]) -> str:
    said = f"{100 * (worse['value'] or 0.0):+.1f} %"
    if worse["low"] is None or worse["high"] is None:
        return said
    return f"{said} [{100 * worse['low']:+.1f}, {100 * worse['high']:+.1f}]"


def _lists(lists: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Today's {lists['candidates']:,} candidates: {lists['old_list']:,} on the list of the old one, "
        f"{lists['new_list']:,} on that of the new one."
    )
    model, data = lists["by_model"], lists["by_data"]
    rows = [("the new model, same facts", *(f"{model[word]:,}" for word in ("enters", "leaves", "stays")))]
    if data is not None:
        new_facts = f"new facts since {str(lists['earlier_as_of'])[:10]}, same model"
        rows.insert(0, (new_facts, *(f"{data[word]:,}" for word in ("enters", "leaves", "stays"))))
    yield from table(("moved by", "enter", "leave", "stay"), rows)
    if data is not None and data["no candidates any more"]:
        yield f"  {data['no candidates any more']:,} more of the earlier list are no candidates any more."
