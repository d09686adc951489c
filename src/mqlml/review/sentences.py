"""Reasons as sentences: the lead's own numbers, in words that sales and marketing use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.errors import shown
from mqlml.review.reasons import NOT_SUPPLIED
from mqlml.tape.features import ANY_ACTIVITY, LEAD_AGE

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.review.reasons import Explanation
    from mqlml.tape.features import Feature, FeatureSet

__all__ = ["FactWriter", "top_reasons"]

Floats = npt.NDArray[np.float64]

# Weaker than this a criterion moves a chance of 50 % by less than half a point: not worth a reader's time.
_WORTH_SAYING = 0.02
_BARE_UNITS = frozenset({"as recorded", "ratio", "share"})


class FactWriter:
    """Writes what is true of a lead about one criterion.

    Parameters
    ----------
    features : FeatureSet
    table : pa.Table
        Features of the leads.
    labels : mapping of str to str, optional
        What people call a criterion instead of its name.
    """

    def __init__(self, features: FeatureSet, table: pa.Table, labels: Mapping[str, str] | None = None) -> None:
        self._features = features
        self._labels = labels or {}
        self._table = table
        self._columns: dict[str, Any] = {}
        self._attributes = {f.criterion: f for f in features.attribute_features}
        self._counted = {ANY_ACTIVITY, *features.named_types} if {"count", "recency"} <= set(features.families) else ()
        self._of: dict[str, list[Feature]] = {}
        for feature in features.features:
            self._of.setdefault(feature.criterion, []).append(feature)

    def fact(self, criterion: str, row: int) -> str:
        """The lead's own numbers for ``criterion``, as a clause."""
        if criterion == NOT_SUPPLIED:
            return self._missing(row)
        if criterion in self._attributes:
            value = self._value(f"lead.{criterion}", row)
            return f"{self._named(criterion)}: {_plain(value)}"
        if criterion == LEAD_AGE:
            return f"{_days(self._value('time.age_days', row))} since the lead was created"
        return self._activity(criterion, row) if criterion in self._counted else self._telling(criterion, row)

    def recency(self, criterion: str, row: int) -> float:
        """Days since the lead last did it; infinite where it never did, or the criterion is not an action."""
        if criterion in self._attributes:
            return float("inf")
        days = [float(self._value(f.name, row)) for f in self._of.get(criterion, ()) if f.since]
        return min((d for d in days if np.isfinite(d)), default=float("inf"))

    def _activity(self, criterion: str, row: int) -> str:
        kind = "any" if criterion == ANY_ACTIVITY else criterion
        what = "event" if criterion == ANY_ACTIVITY else f"'{self._named(criterion)}'"
        for window in self._features.windows_days:
            count = self._value(f"events.{kind}.count_{window}d", row)
            if count > 0:
                plural = "" if count == 1 else "s"
                many = f"{count:,.0f} event{plural}" if what == "event" else f"{count:,.0f} × {what}"
                return f"{many} in the last {'day' if window == 1 else _days(window)}"
        last = self._value(f"events.{kind}.days_since_last", row)
        if not np.isfinite(last):
            return "no activity so far" if criterion == ANY_ACTIVITY else f"no {what} so far"
        return f"last {what} {_days(last)} ago"

    def _telling(self, criterion: str, row: int) -> str:
        """The first measure of a criterion that says more than "nothing"."""
        for feature in self._of.get(criterion, ()):
            value = self._value(feature.name, row)
            if not _absent(value) and value != 0:
                return f"{self._named(criterion)}: {_measured(feature, value)}"
        return f"{self._named(criterion)}: nothing so far"

    def _missing(self, row: int) -> str:
        names = [name for name in self._attributes if _absent(self._value(f"lead.{name}", row))]
        listed = ", ".join(self._named(name) for name in names[:3]) + (" …" if len(names) > 3 else "")
        return f"not supplied: {listed}"

    def _named(self, criterion: str) -> str:
        return shown(self._labels.get(criterion, criterion))

    def _value(self, name: str, row: int) -> Any:
        if name not in self._columns:
            column = self._table[name]
            self._columns[name] = column.to_numpy() if _is_number(column) else column.to_pylist()
        return self._columns[name][row]


def top_reasons(explanation: Explanation, facts: FactWriter, *, many: int = 3) -> list[list[str]]:
    """The strongest reasons of each lead as sentences, recent actions first.

    A lead above the base is told what speaks for it, a lead below what speaks against it; the other direction fills up.

    Returns
    -------
    list of list of str
        ``many`` sentences a lead, fewer only where nothing else moves its chance.
    """
    parts = explanation.parts
    side = np.where(parts.sum(axis=1) >= 0, 1.0, -1.0)
    order = np.argsort(-parts * side[:, None], axis=1, kind="stable")
    other = np.argsort(parts * side[:, None], axis=1, kind="stable")
    return [
        _lead_reasons(explanation, facts, row, side[row], order[row], other[row], many) for row in range(len(parts))
    ]


def _lead_reasons(
    explanation: Explanation,
    facts: FactWriter,
    row: int,
    side: float,
    order: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    many: int,
) -> list[str]:
    values = explanation.parts[row]
    chosen = [j for j in order[:many] if values[j] * side > _WORTH_SAYING]
    chosen += [j for j in other[: many - len(chosen)] if values[j] * side < -_WORTH_SAYING]
    chosen = chosen or [int(order[0])]
    chosen.sort(key=lambda j: (values[j] * side < 0, facts.recency(explanation.names[j], row)))
    return [_sentence(facts.fact(explanation.names[j], row), values[j]) for j in chosen]


def _sentence(fact: str, value: float) -> str:
    return f"{fact} ({'raises' if value >= 0 else 'lowers'} the chance)"


def _is_number(column: pa.ChunkedArray) -> bool:
    return str(column.type) == "double"


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _measured(feature: Feature, value: Any) -> str:
    if feature.since:
        return f"{_days(value)} ago"
    if feature.kind == "category" or feature.unit in _BARE_UNITS:
        return _plain(value)
    window = feature.window_days
    when = "" if window is None else f" in the last {'day' if window == 1 else _days(window)}"
    return f"{value:,.3g} {feature.unit if value != 1 else feature.unit.removesuffix('s')}{when}"


def _plain(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else shown(value)


def _days(days: float) -> str:
    whole = int(days)
    return "less than a day" if whole < 1 else "1 day" if whole == 1 else f"{whole:,} days"
