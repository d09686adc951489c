"""Monitoring as one HTML page in the report's look: no script, no request, nothing from the data but text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import altair as alt

from mqlml.review.report import words
from mqlml.review.report.figure import Figure, Spec, data, labelled_axis, layered, upright
from mqlml.review.report.render import drawn, fill_page
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.trust_charts import reliability

__all__ = ["render_monitor"]

_STATES = {
    "alarm": ("poor", "!", "Alarm"),
    "watch": ("unknown", "?", "Watch"),
    "fine": ("good", "✓", "Fine"),
    "not measured": ("none", "–", "Not measured"),
}
_HEADLINES = {
    "alarm": "Something has changed",
    "watch": "Nothing alarms; some things are worth a look",
    "fine": "Nothing has changed",
}
_FAMILIES = {
    "outcomes": "Promised and realised",
    "leads": "Today's leads",
    "data": "The data",
    "sales": "Answers from sales",
}
_MOST_WEEKS = 52


def render_monitor(summary: Mapping[str, Any]) -> str:
    """Write the page.

    Parameters
    ----------
    summary : mapping
        What monitoring found, as plain JSON; shares are 0..1.

    Returns
    -------
    str
        One HTML document that needs nothing else. The same summary gives the same text.
    """
    tidy = words.tidy(summary)
    built = [build(tidy) for build in (_weeks, _promises)]
    figures = {figure.name: drawn(figure) for figure in built if figure is not None}
    groups = [
        (title, [c for c in words.rows(tidy, "checks") if c.get("family") == family])
        for family, title in _FAMILIES.items()
    ]
    headline = _HEADLINES.get(str(tidy.get("state")), "Not measured")
    return fill_page("monitor.html.j2", s=tidy, figures=figures, groups=groups, states=_STATES, headline=headline)


def _weeks(summary: Mapping[str, Any]) -> Figure | None:
    """Draw new MQLs of each week, with the range that was promised."""
    found = [w for w in words.rows(summary, "weeks") if words.number(w, "mqls") is not None][-_MOST_WEEKS:]
    if len(found) < 2:
        return None
    last = found[-1]
    span = words.ends(last, "low", "high")
    title = f"{words.count(last['mqls'])} new MQLs in the last week"
    sentence = "Each bar is the leads that came onto the list in a week."
    if span is not None:
        title += f"; {words.count(span[0])} to {words.count(span[1])} are usual"
        sentence += " The band holds four weeks of five, as the policy was set."
    return Figure(
        name="mqls",
        title=title,
        sentence=sentence,
        alt="Bar chart. Across: weeks; up: new MQLs; a band marks the usual range.",
        columns=("Week from", "New MQLs"),
        rows=[(words.short_day(str(w.get("week"))), words.count(w["mqls"])) for w in found],
        draw=lambda width: _weeks_spec(found, span, width),
    )


def _weeks_spec(found: list[Mapping[str, Any]], span: tuple[float, float] | None, width: int) -> Spec:
    step = math.ceil(len(found) * 105 / width)
    labels = {k: words.short_day(str(found[k].get("week"))) for k in range(0, len(found), step)}
    scale = alt.Scale(domain=[-0.6, len(found) - 0.4], nice=False)
    across = alt.X("k:Q", axis=labelled_axis(labels, "week from"), scale=scale)
    top = max([float(w["mqls"]) for w in found] + ([span[1]] if span else []) + [1.0])
    up: dict[str, Any] = {"axis": upright("new MQLs a week"), "scale": alt.Scale(domain=[0, 1.05 * top], nice=False)}
    chart = alt.Chart(data([{"k": k, "mqls": w["mqls"]} for k, w in enumerate(found)])).encode(x=across)
    bars = chart.mark_bar(size=max(2, round(0.62 * (width - 60) / len(found))), color=PALETTE["accent"], opacity=1)
    layers = [bars.encode(y=alt.Y("mqls:Q", **up))]
    if span is not None:
        edges = {"left": -0.6, "right": len(found) - 0.4, "low": span[0], "high": span[1]}
        band = alt.Chart(data([edges])).mark_rect(color=PALETTE["warm"], opacity=0.16)
        wide = alt.X("left:Q", axis=labelled_axis(labels, "week from"), scale=scale)
        layers.insert(0, band.encode(x=wide, x2="right:Q", y=alt.Y("low:Q", **up), y2="high:Q"))
    return layered(*layers, width=width, height=220)


def _promises(summary: Mapping[str, Any]) -> Figure | None:
    """Draw promised against realised win rates of matured scores, as the report does of tested ones."""
    found = reliability({"evaluation": {"reliability": summary.get("reliability")}})
    if found is None:
        return None
    said = (
        "Scores whose horizon is over, in groups from the lowest to the highest chance: a point on the dotted line is "
        "a promise kept exactly, the upright bar is where the true share likely lies."
    )
    return replace(found, sentence=said)
