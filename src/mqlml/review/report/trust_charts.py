"""The charts that say how sure the figures are: kept promises, months, and what was used for what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import altair as alt

from mqlml.review.report.figure import (
    NARROW,
    Figure,
    Spec,
    data,
    labelled_axis,
    layered,
    named_rows,
    percent_axis,
    round_top,
)
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import (
    between,
    count,
    ends,
    month,
    number,
    part,
    percent,
    rows,
    short_day,
    shorten,
)

Row = Mapping[str, Any]


def reliability(summary: Mapping[str, Any]) -> Figure | None:
    """Draw promised chances against what happened."""
    groups = _promised_and_won(rows(part(summary, "evaluation"), "reliability"))
    if not groups:
        return None
    ranges = [_range(row) for row in groups]
    kept = sum(r is not None and r[0] <= row["promised"] <= r[1] for r, row in zip(ranges, groups, strict=True))
    top = groups[-1]
    said = f"Promised {percent(top['promised'])}, won {percent(top['won'])}"
    return Figure(
        name="reliability",
        title=f"{said}: promises kept in {kept} of {len(groups)} groups" if any(ranges) else said,
        sentence="Tested leads in groups from the lowest to the highest promise, each promised about as many wins: a "
        "point on the dotted line is a promise kept exactly, the upright bar is where the true share likely lies.",
        alt="Scatter chart. Across: promised chance to win; up: share that won, with ranges; a dotted line marks "
        "where both are equal.",
        columns=("Promised", "Won", "Likely between", "Snapshots", "Leads"),
        rows=[
            (
                percent(r["promised"]),
                percent(r["won"]),
                between(r.get("low"), r.get("high")),
                count(r.get("snapshots")),
                count(r.get("leads")),
            )
            for r in groups
        ],
        draw=lambda width: _reliability_spec(groups, width),
    )


def _promised_and_won(found: Sequence[Row]) -> list[Row]:
    whole = [row for row in found if number(row, "promised") is not None and number(row, "won") is not None]
    return sorted(whole, key=lambda row: float(row["promised"]))


def _range(row: Row) -> tuple[float, float] | None:
    return ends(row, "low", "high")


def _reliability_spec(groups: Sequence[Row], width: int) -> Spec:
    top = round_top(1.02 * max(max(r["promised"], r["won"], number(r, "high") or 0) for r in groups))
    across = percent_axis("promised chance to win", top=top, grid=False)
    up = percent_axis("share that won", top=top, up=True)
    corners: list[Row] = [{"promised": 0, "won": 0}, {"promised": top, "won": top}]
    x, y = alt.X("promised:Q", **across), alt.Y("won:Q", **up)
    diagonal = alt.Chart(data(corners)).mark_line(color=PALETTE["soft"], strokeDash=[2, 4], strokeWidth=1.4)
    note = alt.Chart(data([{"promised": 0.79 * top, "won": 0.79 * top, "text": "promise kept exactly"}])).mark_text(
        align="right", dx=-12, dy=-8, color=PALETTE["soft"]
    )
    ranged = [row for row in groups if _range(row)]
    bars = alt.Chart(data(ranged)).mark_rule(color=PALETTE["accent"], strokeWidth=2, opacity=0.55)
    points = alt.Chart(data(groups)).mark_point(color=PALETTE["accent"], filled=True, size=64, opacity=1)
    return layered(
        diagonal.encode(x=x, y=y),
        note.encode(x=x, y=y, text="text:N"),
        bars.encode(x=x, y=alt.Y("low:Q", **up), y2="high:Q"),
        points.encode(x=x, y=y),
        width=width,
        height=360 if width > NARROW else 320,
    )


def months(summary: Mapping[str, Any]) -> Figure | None:
    """Draw promised and realised win rates of each month."""
    found = rows(part(summary, "evaluation"), "by_month")
    found = [row for row in found if number(row, "promised") is not None and number(row, "won") is not None]
    if len(found) < 2:
        return None
    furthest = max(abs(row["promised"] - row["won"]) for row in found)
    return Figure(
        name="months",
        title=f"Month by month, promise and outcome differ by at most {furthest * 100:.1f} percentage points",
        sentence="If the solid line left the dashed one for months, the model would need to be trained again.",
        alt="Line chart. Across: months; up: percent. Dashed line: promised win rate; solid line: share that won.",
        columns=("Month", "Promised", "Won", "Snapshots"),
        rows=[
            (month(r.get("month")), percent(r["promised"]), percent(r["won"]), count(r.get("snapshots"))) for r in found
        ],
        draw=lambda width: _months_spec(found, width),
    )


def _months_spec(found: Sequence[Row], width: int) -> Spec:
    step = math.ceil(len(found) * 90 / width)
    labels = {k: month(found[k].get("month")) for k in range(0, len(found), step)}
    scale = alt.Scale(domain=[-0.2, len(found) - 0.8], nice=False)
    across = alt.X("k:Q", axis=labelled_axis(labels, None), scale=scale)
    up = percent_axis(None, top=round_top(1.15 * max(max(row["promised"], row["won"]) for row in found)), count=4)
    values = [{"k": k, "promised": row["promised"], "won": row["won"]} for k, row in enumerate(found)]
    chart = alt.Chart(data(values)).encode(x=across)
    layers = []
    for field, name, colour, dash, filled in (
        ("promised", "promised", PALETTE["warm"], [5, 4], False),
        ("won", "won", PALETTE["accent"], [1, 0], True),
    ):
        y = alt.Y(f"{field}:Q", **up)
        layers.append(chart.mark_line(color=colour, strokeDash=dash, strokeWidth=2).encode(y=y))
        layers.append(chart.mark_point(color=colour, filled=filled, size=54, opacity=1).encode(y=y))
        other = "won" if field == "promised" else "promised"
        above = values[0][field] >= values[0][other]
        text = alt.Chart(data([{**values[0], "text": name}])).mark_text(
            color=colour, align="left", fontWeight=600, dy=-16 if above else 18, dx=-4
        )
        layers.append(text.encode(x=across, y=y, text="text:N"))
    return layered(*layers, width=width, height=220)


def plan(summary: Mapping[str, Any]) -> Figure | None:
    """Draw which stretch of history served which purpose."""
    spans = [(row, _span(row)) for row in rows(summary, "plan")]
    dated = [(row, span) for row, span in spans if span is not None]
    if len(dated) < 2:
        return None
    return Figure(
        name="plan",
        title="What each stretch of history was used for",
        sentence=_plan_sentence([span for _, span in dated]),
        alt="Timeline. Down: parts of the work; across: time. The number beside each bar is its wins.",
        columns=("Part", "From", "To", "Snapshots", "Leads", "Wins", "Purpose"),
        rows=[
            (
                shorten(row.get("part", ""), 40),
                short_day(str(row.get("from"))),
                short_day(str(row.get("to"))),
                count(row.get("snapshots")),
                count(row.get("leads")),
                count(row.get("wins")),
                shorten(row.get("purpose") or "", 120),
            )
            for row in rows(summary, "plan")
        ],
        draw=lambda width: _plan_spec(dated, width),
    )


def _plan_sentence(spans: Sequence[tuple[int, int]]) -> str:
    ordered = sorted(spans)
    if all(earlier[1] <= later[0] for earlier, later in pairwise(ordered)):
        return "Each stretch was tested by a model that had learned only from what was known before it."
    return "Some parts share a stretch of time; the numbers say what each was used for."


def _span(row: Row) -> tuple[int, int] | None:
    try:
        first, last = (date.fromisoformat(str(row.get(key))[:10]) for key in ("from", "to"))
    except ValueError:
        return None
    return first.toordinal(), last.toordinal()


def _plan_spec(dated: Sequence[tuple[Row, tuple[int, int]]], width: int) -> Spec:
    first = min(span[0] for _, span in dated)
    length = max(1, max(span[1] for _, span in dated) - first)
    most = 24 if width > NARROW else 12
    values = [
        {
            "k": k,
            "name": shorten(row.get("part", ""), most),
            "from": span[0] - first,
            "to": max(span[1], span[0] + 1) - first,
            "text": f"{count(row.get('wins'))} wins",
            "late": span[1] - first > 0.75 * length,
        }
        for k, (row, span) in enumerate(dated)
    ]
    marks = 4 if width > NARROW else 2
    labels = {
        k * length // marks: short_day(date.fromordinal(first + k * length // marks).isoformat())
        for k in range(marks + 1)
    }
    scale = alt.Scale(domain=[0, length], nice=False)
    across = alt.X("from:Q", axis=labelled_axis(labels, None, grid=True), scale=scale)
    down = named_rows(values)
    bars = alt.Chart(data(values)).mark_bar(color=PALETTE["accent"], height=14, opacity=1)
    layers = [bars.encode(x=across, x2="to:Q", y=down)]
    for late in (True, False):
        chart = alt.Chart(data([row for row in values if row["late"] is late]))
        text = chart.mark_text(align="right" if late else "left", dx=-8 if late else 8, color=PALETTE["soft"])
        place = alt.X("from:Q" if late else "to:Q", scale=scale)
        layers.append(text.encode(x=place, y=down, text="text:N"))
    return layered(*layers, width=width, height=44 + 34 * len(values))


__all__ = ["months", "plan", "reliability"]
