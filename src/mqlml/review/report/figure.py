"""What every chart of the report is: a message, a sentence, a table of its numbers, and a drawing of any width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from mqlml.review.report.svg import PALETTE, standing_alone, themed

WIDE, NARROW = 832, 340
SMALL_PRINT = 12
_CONFIG: dict[str, Any] = {
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": PALETTE["soft"],
        "titleColor": PALETTE["soft"],
        "labelFontSize": SMALL_PRINT,
        "titleFontSize": SMALL_PRINT,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "labelPadding": 6,
        "gridColor": PALETTE["grid"],
        "domain": False,
        "ticks": False,
    },
    "text": {"color": PALETTE["ink"], "fontSize": SMALL_PRINT},
    "title": {"color": PALETTE["ink"], "subtitleColor": PALETTE["soft"], "anchor": "start", "offset": 14},
}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One chart of the report.

    Parameters
    ----------
    name : str
        File stem and prefix of the ids in the page.
    title : str
        The chart's message.
    sentence : str
        What it means, in one plain sentence.
    alt : str
        The form of the drawing and its axes, for those who cannot see it.
    columns : sequence of str
        Heads of the table of numbers.
    rows : sequence of sequences of str
        The numbers drawn, as written.
    draw : callable
        Gives the Vega-Lite specification for a width in pixels.
    widths : sequence of int
        One width, or a wide and a narrow one that the page chooses from.
    """

    name: str
    title: str
    sentence: str
    alt: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    draw: Callable[[int], Spec]
    widths: Sequence[int] = (WIDE, NARROW)

    def spec(self, width: int) -> Spec:
        """Return the Vega-Lite specification for a width, unchecked: the tests check it, readers wait for it."""
        with debug_mode(arg=False):
            return self.draw(width)

    @cached_property
    def svg(self) -> list[str]:
        """Drawings as inline SVG, one a width."""
        kinds = ("only",) if len(self.widths) == 1 else ("wide", "narrow")
        said = f"{self.title}. {self.alt}"
        return [
            themed(_drawn(self.spec(width)), name=f"{self.name}-{kind}", kind=kind, alt=said)
            for kind, width in zip(kinds, self.widths, strict=True)
        ]

    def picture(self) -> str:
        """The widest drawing as an SVG that stands alone: message and sentence above the chart."""
        return standing_alone(self.svg[0], title=self.title, sentence=self.sentence)


def _drawn(spec: Spec) -> str:
    drawn: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return drawn


def layered(*layers: alt.Chart, width: int, height: int) -> Spec:
    """Lay charts over each other in the report's look; `width` and `height` include the axes."""
    chart = alt.layer(*layers).properties(
        width=width, height=height, autosize=alt.AutoSizeParams(type="fit", contains="padding")
    )
    spec: Spec = chart.to_dict(validate=False)
    return {
        **spec,
        "config": _CONFIG,
        "background": "transparent",
        "padding": {"top": 6, "bottom": 2, "left": 0, "right": 4},
    }


def data(values: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """Carry rows inside the specification."""
    return alt.InlineData(values=[dict(row) for row in values])


def upright(title: str | None, **options: Any) -> alt.Axis:
    """Vertical axis whose title lies flat above it, where it is read first."""
    return alt.Axis(
        title=title,
        titleAngle=0,
        titleAlign="left",
        titleBaseline="bottom",
        titleX=-38,
        titleY=-10,
        tickCount=4,
        **options,
    )


def percent_axis(
    title: str | None, *, top: float, count: int = 5, grid: bool = True, up: bool = False
) -> dict[str, Any]:
    """Axis of shares from nothing to `top`, labelled in percent."""
    decimals = 0 if top / count >= 0.0095 else 1
    label = f"format(datum.value * 100, '.{decimals}f') + '\u00a0%'"
    if up:
        axis = upright(title, labelExpr=label, grid=grid)
    else:
        axis = alt.Axis(title=title, labelExpr=label, tickCount=count, grid=grid, labelPadding=9, labelFlush=False)
    return {"axis": axis, "scale": alt.Scale(domain=[0, top], nice=False)}


def labelled_axis(labels: Mapping[int, str], title: str | None, *, grid: bool = False) -> alt.Axis:
    """Axis that names only the given places; dates stay text, so that no time zone can move them."""
    said = _lookup({str(place): label for place, label in labels.items()})
    return alt.Axis(
        title=title, values=list(labels), labelExpr=said, grid=grid, labelPadding=9, labelOverlap=True, labelFlush=True
    )


def named_rows(values: Sequence[Mapping[str, Any]]) -> alt.Y:
    """Rows placed by their number `k` and labelled with `name`: names alike once shortened keep rows of their own."""
    said = _lookup({str(row["k"]): row["name"] for row in values})
    axis = alt.Axis(title=None, labelExpr=said, labelColor=PALETTE["ink"], labelLimit=260)
    return alt.Y("k:O", axis=axis)


def _lookup(labels: Mapping[str, str]) -> str:
    said = ", ".join(f"'{key}': '{_escaped(label)}'" for key, label in labels.items())
    return f"({{{said}}})[datum.value]"


def _escaped(text: str) -> str:
    # Every character as an escape: nothing in a label can end the string and become an expression.
    units = text.encode("utf-16-be", "replace")
    return "".join(f"\\u{units[k]:02x}{units[k + 1]:02x}" for k in range(0, len(units), 2))


def round_top(largest: float) -> float:
    """Return the smallest round share that holds `largest` (0..1)."""
    steps = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8)
    return next((step for step in steps if step >= largest), 1.0)
