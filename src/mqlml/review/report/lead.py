"""One lead's card as one HTML file: no script, no request, nothing of any other lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mqlml.review.report import words
from mqlml.review.report.lead_chart import timeline
from mqlml.review.report.render import drawn, fill_page

__all__ = ["points", "render_lead"]

_TIERS = {
    "hot": "Hot: call today",
    "mql": "MQL: hand to sales",
    "nurture": "Nurture: keep in touch",
    "cold": "Cold: leave to campaigns",
}
_MOST_REASONS = 8
# Moves the chance by less than half a point.
_LEAST_POINTS = 0.005


def render_lead(story: Mapping[str, Any]) -> str:
    """Write the card of a lead.

    Parameters
    ----------
    story : mapping
        As `mqlml.workflows.explaining.explain` gives it; chances are 0..1.

    Returns
    -------
    str
        One HTML document that needs nothing else. The same story gives the same text.
    """
    tidy = words.tidy(_plain(story))
    chart = timeline(tidy)
    reasons = [r for r in words.rows(tidy, "criteria") if r.get("supplied")]
    strong = [r for r in reasons if abs(words.number(r, "points") or 0.0) >= _LEAST_POINTS]
    overall = words.number(tidy, "overall")
    return fill_page(
        "lead.html.j2",
        s=tidy,
        chart=None if chart is None else drawn(chart),
        raising=[_reason(r, overall) for r in strong if r["contribution"] > 0][:_MOST_REASONS],
        lowering=[_reason(r, overall) for r in strong if r["contribution"] < 0][:_MOST_REASONS],
        every=[_row(r) for r in words.rows(tidy, "criteria")],
        tier=_TIERS.get(str(words.part(tidy, "score").get("tier"))),
        steps=[_step(step) for step in reversed(words.rows(tidy, "timeline"))],
        theme_rows=[[t["theme"], f"{t['contribution']:+.3f}".replace("-", "−")] for t in words.rows(tidy, "themes")],
        reviewed=words.reviewed(tidy.get("review")),
        points=points,
    )


def points(change: Any) -> str:
    r"""Write a change of a chance (-1..1) in percentage points.

    Examples
    --------
    >>> points(0.123), points(-0.004), points(None)
    ('+12\xa0points', '−0.4\xa0points', '')
    """
    if not isinstance(change, int | float):
        return ""
    size = abs(100 * change)
    if size < 0.05:
        return "no change"
    return f"{'+' if change > 0 else '−'}{size:.{0 if size >= 9.95 else 1}f}{words.SPACE}points"


def _plain(value: Any) -> Any:
    """Plain JSON: moments as text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _reason(reason: Mapping[str, Any], overall: float | None) -> dict[str, Any]:
    """A reason with its comparison, where that goes the same way; the table of all has the others."""
    rate, beside = words.number(words.part(reason, "compared"), "win_rate"), ""
    if rate is not None and overall is not None and (rate - overall) * reason["contribution"] > 0:
        beside = f"{words.percent(rate)} of such leads won, {words.percent(overall)} of all."
    return {**reason, "size": points(reason.get("points")), "beside": beside}


def _row(reason: Mapping[str, Any]) -> list[str]:
    compared = words.part(reason, "compared")
    rate = words.number(compared, "win_rate")
    return [
        words.shorten(reason.get("fact") or "", 200),
        str(reason.get("theme") or "–"),
        f"{reason['contribution']:+.3f}".replace("-", "−"),
        points(reason.get("points")),
        "–" if rate is None else words.percent(rate),
        "–" if rate is None else f"{words.count(compared.get('leads'))} ({words.shorten(compared.get('values'), 40)})",
    ]


def _step(step: Mapping[str, Any]) -> list[str]:
    state = step.get("state")
    chance = words.number(step, "chance")
    beside = "" if state in (None, "candidate") else f" ({state})"
    return [
        words.day(step.get("at")),
        words.shorten(step.get("what") or "", 160),
        ("–" if chance is None else words.percent(chance)) + beside,
        points(step.get("change")) or "–",
    ]
