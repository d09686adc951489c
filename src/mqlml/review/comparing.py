"""How often leads were won that share a value with the one at hand: what a reason is compared with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.labels import Rows
    from mqlml.tape.features import Feature, FeatureSet

__all__ = ["Compared", "Comparisons", "measure_comparisons"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ROWS = 20_000
_PARTS = 4
# Fewer leads could point to a person, and say little.
_LEAST_LEADS = 30
_WHOLE = frozenset({"events", "assets", "channels", "sessions", "colleagues", "changes", "moves", "days", "minutes"})


class Compared(NamedTuple):
    """Leads with such a value: the share of them that was won (0..1), how many they are, and which values are meant."""

    win_rate: float
    leads: int
    values: str


@dataclass(frozen=True)
class Comparisons:
    """Win rates by value of each feature.

    Attributes
    ----------
    overall : float
        Win rate of all leads, 0..1.
    features : mapping of str to mapping
        By feature: ``cuts`` and, between and beside them, ``parts`` (win rate and leads; null where too few); ``zero``
        and ``never`` on their own; of a category ``levels``.
    """

    overall: float
    features: Mapping[str, Mapping[str, Any]]

    def of(self, feature: str, value: Any) -> Compared | None:
        """Leads that share ``value`` of ``feature``; None where there were too few, or where it was not supplied."""
        found = self.features.get(feature)
        if found is None or value is None:
            return None
        if "levels" in found:
            return _compared(found["levels"].get(value), str(value))
        if np.isnan(value):
            return _compared(found["never"], "never")
        if value == 0 and found["zero"] is not None:
            return _compared(found["zero"], "none")
        place = bisect_right(found["cuts"], value)
        return _compared(found["parts"][place], _span(found["cuts"], place, whole=found["whole"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {"overall": self.overall, "features": self.features}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparisons:
        """Inverse of :meth:`to_dict`."""
        return cls(data["overall"], data["features"])


def measure_comparisons(features: FeatureSet, table: pa.Table, rows: Rows, *, used: set[str]) -> Comparisons:
    """Measure win rates by value.

    Parameters
    ----------
    features : FeatureSet
    table : pa.Table
        Features of labelled rows whose horizon is over.
    rows : Rows
        Those rows.
    used : set of str
        Features that the model looks at; those of the same criteria are measured.
    """
    if not len(rows.won):
        return Comparisons(0.0, {})
    row = np.unique(np.linspace(0, len(rows.won) - 1, min(_ROWS, len(rows.won))).astype(np.int64))
    part, won, lead = table.take(row), rows.won[row], rows.lead[row]
    criteria = {f.criterion for f in features.features if f.name in used}
    wanted = [f for f in features.features if f.criterion in criteria]
    return Comparisons(float(rows.won.mean()), {f.name: _measured(f, part[f.name], won, lead) for f in wanted})


def _measured(feature: Feature, column: pa.ChunkedArray, won: Floats, lead: Integers) -> dict[str, Any]:
    if feature.kind == "category":
        return {"levels": _levels(column, won, lead)}
    values = column.to_numpy()
    missing = np.isnan(values)
    zero = ~missing & (values == 0) & (feature.group == "engagement")
    rest = ~missing & ~zero
    whole = feature.unit in _WHOLE
    cuts = _cuts(values[rest], whole=whole)
    places = np.searchsorted(cuts, values, side="right")
    # What is missing of a property was not supplied: nothing is compared with it.
    never = None if feature.family in ("attribute", "age") else _rate(missing, won, lead)
    return {
        "cuts": cuts.tolist(),
        "whole": whole,
        "parts": [_rate(rest & (places == k), won, lead) for k in range(len(cuts) + 1)],
        "zero": _rate(zero, won, lead),
        "never": never,
    }


def _levels(column: pa.ChunkedArray, won: Floats, lead: Integers) -> dict[str, list[float]]:
    words = np.asarray(column.to_pylist(), dtype=object)
    there = sorted({word for word in words if word is not None})
    rates = {word: _rate(words == word, won, lead) for word in there}
    return {word: rate for word, rate in rates.items() if rate is not None}


def _cuts(values: Floats, *, whole: bool) -> Floats:
    """Up to three cuts into parts of about equal size; none below the least value."""
    if not len(values):
        return np.zeros(0)
    cuts = np.quantile(values, np.linspace(0, 1, _PARTS + 1)[1:-1])
    rounded = np.unique(np.ceil(cuts) if whole else np.array([float(f"{cut:.2g}") for cut in cuts]))
    above: Floats = rounded[rounded > values.min()]
    return above


def _rate(inside: npt.NDArray[np.bool_], won: Floats, lead: Integers) -> list[float] | None:
    leads = len(np.unique(lead[inside]))
    return [round(float(won[inside].mean()), 4), leads] if leads >= _LEAST_LEADS else None


def _compared(found: list[float] | None, values: str) -> Compared | None:
    return None if found is None else Compared(float(found[0]), int(found[1]), values)


def _span(cuts: list[float], place: int, *, whole: bool) -> str:
    if not cuts:
        return "any"
    if place == 0:
        return f"below {cuts[0]:,.6g}"
    if place == len(cuts):
        return f"{cuts[-1]:,.6g} or more"
    low, high = cuts[place - 1], cuts[place]
    if whole:
        return f"{low:,.6g}" if high - low == 1 else f"{low:,.6g} to {high - 1:,.6g}"
    return f"{low:,.6g} to below {high:,.6g}"
