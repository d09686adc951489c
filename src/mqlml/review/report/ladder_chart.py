"""The chart that says whether the model is worth it: how much better it is than each simpler way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from mqlml.review.report.figure import NARROW, Figure, Spec, data, layered, named_rows
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import NOT_MEASURED, bounds, count, decimal, number, part, rows, shorten

__all__ = ["ladder", "rung_name", "said_of_difference"]

Row = Mapping[str, Any]

_RUNGS = {
    "base rate": "The same chance for every lead",
    "win rate by source": "Win rate of the lead's source",
    "Odoo's method": "Odoo's scoring (naive Bayes)",
    "Odoo's method with engagement": "Odoo's scoring with activity",
    "logistic regression": "Plain formula (logistic regression)",
    "model": "This model",
}


def ladder(summary: Mapping[str, Any]) -> Figure | None:
    """Draw how much better the model is than each simpler way."""
    rungs = rows(part(summary, "evaluation"), "ladder")
    compared = [r for r in rungs if not r.get("is_model") and number(r, "model_better_by") is not None]
    if not compared:
        return None
    clear = sum(_clearly_better(row) for row in compared)
    return Figure(
        name="ladder",
        title=f"The model is clearly better than {clear} of {len(compared)} simpler ways",
        sentence="Each dot is a simpler way to give leads a chance. Right of the upright line the model's chances fit "
        "what happened better than that way's; where a bar crosses the line, the difference may be chance.",
        alt="Dot chart with ranges. Down: simpler ways; across: how much smaller the model's log loss is.",
        columns=("Way of ranking", "Winner ranked first", "Log loss", "Model better by", "In words"),
        rows=[
            (
                rung_name(r, 60),
                _pairs(number(r, "auc")),
                decimal(number(r, "log_loss")),
                _gain(r),
                said_of_difference(r),
            )
            for r in rungs
        ],
        draw=lambda width: _ladder_spec(compared, width),
    )


def rung_name(rung: Row, most: int) -> str:
    """Name a rung in words that need no statistics."""
    name = str(rung.get("name") or "")
    if rung.get("kind") == "present rule":
        name = name[:1].upper() + name[1:]
    return shorten(_RUNGS.get(str(rung.get("kind")), name), most)


def said_of_difference(rung: Row) -> str:
    """Say in words whether the model beats a rung of the ladder, and what it would take to know."""
    if rung.get("is_model"):
        return "this model"
    ends = bounds(rung, "model_better_by")
    if ends is None:
        return "not measured"
    if ends[0] > 0:
        return "the model is clearly better"
    if ends[1] < 0:
        return "the model is clearly worse"
    needed = number(rung, "more_wins")
    return f"about equal; some {count(needed)} more wins would tell" if needed else "about equal"


def _clearly_better(rung: Row) -> bool:
    ends = bounds(rung, "model_better_by")
    return ends is not None and ends[0] > 0


def _pairs(auc: float | None) -> str:
    return NOT_MEASURED if auc is None else f"in {100 * auc:.0f} of 100 pairs"


def _gain(rung: Row) -> str:
    value, ends = number(rung, "model_better_by"), bounds(rung, "model_better_by")
    if rung.get("is_model") or value is None:
        return "–"
    return decimal(value) if ends is None else f"{value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})"


def _ladder_spec(compared: Sequence[Row], width: int) -> Spec:
    most = 36 if width > NARROW else 17
    values = [
        {"k": k, "name": rung_name(r, most), "value": number(r, "model_better_by"),
         **dict(zip(("low", "high"), bounds(r, "model_better_by") or (None, None), strict=True))}
        for k, r in enumerate(compared)
    ]  # fmt: skip
    down = named_rows(values)
    axis = alt.Axis(title="the model is better by (log loss)", tickCount=5, format=".3~f", grid=True)
    across = alt.X("value:Q", axis=axis, scale=alt.Scale(zero=True))
    chart = alt.Chart(data(values)).encode(y=down)
    line = alt.Chart(data([{"zero": 0}])).mark_rule(color=PALETTE["ink"], strokeWidth=1.4)
    return layered(
        line.encode(x=alt.X("zero:Q", axis=axis)),
        chart.mark_rule(color=PALETTE["accent"], strokeWidth=3, opacity=0.45).encode(
            x=alt.X("low:Q", axis=axis), x2="high:Q"
        ),
        chart.mark_point(color=PALETTE["accent"], filled=True, size=70, opacity=1).encode(x=across),
        width=width,
        height=64 + 34 * len(values),
    )
