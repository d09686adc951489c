"""Whether a criterion told winners apart in every period of the history, not only in all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.errors import shown
from mqlml.learning.resampling import binomial_interval

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.labels import Rows
    from mqlml.tape.features import Feature

__all__ = ["periods_of", "split"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]

_MOST_PERIODS = 6
_LEAST_PERIODS = 3
_WINS_A_PERIOD = 20
# Fewer leads on one side of the split say nothing of a period; fewer in all could point to a person.
_LEAST_LEADS = 10
_LEAST_IN_ALL = 20
_NAMED_LEVELS = 3
_UNITS = frozenset({"days", "minutes"})


def split(feature: Feature, table: pa.Table, rows: Rows) -> dict[str, Any] | None:
    """Compare leads that have a criterion with those that have not, in all and period by period.

    An event counts as had where it happened at all, a number from its middle value on, days since something up to
    theirs. Of a category those levels are had that won more often than the average; in each period they are those of
    the other periods, so that a period is not compared with itself.

    Parameters
    ----------
    feature : Feature
        The one that tells most of the criterion.
    table : pa.Table
        Features of ``rows``.
    rows : Rows

    Returns
    -------
    dict or None
        ``having`` in words, ``share`` of the snapshots (0..1), ``with`` and ``without`` (``value``, ``low``, ``high``,
        ``leads``), ``periods`` (None where the history is too short to be cut) and in how many the difference has the
        sign that it has in all, ``held``. None where one side has fewer than 20 leads.
    """
    period = periods_of(rows)
    if feature.kind == "category":
        texts = np.asarray(table[feature.name].cast("string").to_pylist(), dtype=object)
        chosen = _levels_above(texts, rows.won, rows.lead, np.ones(len(texts), dtype=bool))
        had, words = np.isin(texts.astype(str), chosen), _either(chosen)
    else:
        texts = None
        had, words = _numbers_had(feature, table[feature.name].to_numpy())
    sides = {"with": _rate(rows, had), "without": _rate(rows, ~had)}
    if min(side["leads"] for side in sides.values()) < _LEAST_IN_ALL:
        return None
    gap = sides["with"]["value"] - sides["without"]["value"]
    found = [] if period is None else _held(rows, period, had, texts, positive=gap >= 0)
    counted = {"periods": len(found) or None, "held": sum(found) if found else None}
    return {"having": words, "share": float(had.mean()), **sides, **counted}


def periods_of(rows: Rows) -> Integers | None:
    """Number of the period that each row is in, shape (rows,); None without dates or with too few wins.

    Periods follow one another, each with about as many won snapshots: three to six, at least 20 won leads for each.
    """
    wins = rows.winning_leads()
    many = min(wins // _WINS_A_PERIOD, _MOST_PERIODS)
    if rows.timing not in {"horizon", "final"} or many < _LEAST_PERIODS:
        return None
    edges = np.unique(np.quantile(rows.when[rows.won > 0], np.linspace(0, 1, many + 1)[1:-1]))
    return np.searchsorted(edges, rows.when, side="right").astype(np.int64)


def _held(rows: Rows, period: Integers, had: Flags, texts: Texts | None, *, positive: bool) -> list[bool]:
    """For each period that can be judged, whether the difference has the wanted sign."""
    found = []
    for k in np.unique(period):
        inside = period == k
        if texts is not None:
            had = np.isin(texts.astype(str), _levels_above(texts, rows.won, rows.lead, ~inside))
        sides = [_rate(rows, inside & had), _rate(rows, inside & ~had)]
        if min(side["leads"] for side in sides) < _LEAST_LEADS:
            continue
        gap = sides[0]["value"] - sides[1]["value"]
        found.append(bool(gap > 0 if positive else gap < 0))
    return found


def _numbers_had(feature: Feature, values: Floats) -> tuple[Flags, str]:
    present = values[~np.isnan(values)]
    middle = float(np.median(present)) if len(present) else 0.0
    with np.errstate(invalid="ignore"):
        if feature.since:
            return values <= middle, f"at most {_number(middle)} days ago"
        done = values > 0
        if feature.group == "engagement" and 0 < done.sum() < len(done):
            return done, "any of it"
        unit = f" {feature.unit}" if feature.unit in _UNITS else ""
        return values >= middle, f"at least {_number(middle)}{unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _levels_above(texts: Texts, won: Floats, lead: Integers, inside: Flags) -> list[str]:
    """Levels of at least 20 leads that won more often than all rows of ``inside``, the best first."""
    base = float(won[inside].mean()) if inside.any() else 0.0
    there = inside & (texts != None)  # noqa: E711 - element-wise
    found = []
    for level in sorted(set(texts[there].tolist())):
        mine = there & (texts == level)
        rate = float(won[mine].mean())
        if rate > base and len(np.unique(lead[mine])) >= _LEAST_IN_ALL:
            found.append((-rate, str(level)))
    return [level for _, level in sorted(found)]


def _either(levels: list[str]) -> str:
    named = [shown(level) for level in levels[:_NAMED_LEVELS]]
    more = len(levels) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _rate(rows: Rows, inside: Flags) -> dict[str, Any]:
    leads = len(np.unique(rows.lead[inside]))
    if not leads:
        return {"value": 0.0, "low": None, "high": None, "leads": 0}
    rate = float(rows.won[inside].mean())
    low, high = binomial_interval(rate * leads, leads)
    return {"value": rate, "low": low, "high": high, "leads": leads}
