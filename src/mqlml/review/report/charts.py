"""Every chart of the report, by name, and the charts of the decision: what it gives and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from mqlml.review.report.benefit_chart import benefit
from mqlml.review.report.converts_charts import losses, win_rates
from mqlml.review.report.driver_charts import drivers, shapes
from mqlml.review.report.figure import (
    NARROW,
    Figure,
    Spec,
    data,
    labelled_axis,
    layered,
    percent_axis,
    round_top,
    upright,
)
from mqlml.review.report.horizon_chart import horizon
from mqlml.review.report.journey_charts import contributions, touches
from mqlml.review.report.ladder_chart import ladder
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.trust_charts import months, plan, reliability
from mqlml.review.report.words import count, ends, line, number, part, percent, rows, short_day, tidy

__all__ = ["all_figures", "figures"]

Row = Mapping[str, Any]
_MOST_WEEKS = 78


def figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Build every chart of the report; each is drawn when first asked for, and once.

    Parameters
    ----------
    summary : mapping
        The training's summary.

    Returns
    -------
    dict of str to Figure
        By name; charts whose numbers were not measured are left out.
    """
    return all_figures(tidy(summary))


def all_figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Return the charts that can be drawn from a tidy summary, by name, in reading order."""
    singles = (hundred, tradeoff, benefit, weeks, reliability, ladder, months, horizon, plan, drivers, touches, losses)
    found = [figure for build in singles if (figure := build(summary)) is not None]
    several = [figure for build in (shapes, win_rates, contributions) for figure in build(summary)]
    return {figure.name: figure for figure in [*found, *several]}


def hundred(summary: Mapping[str, Any]) -> Figure | None:
    """Draw a hundred MQLs beside a hundred leads taken at random."""
    decision = part(summary, "decision")
    ours, base = number(decision, "win_rate"), number(decision, "base_rate")
    if ours is None or base is None or round(100 * ours) == round(100 * base):
        return None
    wins, usual = round(100 * ours), round(100 * base)
    return Figure(
        name="hundred",
        title=f"{wins} of 100 MQLs win; of 100 leads taken at random, {usual}",
        sentence="Each dot is one lead; a filled dot is a lead that wins.",
        alt=f"Two squares of 100 dots; {wins} filled in the first, {usual} in the second.",
        columns=("Out of 100", "Win", "Do not win"),
        rows=(("MQLs", str(wins), str(100 - wins)), ("Leads taken at random", str(usual), str(100 - usual))),
        draw=lambda width: _hundred_spec(wins, usual, width),
        widths=(NARROW,),
    )


def _hundred_spec(wins: int, usual: int, width: int) -> Spec:
    dots = [
        {"x": k % 10 + shift, "y": k // 10, "won": k < won}
        for shift, won in ((0, wins), (12, usual))
        for k in range(100)
    ]
    heads = [{"x": 0, "text": "100 MQLs"}, {"x": 12, "text": "100 leads at random"}]
    place = {
        "x": alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.5, 21.5], nice=False)),
        "y": alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[9.5, -1.6], nice=False)),
    }
    won = alt.Chart(data([dot for dot in dots if dot["won"]])).mark_circle(size=84, opacity=1, color=PALETTE["accent"])
    others = alt.Chart(data([dot for dot in dots if not dot["won"]])).mark_point(
        size=52, strokeWidth=1.2, color=PALETTE["axis"], filled=False
    )
    text = alt.Chart(data([{**head, "y": -1.35} for head in heads])).mark_text(
        align="left", dx=-6, color=PALETTE["soft"], baseline="middle"
    )
    layers = (won.encode(**place), others.encode(**place), text.encode(text="text:N", **place))
    return layered(*layers, width=width, height=180)


def tradeoff(summary: Mapping[str, Any]) -> Figure | None:
    """Draw what every threshold would give: more leads, more wins caught, fewer of them winning."""
    grid = rows(part(summary, "decision"), "grid")
    weekly = _weeks_tell(grid)
    key = "mqls_per_week" if weekly else "share_of_leads"
    needed = (key, "win_rate", "share_of_wins")
    grid = sorted((r for r in grid if all(number(r, k) is not None for k in needed)), key=lambda r: float(r[key]))
    if len(grid) < 2:
        return None
    volume = count if weekly else percent
    return Figure(
        name="tradeoff",
        title=_tradeoff_title(grid, weekly=weekly),
        sentence=_tradeoff_sentence(grid, key, weekly=weekly),
        alt=f"Line chart. Across: {'MQLs a week' if weekly else 'share of leads'}; up: percent. "
        "One line falls, the win rate of MQLs; the other rises, the share of wins caught.",
        columns=(
            "Threshold",
            "MQLs a week" if weekly else "Share of leads",
            "Win rate of MQLs",
            "Share of wins caught",
        ),
        rows=[
            (line(r.get("threshold")), volume(r[key]), percent(r["win_rate"]), percent(r["share_of_wins"]))
            for r in grid
        ],
        draw=lambda width: _tradeoff_spec(grid, key, width, weekly=weekly),
    )


def _weeks_tell(grid: Sequence[Row]) -> bool:
    """Whether weekly volumes grow as thresholds fall; where everybody comes in one week they do not."""
    falling = sorted(grid, key=lambda row: -(number(row, "threshold") or 0.0))
    volumes = [number(row, "mqls_per_week") for row in falling]
    known = [v for v in volumes if v is not None]
    return len(known) == len(volumes) and len(set(known)) > 1 and known == sorted(known)


def _tradeoff_title(grid: Sequence[Row], *, weekly: bool) -> str:
    first, last = grid[0], grid[-1]
    if last["share_of_wins"] > first["share_of_wins"] and last["win_rate"] < first["win_rate"]:
        return f"More MQLs{' a week' if weekly else ''} catch more wins, but fewer of them win"
    return "What other thresholds would give"


def _tradeoff_sentence(grid: Sequence[Row], key: str, *, weekly: bool) -> str:
    chosen = next((k for k, row in enumerate(grid) if row.get("chosen")), None)
    if chosen is None:
        return "The shaded band is the range in which the win rate of MQLs likely lies."
    here = grid[chosen]
    said = f"As chosen, {percent(here['win_rate'])} of MQLs win and {percent(here['share_of_wins'])} of wins are caught"
    other = next((row for row in grid[chosen + 1 :] if row[key] >= 1.4 * here[key]), None)
    if other is None:
        return f"{said}."
    volume = f"{count(other[key])} a week" if weekly else f"{percent(other[key])} of leads"
    return f"{said}; {volume} would catch {percent(other['share_of_wins'])}, with {percent(other['win_rate'])} winning."


def _tradeoff_spec(grid: Sequence[Row], key: str, width: int, *, weekly: bool) -> Spec:
    far = float(grid[-1][key])
    across = alt.X(
        f"{key}:Q",
        axis=alt.Axis(title="MQLs a week", grid=False, tickCount=5),
        scale=alt.Scale(domain=[0, far], nice=False),
    )
    if not weekly:
        across = alt.X(f"{key}:Q", **percent_axis("share of leads that become MQLs", top=round_top(far), grid=False))
    up = percent_axis(None, top=1.0)
    chart = alt.Chart(data(grid)).encode(x=across)
    banded = [row for row in grid if ends(row, "win_rate_low", "win_rate_high")]
    band = (
        alt.Chart(data(banded))
        .mark_area(color=PALETTE["accent"], opacity=0.16)
        .encode(x=across, y=alt.Y("win_rate_low:Q", **up), y2="win_rate_high:Q")
    )
    layers = [band, *_chosen_line(grid, key, across)]
    for field, name, colour, shape, below in (
        ("share_of_wins", "share of wins caught", PALETTE["warm"], "square", grid[-1]["share_of_wins"] > 0.92),
        ("win_rate", "win rate of MQLs", PALETTE["accent"], "circle", grid[-1]["win_rate"] > 0.09),
    ):
        y = alt.Y(f"{field}:Q", **up)
        layers.append(chart.mark_line(color=colour, strokeWidth=2.2).encode(y=y))
        layers.append(chart.mark_point(color=colour, shape=shape, filled=True, size=46, opacity=1).encode(y=y))
        ending = alt.Chart(data([{**grid[-1], "text": name}]))
        text = ending.mark_text(color=colour, align="right", fontWeight=600, dy=20 if below else -14, dx=4)
        layers.append(text.encode(x=across, y=y, text="text:N"))
    return layered(*layers, width=width, height=300 if width > NARROW else 270)


def _chosen_line(grid: Sequence[Row], key: str, across: alt.X) -> list[alt.Chart]:
    chosen = [{key: row[key], "text": "chosen"} for row in grid if row.get("chosen")][:1]
    far_right = bool(chosen) and chosen[0][key] > 0.8 * float(grid[-1][key])
    rule = alt.Chart(data(chosen)).mark_rule(color=PALETTE["ink"], strokeDash=[3, 3]).encode(x=across)
    text = alt.Chart(data(chosen)).mark_text(
        color=PALETTE["ink"], align="right" if far_right else "left", dx=-6 if far_right else 6, fontWeight=600
    )
    return [rule, text.encode(x=across, y=alt.value(6), text="text:N")] if chosen else []


def weeks(summary: Mapping[str, Any]) -> Figure | None:
    """Draw the replay: MQLs and wins of every past week."""
    decision = part(summary, "decision")
    replayed = [r for r in rows(decision, "weeks_replayed") if number(r, "mqls") is not None][-_MOST_WEEKS:]
    if len(replayed) < 2:
        return None
    usual = part(decision, "mqls_per_week")
    low, high = number(usual, "p10"), number(usual, "p90")
    title = "MQLs week by week, had the rule been in use"
    if low is not None and high is not None:
        title = f"Four weeks of five bring {count(low)} to {count(high)} MQLs"
    return Figure(
        name="weeks",
        title=title,
        sentence=f"The last {len(replayed)} weeks that can be judged, replayed with this rule: the whole bar is the "
        "week's MQLs, its lower part those that won.",
        alt="Bar chart. Across: weeks; up: leads. Each bar is the MQLs of a week, its lower part the wins.",
        columns=("Week from", "MQLs", "Won", "Win rate"),
        rows=[(short_day(str(r.get("week"))), count(r["mqls"]), count(r.get("wins")), _rate(r)) for r in replayed],
        draw=lambda width: _weeks_spec(replayed, width),
    )


def _rate(row: Row) -> str:
    mqls, wins = number(row, "mqls"), number(row, "wins")
    return percent(wins / mqls) if mqls and wins is not None else percent(None)


def _weeks_spec(replayed: Sequence[Row], width: int) -> Spec:
    step = math.ceil(len(replayed) * 105 / width)
    labels = {k: short_day(str(replayed[k].get("week"))) for k in range(0, len(replayed), step)}
    values = [{"k": k, "mqls": r["mqls"], "wins": number(r, "wins") or 0} for k, r in enumerate(replayed)]
    scale = alt.Scale(domain=[-0.6, len(replayed) - 0.4], nice=False)
    across = alt.X("k:Q", axis=labelled_axis(labels, "week from"), scale=scale)
    chart = alt.Chart(data(values)).encode(x=across)
    size = max(2, round(0.68 * (width - 60) / len(replayed)))
    whole = chart.mark_bar(size=size, color=PALETTE["faint"], opacity=1)
    foot = chart.mark_bar(size=size, color=PALETTE["accent"], opacity=1)
    axis = upright("leads a week")
    layers = (whole.encode(y=alt.Y("mqls:Q", axis=axis)), foot.encode(y=alt.Y("wins:Q", axis=axis)))
    return layered(*layers, width=width, height=220)
