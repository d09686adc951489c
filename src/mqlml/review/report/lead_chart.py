"""The chart of one lead's chance over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt

from mqlml.review.report.figure import Figure, Spec, data, labelled_axis, layered, percent_axis, round_top
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import count, line, number, part, percent, rows, short_day

__all__ = ["timeline"]

Row = Mapping[str, Any]
_DAY_SECONDS = 86_400
_MOST_LABELS = 6


def timeline(story: Mapping[str, Any]) -> Figure | None:
    """Draw the chance of a lead after each of its last steps; None where it had fewer than two."""
    steps = [s for s in rows(story, "timeline") if number(s, "chance") is not None]
    if len(steps) < 2:
        return None
    score = part(story, "score")
    steps = [*steps, *_today(score, steps)]
    threshold = number(story, "threshold")
    first, last = number(steps[0], "chance"), number(steps[-1], "chance")
    since = short_day(str(steps[0]["at"]))
    return Figure(
        name="timeline",
        title=f"From {percent(first)} on {since} to {percent(last)}",
        sentence=(
            f"The chance just after each of the last {count(len(rows(story, 'timeline')))} moments at which something "
            "became known of this lead, by the model in use now; between them it changes with time."
        ),
        alt="Stepped line. Across: time; up: the chance to win just after each step.",
        columns=("When", "Chance"),
        rows=[(short_day(str(s["at"])), percent(number(s, "chance"))) for s in steps],
        draw=lambda width: _spec(steps, threshold, width),
    )


def _today(score: Row, steps: Sequence[Row]) -> list[Row]:
    """The moment of looking, where it is later than the last step."""
    at, chance = score.get("as_of"), number(score, "probability")
    if not isinstance(at, str) or chance is None or _days(at) <= _days(str(steps[-1]["at"])):
        return []
    return [{"at": at, "chance": chance}]


def _spec(steps: Sequence[Row], threshold: float | None, width: int) -> Spec:
    start = _days(str(steps[0]["at"]))
    values = [{"x": round(_days(str(s["at"])) - start, 4), "p": round(float(s["chance"]), 5)} for s in steps]
    end = max(values[-1]["x"], 1e-3)
    highest = max([v["p"] for v in values] + ([threshold] if threshold is not None else []))
    top = round_top(highest * 1.08)
    across = alt.X("x:Q", axis=_dates(steps, start, width), scale=alt.Scale(domain=[0, end], nice=False))
    up = alt.Y("p:Q", **percent_axis("chance to win", top=top, up=True))
    chart = alt.Chart(data(values)).encode(x=across, y=up)
    layers = [
        chart.mark_line(color=PALETTE["accent"], strokeWidth=2, interpolate="step-after"),
        chart.mark_point(color=PALETTE["accent"], filled=True, size=22, opacity=1),
    ]
    if threshold is not None:
        mine = alt.Chart(data([{"x": 0, "p": threshold, "end": end, "text": f"MQL from {line(threshold)}"}]))
        rule = mine.mark_rule(color=PALETTE["warm"], strokeDash=[5, 4], strokeWidth=1.6)
        text = mine.mark_text(color=PALETTE["warm"], align="left", dx=4, dy=-7)
        layers += [rule.encode(x=across, x2="end:Q", y=up), text.encode(x=across, y=up, text="text:N")]
    return layered(*layers, width=width, height=240)


def _dates(steps: Sequence[Row], start: float, width: int) -> alt.Axis:
    """Days at equal distances, named; whole days so that each label says what it stands at."""
    end = _days(str(steps[-1]["at"])) - start
    many = min(_MOST_LABELS if width > 500 else 3, max(int(end), 1))
    places = sorted({round(k * end / many) for k in range(many + 1)})
    moment = datetime.fromisoformat(str(steps[0]["at"]))
    labels = {place: short_day(_later(moment, place)) for place in places}
    return labelled_axis(labels, None)


def _later(moment: datetime, days: int) -> str:
    return (moment + timedelta(days=days)).date().isoformat()


def _days(at: str) -> float:
    return datetime.fromisoformat(at).timestamp() / _DAY_SECONDS
