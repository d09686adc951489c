"""The charts that say why: which criteria carry the weight, and how the win rate runs over their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from mqlml.review.report.figure import NARROW, Figure, Spec, data, layered, named_rows, percent_axis, round_top
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import between, count, ends, number, part, percent, rows, shorten

Row = Mapping[str, Any]
SHAPED = 8
_DRAWN = 12
_MOST_BUCKETS = 12
MARKS = {"raises": "▲", "lowers": "▼", "mixed": "↕"}
DIRECTIONS = {
    "raises": "more of it raises the chance",
    "lowers": "more of it lowers the chance",
    "mixed": "raises or lowers, by value",
}


def drivers(summary: Mapping[str, Any]) -> Figure | None:
    """Draw how much weight each criterion carries."""
    found = [row for row in rows(summary, "drivers") if number(row, "importance") is not None]
    if not found:
        return None
    found = sorted(found, key=lambda row: -float(row["importance"]))
    return Figure(
        name="drivers",
        title=_drivers_title(found),
        sentence="Weight is a criterion's share of all that moves chances up and down; ▲ more of it raises the "
        "chance, ▼ lowers it, ↕ depends on the value.",
        alt="Bar chart. Down: criteria; across: share of the weight.",
        columns=("Criterion", "Kind", "Weight", "Direction"),
        rows=[
            (
                shorten(r.get("criterion", "")),
                str(r.get("group") or "–"),
                percent(r["importance"]),
                DIRECTIONS.get(str(r.get("direction")), "not measured"),
            )
            for r in found
        ],
        draw=lambda width: _drivers_spec(found[:_DRAWN], width),
    )


def _drivers_title(found: Sequence[Row]) -> str:
    carried, needed = 0.0, 0
    while carried <= 0.5 and needed < len(found):
        carried += float(found[needed]["importance"])
        needed += 1
    if needed == 1:
        return f"One criterion carries {percent(carried)} of the weight"
    return f"{needed} criteria carry {percent(carried)} of the weight"


def _drivers_spec(found: Sequence[Row], width: int) -> Spec:
    most = 32 if width > NARROW else 17
    values = [
        {"k": k, "name": shorten(r.get("criterion", ""), most), "importance": r["importance"],
         "text": f"{percent(r['importance'])}  {MARKS.get(str(r.get('direction')), '')}"}
        for k, r in enumerate(found)
    ]  # fmt: skip
    top = 1.25 * max(float(row["importance"]) for row in found)
    across = alt.X("importance:Q", axis=None, scale=alt.Scale(domain=[0, top], nice=False))
    chart = alt.Chart(data(values)).encode(y=named_rows(values), x=across)
    bars = chart.mark_bar(color=PALETTE["accent"], height=14, opacity=1)
    text = chart.mark_text(align="left", dx=8).encode(text="text:N")
    return layered(bars, text, width=width, height=10 + 28 * len(values))


def shapes(summary: Mapping[str, Any]) -> list[Figure]:
    """Draw the win rate over the values of each of the first drivers that carry a shape."""
    # The shapes count snapshots, so their line is the rate of snapshots, not that of leads over all their weeks.
    base = number(part(summary, "population"), "base_rate")
    found = []
    for rank, row in enumerate(rows(summary, "drivers")[:SHAPED], start=1):
        buckets = [b for b in rows(row, "shape") if number(b, "win_rate") is not None][:_MOST_BUCKETS]
        if buckets:
            found.append(_shape(rank, buckets, base))
    return found


def _shape(rank: int, buckets: Sequence[Row], base: float | None) -> Figure:
    best = max(buckets, key=lambda b: float(b["win_rate"]))
    worst = min(buckets, key=lambda b: float(b["win_rate"]))
    named = [f"{percent(b['win_rate'])} ({shorten(b.get('label', ''), 24)})" for b in (worst, best)]
    line = "" if base is None else f" The dotted line is the average, {percent(base)}."
    return Figure(
        name=f"shape-{rank}",
        title=f"Win rate from {named[0]} to {named[1]}" if best is not worst else f"Win rate {named[0]}",
        sentence=f"Point: share that won; bar: the range it likely lies in; right: leads counted.{line}",
        alt="Dot chart with ranges. Down: values; across: win rate in percent.",
        columns=("Value", "Leads", "Share of leads", "Win rate", "Likely between"),
        rows=[
            (
                shorten(b.get("label", ""), 60),
                count(b.get("leads")),
                percent(b.get("share")),
                percent(b["win_rate"]),
                between(b.get("low"), b.get("high")),
            )
            for b in buckets
        ],
        draw=lambda width: _shape_spec(buckets, base, width),
        widths=(NARROW,),
    )


def _shape_spec(buckets: Sequence[Row], base: float | None, width: int) -> Spec:
    values = [
        {"k": k, "name": shorten(b.get("label", ""), 18), "rate": b["win_rate"], "leads": count(b.get("leads")),
         **dict(zip(("low", "high"), ends(b, "low", "high") or (None, None), strict=True))}
        for k, b in enumerate(buckets)
    ]  # fmt: skip
    top = round_top(1.05 * max([float(base or 0)] + [max(row["rate"], row["high"] or 0) for row in values]))
    axis = percent_axis("win rate", top=top, count=3)
    across = alt.X("rate:Q", **axis)
    chart = alt.Chart(data(values)).encode(y=named_rows(values))
    layers = [
        chart.mark_rule(color=PALETTE["accent"], strokeWidth=3, opacity=0.45).encode(
            x=alt.X("low:Q", **axis), x2="high:Q"
        ),
        chart.mark_point(color=PALETTE["accent"], filled=True, size=60, opacity=1).encode(x=across),
        chart.mark_text(align="right", color=PALETTE["soft"], dx=46).encode(x=alt.value("width"), text="leads:N"),
    ]
    if base is not None:
        rule = alt.Chart(data([{"base": base}])).mark_rule(color=PALETTE["ink"], strokeDash=[2, 3])
        layers.insert(0, rule.encode(x=alt.X("base:Q", **axis)))
    return layered(*layers, width=width, height=58 + 26 * len(values))
