"""What a colleague would say of a history before a model is trained from it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["in_short"]

_MISSING = {
    "events": "[events] (what leads did): usually worth more than all attributes together",
    "history": "[history] (changes of fields): columns under [leads] state could then be used as they were",
    "handovers": "[handovers] (when sales took a lead): without it, leads that sales already works are scored too",
}


def in_short(found: Mapping[str, Any], settings: str) -> Iterator[str]:
    """What is usable and missing, whether it suffices, what to expect, and the next command."""
    outlook = found.get("outlook")
    yield from ("", "In short")
    if outlook is not None:
        yield from _item("Usable", _usable(outlook))
        missing = [_MISSING[name] for name in outlook["missing"]]
        yield from _item("Missing", "; ".join(missing) + "." if missing else "nothing that is often there.")
        yield from _item("Enough?", _reach(outlook["reach"]))
        yield from _item("Expect", _expected(outlook["alone"], events=bool(outlook["event_types"])))
    asked = sum(f["level"] == "ask" and f["waived"] is None for f in found["audit"])
    if asked:
        yield from _item("Look at", f"{asked} {'column' if asked == 1 else 'columns'} that the leak audit asks about.")
    if found["problems"]:
        yield from _item("Next", "repair what is named above, then run 'mqlml check' again.")
    else:
        yield f"  {'Next':<8} mqlml train --config {settings}"  # in one line, to be copied


def _item(name: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text, 112, initial_indent=f"  {name:<8} ", subsequent_indent=" " * 11, break_long_words=False
    )


def _usable(outlook: Mapping[str, Any]) -> str:
    attributes, types = outlook["attributes"], outlook["event_types"]
    told = f"{attributes} {'attribute' if attributes == 1 else 'attributes'}"
    told += f", {types} types of events ({outlook['events']:,} events)" if types else ""
    return f"{told}; {outlook['won']:,} won leads to learn from."


def _reach(reach: Mapping[str, Any]) -> str:
    wins = f"{reach['wins']:,} won leads of {reach['leads']:,} in the last test"
    if reach["suffices"] == "no":
        return (
            f"no: {wins} cannot tell a good model from none. Train to see the report; wait for more wins to rely on it."
        )
    known = f"an AUC of 0.70 would be known to within {reach['give_or_take']:.2f} (90 %)"
    least = f"one below {reach['least']:.2f} could not be told from chance"
    if reach["suffices"] == "yes":
        return f"yes: {wins}; {known}, {least}."
    return f"roughly: {wins}; {known}, {least}. Nothing is certified below 100."


def _expected(alone: Mapping[str, Any] | None, *, events: bool) -> str:
    if alone is None:
        return "unknown: too few leads are closed to judge the attributes alone."
    when = "newer leads than it was fitted on" if alone["forward"] else "other accounts than it was fitted on"
    pairs = f"{100 * alone['auc']:.0f} [{100 * alone['low']:.0f}, {100 * alone['high']:.0f}]"
    told = (
        f"a plain score of the {alone['columns']} attributes puts a lead that was won above one that was not in "
        f"{pairs} of 100 pairs, on {when} (50 is chance)."
    )
    more = " Events usually add to that." if events else " Without events, expect about that of the model."
    none = " That may be chance: the attributes alone may not suffice." if alone["low"] <= 0.5 else ""
    return told + none + more
