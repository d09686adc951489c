"""The chart that says from which cost on the rule is worth its leads: net benefit against everybody and nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from mqlml.review.report.figure import Figure, Spec, data, layered, percent_axis, upright
from mqlml.review.report.svg import PALETTE
from mqlml.review.report.words import count, line, number, part, rows

__all__ = ["benefit"]

Row = Mapping[str, Any]
_MOST_ROWS = 12


def benefit(summary: Mapping[str, Any]) -> Figure | None:
    """Draw the net benefit of handing over by chance, beside handing over everybody."""
    decision = part(summary, "decision")
    curve = [r for r in rows(decision, "net_benefit") if None not in (number(r, "model"), number(r, "all"))]
    curve = [r for r in curve if number(r, "threshold") is not None]
    if len(curve) < 3:
        return None
    step = -(-len(curve) // _MOST_ROWS)
    return Figure(
        name="benefit",
        title=_title(curve, number(decision, "threshold")),
        sentence="Across: the chance from which a lead pays, that is its cost divided by the value of a win. Up: wins "
        "caught, less what leads in vain cost, counted in wins. Solid: by chance; dashed: everybody; nobody is zero.",
        alt="Line chart. Across: the chance from which a lead pays; up: net wins for 100 leads. A solid line for the "
        "model, a dashed one for handing over everybody.",
        columns=("A lead pays from", "By the model", "Everybody"),
        rows=[(line(r["threshold"]), _wins(r["model"]), _wins(r["all"])) for r in curve[::step]],
        draw=lambda width: _spec(curve, number(decision, "threshold"), width),
    )


def _title(curve: Sequence[Row], threshold: float | None) -> str:
    near = curve if threshold is None else [min(curve, key=lambda r: abs(r["threshold"] - threshold))]
    better = [r for r in near if r["model"] > max(r["all"], 0)]
    if threshold is None or not better:
        return "What handing over by chance is worth, by what a lead costs"
    here = better[0]
    said = f"For 100 leads the rule is worth {_wins(here['model'])} wins, all costs taken off"
    return f"{said}; calling everybody is worth {'less' if here['all'] >= 0 else 'less than nothing'}"


def _wins(amount: float) -> str:
    return "0" if abs(amount) < 0.05 else f"{amount:.1f}".replace("-", "−") if abs(amount) < 10 else count(amount)


def _spec(curve: Sequence[Row], threshold: float | None, width: int) -> Spec:
    top = max(r["threshold"] for r in curve)
    best = max(0.1, *(r["model"] for r in curve), curve[0]["all"])
    across = alt.X("threshold:Q", **percent_axis("chance from which a lead pays", top=top, grid=False))
    up = alt.Y(
        "net:Q", axis=upright("net wins for 100 leads"), scale=alt.Scale(domain=[-0.25 * best, best], nice=False)
    )
    layers = []
    for key, colour, dash in (("all", PALETTE["axis"], [5, 4]), ("model", PALETTE["accent"], [1, 0])):
        # What falls far below nothing is cut off: it would flatten all that matters.
        drawn = [{"threshold": r["threshold"], "net": r[key]} for r in curve if r[key] >= -0.25 * best]
        mark = alt.Chart(data(drawn)).mark_line(color=colour, strokeWidth=2.4, strokeDash=dash)
        layers.append(mark.encode(x=across, y=up))
    layers.append(alt.Chart(data([{"net": 0}])).mark_rule(color=PALETTE["ink"], strokeWidth=1.2).encode(y=up))
    if threshold is not None and threshold <= top:
        rule = alt.Chart(data([{"threshold": threshold}])).mark_rule(color=PALETTE["ink"], strokeDash=[3, 3])
        layers.append(rule.encode(x=across))
    return layered(*layers, width=width, height=220)
