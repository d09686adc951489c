"""A scorecard as CSV to paste, as Markdown and as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

__all__ = ["as_csv", "as_markdown", "as_text"]

_COLUMNS = ("group", "points", "rule", "kind", "subject", "operator", "value", "window_days", "share_of_leads",
            "win_rate", "win_rate_without")  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WIDTH = 60
_NOTHING = "No rule tells leads apart well enough for a scorecard."


def as_csv(card: Mapping[str, Any]) -> str:
    """One line a rule and a last one for the cut-off; cells that a spreadsheet would run are made text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for rule in card["rules"]:
        writer.writerow([_cell(value) for value in (
            rule["group"], rule["points"], rule["text"], rule["kind"], rule["subject"],
            _operator(rule), _value(rule),
            "" if rule["window_days"] is None else rule["window_days"],
            f"{rule['share']:.4f}", _rate(rule["win_rate"]), _rate(rule["win_rate_without"]),
        )])  # fmt: skip
    if card["rules"]:
        text = f"MQL from {card['cut']} points"
        writer.writerow(["cut-off", card["cut"], text, "sum of points", "", "at least", card["cut"], "", "", "", ""])
    return out.getvalue()


def as_text(card: Mapping[str, Any]) -> str:
    """For the terminal."""
    if not card["rules"]:
        return _NOTHING
    width = min(max(len(rule["text"]) for rule in card["rules"]), _WIDTH)
    lines = []
    for group, title in (("fit", "Fit"), ("engagement", "Engagement")):
        rules = [rule for rule in card["rules"] if rule["group"] == group]
        if rules:
            lines.append(f"{title} (at most {card['most'][group]} points)")
            lines += [f"  {rule['points']:>3}  {rule['text']:<{width}}  {_compared(rule)}" for rule in rules] + [""]
    lines += [f"MQL from {card['cut']} points.", "", *_fidelity(card)]
    return "\n".join(lines)


def as_markdown(card: Mapping[str, Any]) -> str:
    """For a wiki page that marketing and sales share."""
    if not card["rules"]:
        return f"# Scorecard\n\n{_NOTHING}\n"
    lines = ["# Scorecard", "", f"**MQL from {card['cut']} points.** Points of all rules that hold are added up.", ""]
    lines += ["| group | points | rule | share of leads | won with it | won without it |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r['group']} | {r['points']} | {_safe(r['text'])} | {_percent(r['share'])} | {_percent(r['win_rate'])} | "
        f"{_percent(r['win_rate_without'])} |"
        for r in card["rules"]
    ]
    caps = ", ".join(f"{group} {points}" for group, points in card["most"].items())
    return "\n".join([*lines, "", f"Most points by group: {caps}.", "", *_fidelity(card), ""])


def _fidelity(card: Mapping[str, Any]) -> list[str]:
    found = card["fidelity"]
    if found is None:
        return ["How true it stays to the model: not measured; no rules could be chosen without the newest snapshots."]
    auc, rate = found["auc"], found["win_rate"]
    ranked = ", ".join(f"{name} {_decimal(value)}" for name, value in auc.items())
    won = ", ".join(f"{name} {_percent(value)}" for name, value in rate.items())
    return [
        f"On {found['snapshots']:,} snapshots ({found['wins']:,} won), {found['where']}, by rules chosen without them:",
        f"- It decides as the model does for {_percent(found['same_decision'])} of leads.",
        f"- A won lead stands above one that was not (AUC; 0.5 is chance): {ranked}.",
        f"- Won of the best {found['mqls']:,}, as many as the model's MQLs: {won}; of all "
        f"{_percent(found['base_rate'])}.",
    ]


def _compared(rule: Mapping[str, Any]) -> str:
    with_it, without = _percent(rule["win_rate"]), _percent(rule["win_rate_without"])
    return f"{_percent(rule['share'])} of leads; won {with_it} with it, {without} without"


def _operator(rule: Mapping[str, Any]) -> str:
    if rule["since"]:
        return f"days since last {rule['operator']}"
    return f"sum of values {rule['operator']}" if rule.get("summed") else str(rule["operator"])


def _value(rule: Mapping[str, Any]) -> str:
    if rule["levels"]:
        return ";".join(rule["levels"])
    return "" if rule["number"] is None else f"{rule['number']:.6g}"


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _safe(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~!$&" else c for c in text)


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _decimal(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
