"""Reasons as sentences: the lead's own numbers, in words that sales and marketing use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mqlml.errors import shown
from mqlml.review.reasons import NOT_SUPPLIED
from mqlml.review.wording import Words
from mqlml.tape.features import ANY_ACTIVITY, LEAD_AGE
from mqlml.tape.pace import TRACKING_LEVELS, TRACKING_NAME

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.review.comparing import Compared, Comparisons
    from mqlml.review.reasons import Explanation
    from mqlml.tape.features import Feature, FeatureSet

__all__ = ["Fact", "FactWriter", "top_reasons"]

Floats = npt.NDArray[np.float64]

# Weaker than this a criterion moves a chance of 50 % by less than half a point: not worth a reader's time.
_WORTH_SAYING = 0.02
_BARE_UNITS = frozenset({"as recorded", "ratio", "share"})
_UNTRACKED = TRACKING_LEVELS[0]
_KIND = {ANY_ACTIVITY: "any"}
# Their window is a half-life.
_FADING = frozenset({"intensity", "type_intensity"})
# What is known of a lead although nobody sees what it does.
_ASIDE = frozenset({"attribute", "age", "account", "stage", "changes"})


class Fact(NamedTuple):
    """A clause with the lead's own numbers, and the feature and value that it is made of, where it is one."""

    text: str
    feature: str | None = None
    value: Any = None


class FactWriter:
    """Writes what is true of a lead about one criterion.

    Parameters
    ----------
    features : FeatureSet
    table : pa.Table
        Features of the leads.
    labels : mapping of str to str, optional
        What people call a criterion instead of its name; goes before ``words``.
    words : Words, optional
        The vocabulary.
    comparisons : Comparisons, optional
        Win rates of leads by value.
    """

    def __init__(
        self,
        features: FeatureSet,
        table: pa.Table,
        labels: Mapping[str, str] | None = None,
        *,
        words: Words | None = None,
        comparisons: Comparisons | None = None,
    ) -> None:
        self._features = features
        self._words = words or Words()
        self._labels = {**self._words.labels, **(labels or {})}
        # A kind of event that was renamed by decision is called by that name only.
        self._spoken = {name: both for name, both in self._words.events.items() if name not in (labels or {})}
        self._table = table
        self._there = frozenset(table.column_names)  # Arrow makes the names anew each time
        self._comparisons = comparisons
        self._columns: dict[str, Any] = {}
        self._attributes = {f.criterion: f for f in features.attribute_features}
        self._kept = frozenset(f.name for f in features.features)
        kinds = (ANY_ACTIVITY, *features.named_types)
        self._counted = {name for name in kinds if any(m in self._kept for m in _measures(name, features))}
        self._of: dict[str, list[Feature]] = {}
        for feature in features.features:
            self._of.setdefault(feature.criterion, []).append(feature)

    def fact(self, criterion: str, row: int) -> str:
        """The lead's own numbers for ``criterion``, as a clause."""
        return self.told(criterion, row).text

    def told(self, criterion: str, row: int) -> Fact:
        """The lead's own numbers for ``criterion``, and what they were read from."""
        if criterion == NOT_SUPPLIED:
            return Fact(self._missing(row))
        if criterion in self._attributes:
            name = f"lead.{criterion}"
            value = self._value(name, row)
            return Fact(f"{self._named(criterion)}: {_plain(value)}", name, value)
        if criterion == LEAD_AGE:
            age = self._value("time.age_days", row)
            return Fact(f"{_days(age)} since the lead was created", "time.age_days", age)
        return self._activity(criterion, row) if criterion in self._counted else self._telling(criterion, row)

    def called(self, criterion: str) -> str:
        """What people call a criterion, one of it where it is a kind of event."""
        return self._one(criterion) if criterion in self._spoken else self._named(criterion)

    def supplied(self, criterion: str, row: int) -> bool:
        """Whether anything is known of ``criterion``: of a lead that cannot be seen, silence tells nothing."""
        if criterion == NOT_SUPPLIED:
            return False
        if criterion in self._attributes:
            return not _absent(self._value(f"lead.{criterion}", row))
        seen = all(f.family in _ASIDE for f in self._of.get(criterion, ()))
        return seen or not self._untracked(row)

    def compared(self, fact: Fact) -> Compared | None:
        """How often leads were won of which the same is true; None where too few are known."""
        if self._comparisons is None or fact.feature is None:
            return None
        return self._comparisons.of(fact.feature, fact.value)

    def sentence(self, criterion: str, row: int, value: float) -> str:
        """Fact, comparison and direction of a criterion that moves the log-odds by ``value``.

        The comparison stands there where it goes the same way: that such leads won less often does not explain why a
        chance is higher.
        """
        fact = self.told(criterion, row)
        found, overall = self.compared(fact), self._comparisons.overall if self._comparisons else 0.0
        beside = ""
        if found is not None and (found.win_rate - overall) * value > 0:
            beside = f"; {_percent(found.win_rate)} of such leads won against {_percent(overall)} overall"
        return f"{fact.text}{beside} ({'raises' if value >= 0 else 'lowers'} the chance)"

    def recency(self, criterion: str, row: int) -> float:
        """Days since the lead last did it; infinite where it never did, or the criterion is not an action."""
        if criterion in self._attributes:
            return float("inf")
        days = [float(self._value(f.name, row)) for f in self._of.get(criterion, ()) if f.since]
        return min((d for d in days if np.isfinite(d)), default=float("inf"))

    def _untracked(self, row: int) -> bool:
        if TRACKING_NAME in self._there:
            return bool(self._value(TRACKING_NAME, row) == _UNTRACKED)
        return "events.any.count_ever" in self._there and not self._value("events.any.count_ever", row)

    def _activity(self, criterion: str, row: int) -> Fact:
        """The shortest window in which something was done, else when it was last done, as far as features tell."""
        kind = _KIND.get(criterion, criterion)
        windows = [days for days in self._features.windows_days if f"events.{kind}.count_{days}d" in self._kept]
        for days in windows:
            name = f"events.{kind}.count_{days}d"
            count = self._value(name, row)
            if count > 0:
                return Fact(f"{self._times(criterion, count)} in the last {_window(days)}", name, count)
        last, ever = f"events.{kind}.days_since_last", f"events.{kind}.count_ever"
        if last in self._kept:
            value = self._value(last, row)
            seen = f"last {self._one(criterion)} {_days(value)} ago" if np.isfinite(value) else None
            return Fact(seen or f"{self._none(criterion)} so far", last, value)
        if ever in self._kept:
            count = self._value(ever, row)
            return Fact(f"{self._times(criterion, count) if count > 0 else self._none(criterion)} so far", ever, count)
        longest = windows[-1]
        return Fact(f"{self._none(criterion)} in the last {_window(longest)}", f"events.{kind}.count_{longest}d", 0.0)

    def _times(self, criterion: str, count: float) -> str:
        if criterion == ANY_ACTIVITY:
            return f"{count:,.0f} event{'' if count == 1 else 's'}"
        if criterion in self._spoken:
            return f"{count:,.0f} {self._one(criterion) if count == 1 else self._several(criterion)}"
        return f"{count:,.0f} × '{self._named(criterion)}'"

    def _one(self, criterion: str) -> str:
        if criterion == ANY_ACTIVITY:
            return "event"
        return shown(self._spoken[criterion][0]) if criterion in self._spoken else f"'{self._named(criterion)}'"

    def _several(self, criterion: str) -> str:
        return shown(self._spoken[criterion][1]) if criterion in self._spoken else f"'{self._named(criterion)}'"

    def _none(self, criterion: str) -> str:
        return "no activity" if criterion == ANY_ACTIVITY else f"no {self._several(criterion)}"

    def _telling(self, criterion: str, row: int) -> Fact:
        """The first measure of a criterion that says more than "nothing"."""
        found = self._of.get(criterion, ())
        for feature in found:
            value = self._value(feature.name, row)
            if not _absent(value) and value != 0:
                return Fact(self._measured(feature, value), feature.name, value)
        counted = next((f for f in reversed(found) if f.unit == "events" and f.kind == "number"), None)
        name = None if counted is None else counted.name
        return Fact(f"{self._named(criterion)}: nothing {_looked_back(found)}", name, 0.0)

    def _measured(self, feature: Feature, value: Any) -> str:
        name = self._named(feature.criterion)
        if feature.family != "asset_counts":
            return f"{name}: {_measured(feature, value)}"
        if feature.since:
            return f"last visit to {name} {_days(value)} ago"
        return f"{value:,.0f} visit{'' if value == 1 else 's'} to {name}{_when(feature)}"

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
    What was not supplied is no reason.

    Returns
    -------
    list of list of str
        ``many`` sentences a lead, fewer only where nothing else moves its chance.
    """
    parts = explanation.parts
    side = np.where(parts.sum(axis=1) >= 0, 1.0, -1.0)
    order = np.argsort(-parts * side[:, None], axis=1, kind="stable")
    return [_lead_reasons(explanation, facts, row, side[row], order[row], many) for row in range(len(parts))]


def _lead_reasons(
    explanation: Explanation,
    facts: FactWriter,
    row: int,
    side: float,
    order: npt.NDArray[np.int64],
    many: int,
) -> list[str]:
    values, names = explanation.parts[row], explanation.names
    chosen = _first(order, lambda j: values[j] * side > _WORTH_SAYING and facts.supplied(names[j], row), many)
    less = many - len(chosen)
    chosen += _first(order[::-1], lambda j: values[j] * side < -_WORTH_SAYING and facts.supplied(names[j], row), less)
    chosen = chosen or _first(order, lambda j: facts.supplied(names[j], row), 1)
    chosen.sort(key=lambda j: (values[j] * side < 0, facts.recency(names[j], row)))
    return [facts.sentence(names[j], row, values[j]) for j in chosen]


def _first(order: npt.NDArray[np.int64], wanted: Callable[[int], bool], many: int) -> list[int]:
    return list(islice((int(j) for j in order if wanted(int(j))), many))


def _measures(criterion: str, features: FeatureSet) -> Iterator[str]:
    """Names of the features that say in whole numbers how often, or when last, something was done."""
    kind = _KIND.get(criterion, criterion)
    yield from (f"events.{kind}.count_{days}d" for days in features.windows_days)
    yield from (f"events.{kind}.count_ever", f"events.{kind}.days_since_last")


def _looked_back(features: Sequence[Feature]) -> str:
    """As far as these features see: what fades counts for ever."""
    spans = [None if f.family in _FADING else f.window_days for f in features]
    days = [span for span in spans if span is not None]
    return f"in the last {_window(max(days))}" if days and len(days) == len(spans) else "so far"


def _is_number(column: pa.ChunkedArray) -> bool:
    return str(column.type) == "double"


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _measured(feature: Feature, value: Any) -> str:
    if feature.since:
        return f"{_days(value)} ago"
    if feature.kind == "category" or feature.unit in _BARE_UNITS:
        return _plain(value)
    said = f"{value:,.3g}"
    several, *rest = feature.unit.split(" ", 1)  # "events a day", "pages"
    return f"{said} {' '.join([several.removesuffix('s') if said == '1' else several, *rest])}{_when(feature)}"


def _when(feature: Feature) -> str:
    if feature.family in _FADING and feature.window_days is not None:
        return f", fading by half in {_days(feature.window_days)}"
    return "" if feature.window_days is None else f" in the last {_window(feature.window_days)}"


def _plain(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else shown(value)


def _days(days: float) -> str:
    whole = int(days)
    return "less than a day" if whole < 1 else "1 day" if whole == 1 else f"{whole:,} days"


def _window(days: int) -> str:
    return "day" if days == 1 else _days(days)


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %" if 0 < rate < 0.095 else f"{100 * rate:.0f} %"
