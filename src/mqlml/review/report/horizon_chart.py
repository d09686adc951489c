"""The chart that says how long wins take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from mqlml.review.report.figure import Figure, Spec, data, labelled_axis, layered, percent_axis
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import count, number, part, percent, rows, sentence

__all__ = ["horizon"]

Row = Mapping[str, Any]
_LONGEST_LABELS = 9
_COUNTED = "Counted from each lead's first day; leads that are still open count for as long as they were watched."


def horizon(summary: Mapping[str, Any]) -> Figure | None:
    """Draw the share of all wins that came within so many days, and the horizon on it."""
    curves = part(part(summary, "population"), "win_curves")
    points = [p for p in rows(curves, "points") if number(p, "days") is not None and number(p, "share") is not None]
    enough = number(curves, "enough_days")
    if len(points) < 2 or enough is None:
        return None
    ours, seen = number(curves, "horizon_days"), number(curves, "horizon_share")
    title = f"Nine of ten wins come within {count(enough)} days"
    if ours is not None and seen is not None:
        title = f"{title}; the horizon of {count(ours)} days sees {percent(seen)}"
    return Figure(
        name="horizon",
        title=title,
        sentence=" ".join(filter(None, (_COUNTED, sentence(curves.get("hint"))))),
        alt="Rising line. Across: days since a lead began; up: share of all wins that had come by then.",
        columns=("Within days", "Share of all wins", "Open leads won by then"),
        rows=[(count(p["days"]), percent(p["share"]), percent(number(p, "win_rate"))) for p in points],
        draw=lambda width: _spec(points, ours, width),
    )


def _spec(points: Sequence[Row], ours: float | None, width: int) -> Spec:
    last = points[-1]["days"]
    values: list[Row] = [{"days": 0, "share": 0.0}, *({"days": p["days"], "share": p["share"]} for p in points)]
    every = -(-len(points) // _LONGEST_LABELS)
    labels = {p["days"]: f"{p['days']:,}" for p in points[every - 1 :: every]}
    scale = alt.Scale(domain=[0, last], nice=False)
    across = alt.X("days:Q", axis=labelled_axis(labels, "days since the lead began"), scale=scale)
    up = alt.Y("share:Q", **percent_axis("share of all wins", top=1.0, up=True))
    chart = alt.Chart(data(values)).encode(x=across, y=up)
    layers = [
        chart.mark_line(color=PALETTE["accent"], strokeWidth=2),
        chart.mark_point(color=PALETTE["accent"], filled=True, size=40, opacity=1),
    ]
    if ours is not None and ours <= last:
        mine = alt.Chart(data([{"days": ours, "share": 0.0, "top": 1.0, "text": "horizon"}]))
        late = ours > 0.8 * last
        rule = mine.mark_rule(color=PALETTE["warm"], strokeDash=[5, 4], strokeWidth=1.6)
        text = mine.mark_text(color=PALETTE["warm"], align="right" if late else "left", dx=-6 if late else 6, dy=-10)
        layers += [
            rule.encode(x=across, y=up, y2="top:Q"),
            text.encode(x=across, y=up, text="text:N"),
        ]
    return layered(*layers, width=width, height=220)
