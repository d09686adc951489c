"""The charts of how leads came: how many touches winners had, and which steps wins are credited to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from mqlml.review.report.words import count, number, part, percent, rows, shorten

__all__ = ["contributions", "touches"]

Row = Mapping[str, Any]
_KINDS = {"channel": ("channel", "channels"), "event_type": ("type of event", "types of event")}
_SHARES = (("first", "circle", "accent"), ("last", "square", "warm"), ("removal", "diamond", "ink"))


def touches(summary: Mapping[str, Any]) -> Figure | None:
    """Draw how many touches winners had, beside the others."""
    journeys = part(part(summary, "converts"), "journeys")
    found = [r for r in rows(journeys, "shares") if None not in (number(r, "won"), number(r, "other"))]
    if len(found) < 2:
        return None
    counted = part(journeys, "touches")
    ours, theirs = (number(part(counted, who), "median") for who in ("won", "other"))
    title = "How many touches leads had"
    if ours is not None and theirs is not None:
        title = f"The middle winner had {count(ours)} touches, the middle other lead {count(theirs)}"
    return Figure(
        name="converts-touches",
        title=title,
        sentence="Dark: leads that won; pale: leads that did not. Touches count until a lead was decided or sales took "
        "it, so that winners had less time for them.",
        alt="Bar chart in pairs. Across: number of touches; up: share of leads that won, and of leads that did not.",
        columns=("Touches", "Leads", "Of winners", "Of the others"),
        rows=[
            (shorten(r.get("touches") or "", 20), count(r.get("leads")), percent(r["won"]), percent(r["other"]))
            for r in found
        ],
        draw=lambda width: _touches_spec(found, width),
    )


def _touches_spec(found: Sequence[Row], width: int) -> Spec:
    labels = {k: _label(r, width) for k, r in enumerate(found)}
    scale = alt.Scale(domain=[-0.6, len(found) - 0.4], nice=False)
    axis = labelled_axis(labels, "number of touches")
    up = percent_axis(None, top=round_top(1.05 * max(max(r["won"], r["other"]) for r in found)), count=4)
    size = max(4, round(0.3 * (width - 60) / len(found)))
    layers = []
    for key, shift, colour in (("won", -0.18, "accent"), ("other", 0.18, "faint")):
        values = [{"k": k + shift, "share": r[key]} for k, r in enumerate(found)]
        bars = alt.Chart(data(values)).mark_bar(size=size, color=PALETTE[colour], opacity=1)
        layers.append(bars.encode(x=alt.X("k:Q", axis=axis, scale=scale), y=alt.Y("share:Q", **up)))
    return layered(*layers, width=width, height=220)


def _label(row: Row, width: int) -> str:
    whole = shorten(row.get("touches") or "", 12)
    return whole if width > NARROW else whole.replace(" to ", "–").replace(" or more", "+")


def contributions(summary: Mapping[str, Any]) -> list[Figure]:
    """Draw which channels and types of event wins are credited to, in three ways."""
    found = rows(part(summary, "converts"), "contribution")
    return [figure for table in found if (figure := _contribution(table)) is not None]


def _contribution(table: Row) -> Figure | None:
    keys = [key for key, *_ in _SHARES]
    told = [r for r in rows(table, "rows") if None not in [number(r, key) for key in (*keys, "part")]]
    if not told or table.get("kind") not in _KINDS:
        return None
    one, several = _KINDS[str(table["kind"])]
    best = max(told, key=lambda r: float(r["removal"]))
    return Figure(
        name=f"converts-credit-{str(table['kind']).replace('_', '-')}",
        title=f"Most credit by {one}: {shorten(best.get('name') or '', 32)}",
        sentence=f"Of {count(table.get('wins'))} wins with a touch: ● share that it opened, ■ share that it closed, "
        "◆ share that would be missing without it if paths without it stayed as they are. Three ways of sharing out "
        "the same wins; none shows a cause.",
        alt=f"Dot chart. Down: {several}; across: share of wins that it opened, closed, and that would be missing.",
        columns=(one.capitalize(), "Leads", "Opened", "Closed", "Took part in", "Missing without it"),
        rows=[
            (
                shorten(r.get("name") or "", 60),
                count(r.get("leads")),
                percent(r["first"]),
                percent(r["last"]),
                percent(r["part"]),
                percent(r["removal"]),
            )
            for r in told
        ],
        draw=lambda width: _contribution_spec(told, width),
        widths=(NARROW,),
    )


def _contribution_spec(told: Sequence[Row], width: int) -> Spec:
    names = [{"k": k, "name": shorten(r.get("name") or "", 20)} for k, r in enumerate(told)]
    top = round_top(1.03 * max(float(r[key]) for r in told for key, *_ in _SHARES))
    axis = percent_axis("share of wins", top=top, count=3)
    layers = []
    for key, shape, colour in _SHARES:
        values = [{"k": k, "share": r[key]} for k, r in enumerate(told)]
        points = alt.Chart(data(values)).mark_point(
            shape=shape, filled=True, size=64, opacity=0.85, color=PALETTE[colour]
        )
        layers.append(points.encode(y=named_rows(names), x=alt.X("share:Q", **axis)))
    return layered(*layers, width=width, height=58 + 26 * len(told))
