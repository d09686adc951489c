"""The report as one HTML file: one script of its own, no request, nothing from the data but text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import ChainableUndefined, Environment, PackageLoader
from markupsafe import Markup

from mqlml.review.changes import CHANGES
from mqlml.review.criteria import DECISIONS, needs_review
from mqlml.review.report import words
from mqlml.review.report.charts import all_figures
from mqlml.review.report.converts_charts import AGAINST, RATES
from mqlml.review.report.definition import SIGNERS, STEPS, headline, qualities
from mqlml.review.report.driver_charts import DIRECTIONS, MARKS, SHAPED

if TYPE_CHECKING:
    from mqlml.review.report.figure import Figure

_STYLES = ("colours.css", "page.css", "parts.css", "print.css")
_VERDICTS = {
    "ready": ("good", "Ready to use"),
    "too thin": ("poor", "Too little history to be sure"),
    "no signal": ("poor", "No signal found"),
    "not better": ("poor", "Not better than your present rule"),
}
_LEVELS = {"block": "Stops the training", "ask": "Please check", "note": "Good to know"}
_TIERS = {"hot": "Hot", "mql": "MQL", "nurture": "Nurture", "cold": "Cold"}
_CHANGED = {"capacity_per_week": "Capacity", "cost": "Cost", "value": "Value"}
_MOST_ROWS = 200


def render_report(summary: Mapping[str, Any], charts: Mapping[str, Figure] | None = None) -> str:
    """Write the report.

    Parameters
    ----------
    summary : mapping
        The training's summary as plain JSON; rates are 0..1. Every key but ``title`` and ``model_version`` may be
        absent or null and is then shown as "not measured".
    charts : mapping of str to Figure, optional
        Those of this summary, where they are needed elsewhere too.

    Returns
    -------
    str
        One HTML document that needs nothing else. The same summary gives the same text.
    """
    tidy = words.tidy(summary)
    # A decision names its criterion exactly, however long or strange the name is.
    exact = [json.dumps(str(driver.get("criterion", ""))) for driver in summary.get("drivers") or []]
    return fill_page("report.html.j2", script="report.js", s=tidy, exact=exact, **_view(tidy, charts))


def fill_page(template: str, *, script: str | None = None, **values: Any) -> str:
    """Fill a template of a whole page with the one style of all pages and, where it has one, a script of its own.

    Parameters
    ----------
    template : str
        File in the folder of templates; it is given ``style``, ``style_hash``, ``script`` and ``script_hash``.
    script : str, optional
        File in that folder.
    **values
        What else the template shows; everything but markup of our own is escaped.
    """
    style = "".join(_template_file(name) for name in _STYLES)
    own: dict[str, Any] = {"style": Markup(style), "style_hash": _digest(style)}  # noqa: S704 - own files
    if script is not None:
        text = _template_file(script)
        own |= {"script": Markup(text), "script_hash": _digest(text)}  # noqa: S704 - own files
    return _environment().get_template(template).render(**own, **values)


def drawn(figure: Figure) -> tuple[Figure, list[Markup]]:
    """A chart with its drawings as markup, as the macros show it."""
    return figure, [Markup(svg) for svg in figure.svg]  # noqa: S704 - cleaned by svg.themed


def _digest(text: str) -> str:
    """What the page's policy knows its own style or script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _view(summary: Mapping[str, Any], charts: Mapping[str, Figure] | None) -> dict[str, Any]:
    verdict = words.part(summary, "verdict")
    figures = all_figures(summary) if charts is None else charts
    return {
        "figures": {name: drawn(figure) for name, figure in figures.items()},
        "verdict_tone": _VERDICTS.get(str(verdict.get("code")), ("unknown", "Not judged"))[0],
        "verdict_name": _VERDICTS.get(str(verdict.get("code")), ("unknown", "Not judged"))[1],
        "headline": headline(summary),
        "reviewed": words.reviewed(summary.get("review")),
        "qualities": qualities(summary),
        "signers": SIGNERS,
        "steps": STEPS,
        "changes": CHANGES,
        "looks": [
            (
                words.shorten(r.get("part") or "", 40),
                words.shorten(r.get("use") or "", 120),
                words.count(r.get("snapshots")),
                words.count(r.get("wins")),
            )
            for r in words.rows(words.part(summary, "evaluation"), "looks")[:_MOST_ROWS]
        ],
        "levels": _LEVELS,
        "against": AGAINST,
        "rate_charts": {f"converts-{key.replace('_', '-')}": one for key, (one, _) in RATES.items()},
        "changed": _CHANGED,
        "tiers": _TIERS,
        "directions": DIRECTIONS,
        "marks": MARKS,
        "shaped": SHAPED,
        "most_rows": _MOST_ROWS,
        "to_review": _to_review(summary),
        "decisions": DECISIONS,
    }


def _to_review(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """What the summary asks people to decide on; without a word of it everything that carries the weight."""
    if isinstance(summary.get("to_review"), list):
        return tuple(map(str, summary["to_review"]))
    return needs_review([d for d in words.rows(summary, "drivers") if words.number(d, "importance") is not None])


@cache
def _environment() -> Environment:
    """The template engine: everything escaped, what is absent said as "not measured"."""
    made = Environment(
        loader=PackageLoader("mqlml.review.report", "templates"),
        autoescape=True,
        undefined=_Missing,
    )
    made.filters.update(
        percent=_known(words.percent), line=_known(words.line), count=_known(words.count), day=_known(words.day),
        decimal=_known(words.decimal), sentence=_known(words.sentence), short=words.shorten,
        measure=_known(words.measure), plain=words.plain,
    )  # fmt: skip
    made.globals["between"] = _known(words.between)
    return made


class _Missing(ChainableUndefined):
    """A part of the summary that is absent: false, empty, and "not measured" once formatted."""


def _known(write: Any) -> Any:
    def written(*values: Any, **options: Any) -> str:
        found = (None if isinstance(value, _Missing) else value for value in values)
        return str(write(*found, **options))

    return written


def _template_file(name: str) -> str:
    """One of the package's own templates or styles."""
    return (resources.files("mqlml.review.report") / "templates" / name).read_text(encoding="utf-8")
