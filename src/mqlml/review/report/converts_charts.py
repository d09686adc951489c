"""The charts of what converts: win rates by source, page and offer, and the losses by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from mqlml.review.report.figure import NARROW, Figure, Spec, data, layered, named_rows, percent_axis, round_top
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import between, count, ends, number, part, percent, rows, shorten

__all__ = ["AGAINST", "RATES", "losses", "win_rates"]

Row = Mapping[str, Any]
RATES = {
    "sources": ("Source", "sources"),
    "campaigns": ("Campaign", "campaigns"),
    "pages": ("Page or asset touched", "pages"),
    "offers": ("Offer or event touched", "types of event"),
    "event_campaigns": ("Campaign touched", "campaigns"),
    "first_channel": ("Channel of the first touch", "channels"),
    "first_type": ("First touch", "types of event"),
}
"""Tables of win rates in reading order: what a row is, and what several rows are."""
AGAINST = {"above": "clearly above", "below": "clearly below", "unclear": "not clearly different"}
_MOST_NAME = 20
_MOST_REASONS = 10


def win_rates(summary: Mapping[str, Any]) -> list[Figure]:
    """Draw the win rate by source, campaign, page, offer and first touch, those that were counted."""
    found = part(summary, "converts")
    base = number(found, "win_rate")
    return [_win_rate(key, table, told, base) for key in RATES if (told := _told(table := part(found, key)))]


def _told(table: Row) -> list[Row]:
    return [row for row in rows(table, "rows") if number(row, "win_rate") is not None]


def _win_rate(key: str, table: Row, told: Sequence[Row], base: float | None) -> Figure:
    one, several = RATES[key]
    return Figure(
        name=f"converts-{key.replace('_', '-')}",
        title=_title(told, base),
        sentence=f"Point: share that won; bar: the range it likely lies in; right: leads.{_average(base)}"
        f"{_rest(part(table, 'rest'), several)}",
        alt=f"Dot chart with ranges. Down: {several}; across: win rate in percent.",
        columns=(one, "Leads", "Won", "Win rate", "Likely between", "Against all"),
        rows=[
            (
                shorten(r.get("name") or "", 60),
                count(r.get("leads")),
                count(r.get("wins")),
                percent(r["win_rate"]),
                between(r.get("low"), r.get("high")),
                AGAINST.get(str(r.get("against")), "not measured"),
            )
            for r in told
        ],
        draw=lambda width: _rates_spec(told, base, width),
        widths=(NARROW,),
    )


def _title(told: Sequence[Row], base: float | None) -> str:
    above = [r for r in told if r.get("against") == "above"]
    if not above or base is None:
        return "None stands clearly above all leads"
    best = max(above, key=lambda r: float(r["win_rate"]))
    return f"{shorten(best.get('name') or '', 32)}: {percent(best['win_rate'])} won, of all leads {percent(base)}"


def _average(base: float | None) -> str:
    return "" if base is None else f" The dotted line is all leads, {percent(base)}."


def _rest(rest: Row, several: str) -> str:
    """What the rows that are not drawn come to."""
    if number(rest, "names") is None or number(rest, "leads") is None:
        return ""
    rate = f", of whom {percent(rest['win_rate'])} won" if number(rest, "win_rate") is not None else ""
    return f" Not drawn: {count(rest['names'])} {several} with {count(rest['leads'])} leads{rate}."


def _rates_spec(told: Sequence[Row], base: float | None, width: int) -> Spec:
    values = [
        {"k": k, "name": shorten(r.get("name") or "", _MOST_NAME), "rate": r["win_rate"],
         "leads": count(r.get("leads")),
         "colour": PALETTE["soft"] if r.get("against") == "unclear" else PALETTE["accent"],
         **dict(zip(("low", "high"), ends(r, "low", "high") or (None, None), strict=True))}
        for k, r in enumerate(told)
    ]  # fmt: skip
    top = round_top(1.05 * max([float(base or 0)] + [max(row["rate"], row["high"] or 0) for row in values]))
    axis = percent_axis("win rate", top=top, count=3)
    chart = alt.Chart(data(values)).encode(y=named_rows(values))
    colour = alt.Color("colour:N", scale=None)
    layers = [
        chart.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", **axis), x2="high:Q", color=colour),
        chart.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("rate:Q", **axis), color=colour),
        chart.mark_text(align="right", color=PALETTE["soft"], dx=46).encode(x=alt.value("width"), text="leads:N"),
    ]
    if base is not None:
        rule = alt.Chart(data([{"base": base}])).mark_rule(color=PALETTE["ink"], strokeDash=[2, 3])
        layers.insert(0, rule.encode(x=alt.X("base:Q", **axis)))
    return layered(*layers, width=width, height=58 + 26 * len(values))


def losses(summary: Mapping[str, Any]) -> Figure | None:
    """Draw why leads were lost."""
    lost = part(part(summary, "converts"), "lost")
    found = [row for row in rows(lost, "rows") if number(row, "share") is not None][:_MOST_REASONS]
    if not found:
        return None
    first = max(found, key=lambda row: float(row["share"]))
    rest, stated = part(lost, "rest"), count(lost.get("stated"))
    folded = f" Not drawn: {count(rest['losses'])} with rarer reasons." if number(rest, "losses") else ""
    return Figure(
        name="converts-lost",
        title=f"{percent(first['share'])} of losses: {shorten(first.get('reason') or '', 40)}",
        sentence=f"Share of {stated} losses for which a reason was given, of {count(lost.get('losses'))}; bar: the "
        f"share, line: the range it likely lies in.{folded} Told here, never learned from.",
        alt="Bar chart. Down: reasons; across: share of losses.",
        columns=("Reason", "Losses", "Share", "Likely between"),
        rows=[
            (
                shorten(r.get("reason") or "", 60),
                count(r.get("losses")),
                percent(r["share"]),
                between(r.get("low"), r.get("high")),
            )
            for r in found
        ],
        draw=lambda width: _losses_spec(found, width),
        widths=(NARROW,),
    )


def _losses_spec(found: Sequence[Row], width: int) -> Spec:
    values = [
        {"k": k, "name": shorten(r.get("reason") or "", _MOST_NAME), "share": r["share"],
         **dict(zip(("low", "high"), ends(r, "low", "high") or (None, None), strict=True))}
        for k, r in enumerate(found)
    ]  # fmt: skip
    top = round_top(1.05 * max(max(row["share"], row["high"] or 0) for row in values))
    axis = percent_axis("share of losses", top=top, count=3)
    chart = alt.Chart(data(values)).encode(y=named_rows(values))
    bars = chart.mark_bar(color=PALETTE["faint"], height=14, opacity=1).encode(x=alt.X("share:Q", **axis))
    ranges = chart.mark_rule(color=PALETTE["accent"], strokeWidth=2).encode(x=alt.X("low:Q", **axis), x2="high:Q")
    return layered(bars, ranges, width=width, height=58 + 26 * len(values))
