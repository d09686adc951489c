"""The MQL definition that marketing and sales sign: in plain words, on one page, also as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mqlml.review.report.markdown import bullets, safe, table
from mqlml.review.report.words import (
    NOT_MEASURED,
    count,
    day,
    line,
    number,
    part,
    percent,
    rows,
    sentence,
    tidy,
)

__all__ = ["SIGNERS", "STEPS", "definition", "definition_part", "headline", "qualities"]

SIGNERS = ("For marketing", "For sales")
STEPS = (("accepted", "accepted by sales"), ("opportunity", "with an opportunity"), ("won", "won"))
"""How far an MQL may get, and how it is said."""

_QUALITIES = 6


def definition(summary: Mapping[str, Any]) -> str:
    """Write the definition.

    Parameters
    ----------
    summary : mapping
        The training's summary as plain JSON; parts that are absent read "not measured".

    Returns
    -------
    str
        Markdown; text that comes from data is escaped.
    """
    tidied = tidy(summary)
    made = [
        f"Model {safe(tidied.get('model_version') or 'not stated')}",
        f"policy {safe(tidied.get('policy_version') or 'not stated')}",
        f"as of {safe(day(tidied['as_of'])) if tidied.get('as_of') else 'no date'}",
    ]
    parts = definition_part(tidied).replace("## MQL definition", f"# MQL definition\n\n{', '.join(made)}.", 1)
    lines = table(("", "Name", "Date", "Signature"), [(who, "", "", "") for who in SIGNERS])
    return f"{parts}\n\n{lines}\n"


def definition_part(summary: Mapping[str, Any]) -> str:
    """Write the definition as a part of the model card; the summary is tidy."""
    found = part(summary, "definition")
    blocks = [
        ("Who qualifies", [headline(summary)]),
        ("What speaks most for a lead; none of these alone makes an MQL", list(qualities(summary))),
        ("Who does not, whatever the chance", list(found.get("exclusions") or [])),
        ("Beside the chance", list(found.get("beside") or [])),
        ("What to expect", _expected(summary)),
        ("Follow-up", [_follow_up(found)]),
        (f"Reasons to reject an MQL ({_from(found)})", [_reason(row) for row in rows(found, "reasons")]),
        ("Owner and review", [_owner(found)]),
    ]
    written = [f"{name}:\n\n{bullets(safe(sentence(text), 400) for text in lines)}" for name, lines in blocks if lines]
    return "\n\n".join(["## MQL definition", *written])


def headline(summary: Mapping[str, Any]) -> str:
    """Say in one sentence whom to hand over."""
    decision = part(summary, "decision")
    threshold = number(decision, "threshold")
    # Where leads have values of their own the chance alone does not decide.
    if threshold is not None and "value" not in str(decision.get("kind") or "").split("+"):
        return f"Hand over every lead whose chance to win is {line(threshold)} or more."
    if decision.get("rule"):
        return sentence(decision["rule"])
    return "Hand over the leads with the highest chance to win."


def qualities(summary: Mapping[str, Any]) -> list[str]:
    """What speaks most for a lead: the heaviest scorecard rule on each of six things, else the first drivers."""
    card = [row for row in rows(part(summary, "scorecard"), "rules") if row.get("text") and number(row, "points")]
    if card:
        told: dict[str, str] = {}
        for row in sorted(card, key=lambda row: -float(row["points"])):
            told.setdefault(str(row.get("subject") or row["text"]), sentence(row["text"]))
        return list(told.values())[:_QUALITIES]
    return [sentence(row.get("sentence")) for row in rows(summary, "drivers")[:_QUALITIES] if row.get("sentence")]


def _expected(summary: Mapping[str, Any]) -> list[str]:
    decision = part(summary, "decision")
    week = part(decision, "mqls_per_week")
    low, high = number(week, "p10"), number(week, "p90")
    span = "" if low is None or high is None else f", {count(low)} to {count(high)} in four weeks of five"
    of_100 = part(decision, "of_100")
    steps = [f"{count(_rounded(number(of_100, key)))} {name}" for key, name in STEPS]
    return [
        f"MQLs a week: {count(number(week, 'median'))}{span}",
        f"Of 100 MQLs: {', '.join(steps)}",
        f"Win rate of MQLs: {percent(number(decision, 'win_rate'))}",
    ]


def _follow_up(found: Mapping[str, Any]) -> str:
    days, touch = number(found, "follow_up_days"), part(found, "first_touch")
    agreed = "no time is agreed" if days is None else f"sales touches an MQL within {_days(days)}"
    if not touch:
        return f"{agreed}; measured so far: {NOT_MEASURED}"
    kept = number(touch, "in_time")
    share = "" if kept is None else f", {percent(kept)} of those due in time"
    median = _days(number(touch, "median_days"))
    return f"{agreed}; measured so far: half of the first touches came within {median}{share}"


def _days(days: float | None) -> str:
    if days is None:
        return NOT_MEASURED
    return "1 day" if days == 1 else f"{count(days)} days"


def _from(found: Mapping[str, Any]) -> str:
    words = {"settings": "agreed", "hand-overs": "as sales gave them so far"}
    return words.get(str(found.get("reasons_from")), "a proposal")


def _reason(row: Mapping[str, Any]) -> str:
    share = number(row, "share")
    return f"{row.get('reason')}" + ("" if share is None else f" ({percent(share)})")


def _owner(found: Mapping[str, Any]) -> str:
    owner = found.get("owner") or "nobody is named"
    return f"Owner: {owner}; to be looked at again on {day(found.get('review_on')) if found.get('review_on') else '–'}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value)
