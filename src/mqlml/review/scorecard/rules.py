"""One rule of a scorecard: a condition on one property or one kind of event, in words that such tools know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import shown

if TYPE_CHECKING:
    from mqlml.tape.features import Feature

__all__ = ["Rule", "rule_sentence", "rules_for"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Operator = Literal["at least", "at most", "is one of", "is filled in", "is empty"]

# What a tool without a tape can count: properties, events and pages in windows, sums of their values, and how long ago.
_FAMILIES = frozenset({"attribute", "age", "count", "recency", "asset_counts", "value"})
_COUNTS = (1, 2, 3, 5, 10, 20, 50, 100)
_MANY_LEVELS = 8
_CUTS = 9
# Days that people agree on; nobody signs a rule with a cut at 27 days.
_DAYS = np.array([1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 545, 730], dtype=float)


@dataclass(frozen=True)
class Rule:
    """Points for every lead of which a condition holds.

    Attributes
    ----------
    feature : str
        Name of the feature it looks at.
    subject : str
        The property, event type or page as the company names it.
    kind : {"property", "event", "page", "age"}
    group : {"fit", "engagement"}
    operator : str
    number : float or None
        For "at least" and "at most".
    levels : tuple of str
        For "is one of".
    window_days : int or None
        Days that the events of the last so many days are counted in; None for all of the past.
    since : bool
        Whether ``number`` is the days since the last such event.
    summed : bool
        Whether ``number`` is the sum of the values of such events.
    points : int
    """

    feature: str
    subject: str
    kind: Literal["property", "event", "page", "age"]
    group: Literal["fit", "engagement"]
    operator: Operator
    number: float | None = None
    levels: tuple[str, ...] = ()
    window_days: int | None = None
    since: bool = False
    points: int = 0
    summed: bool = False

    def holds(self, table: pa.Table) -> Flags:
        """Of which leads the condition holds, shape (rows,); never of one whose value is missing."""
        column = table[self.feature]
        if self.operator in ("is filled in", "is empty"):
            empty = _missing(column)
            return empty if self.operator == "is empty" else ~empty
        if self.operator == "is one of":
            inside = pc.is_in(column.cast(pa.string()), pa.array(self.levels, pa.string()))
            return np.asarray(inside.to_numpy(), dtype=bool)
        values = column.to_numpy()
        with np.errstate(invalid="ignore"):
            return np.asarray(values >= self.number if self.operator == "at least" else values <= self.number)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the rule in words."""
        return {**asdict(self), "levels": list(self.levels), "text": rule_sentence(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rule:
        """Inverse of :meth:`to_dict`; other keys are left aside."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "levels": tuple(known.get("levels", ()))})


def rule_sentence(rule: Rule) -> str:
    """The condition in plain words."""
    what = shown(rule.subject)
    if rule.operator == "is one of":
        return f"{what} is {' or '.join(shown(level) for level in rule.levels)}"
    if rule.operator in ("is filled in", "is empty"):
        return f"{what} {rule.operator}"
    number = 0.0 if rule.number is None else rule.number
    if rule.kind == "property":
        return f"{what} is {rule.operator} {number:,.6g}"
    if rule.kind == "age":
        return f"the lead was created {rule.operator} {_days(number)} ago"
    return _event_sentence(rule, what, number)


def _event_sentence(rule: Rule, what: str, number: float) -> str:
    noun = f"'{what}' event" if rule.kind == "event" else f"visit to '{what}'"
    noun = "event of any kind" if rule.subject == ANYTHING else noun
    if rule.since:
        return f"last {noun} {rule.operator} {_days(number)} ago"
    when = "so far" if rule.window_days is None else f"in the last {_days(rule.window_days)}"
    if rule.summed:
        return f"values of '{what}' events {when} sum to {rule.operator} {number:,.6g}"
    plural = noun.replace("event", "events", 1).replace("visit", "visits", 1)
    if rule.operator == "at most":
        return f"no {noun} {when}" if number == 0 else f"at most {number:,.0f} {noun if number == 1 else plural} {when}"
    return f"at least {number:,.0f} {noun if number == 1 else plural} {when}"


def _days(number: float) -> str:
    return "1 day" if number == 1 else f"{number:,.0f} days"


ANYTHING = "any activity"


def rules_for(feature: Feature, table: pa.Table, z: Floats, *, named: frozenset[str]) -> Iterator[Rule]:
    """Every condition on one feature that a scorecard may choose from.

    Parameters
    ----------
    feature : Feature
    table : pa.Table
        Features of the leads that the scorecard learns from.
    z : ndarray of float64, shape (rows,)
        Log-odds that the model gives them; orders the levels of a category.
    named : frozenset of str
        Levels that the model names; rarer ones could point to a person.
    """
    if feature.family not in _FAMILIES or feature.event_type == "other":
        return
    plain = _plain_rule(feature)
    if feature.kind == "category":
        yield from _level_rules(plain, table[feature.name], z, named)
    elif feature.family in ("count", "asset_counts") and not feature.since:
        top = float(np.nanmax(table[feature.name].to_numpy(), initial=0))
        for number in _COUNTS:
            if number <= top:
                yield _with(plain, operator="at least", number=float(number))
                yield _with(plain, operator="at most", number=float(number - 1))
    else:
        yield from _number_rules(plain, table[feature.name].to_numpy(), since=feature.since)


def _plain_rule(feature: Feature) -> Rule:
    kind: Any = {"attribute": "property", "age": "age", "asset_counts": "page"}.get(feature.family, "event")
    return Rule(
        feature=feature.name,
        subject=feature.criterion,
        kind=kind,
        group="fit" if kind == "property" else "engagement",
        operator="at least",
        window_days=feature.window_days,
        since=feature.since,
        summed=feature.family == "value",
    )


def _with(rule: Rule, **changes: Any) -> Rule:
    return Rule(**{**vars(rule), **changes})


def _number_rules(plain: Rule, values: Floats, *, since: bool) -> Iterator[Rule]:
    present = values[~np.isnan(values)]
    if plain.kind == "property" and 0 < len(present) < len(values):
        yield _with(plain, operator="is filled in")
        yield _with(plain, operator="is empty")
    if not len(present):
        return
    days = since or plain.kind == "age"
    cuts = np.quantile(present, np.linspace(0, 1, _CUTS + 2)[1:-1])
    for cut in sorted({_near(v) if days else _rounded(v) for v in cuts}):
        yield _with(plain, operator="at most", number=cut)
        if not since:
            yield _with(plain, operator="at least", number=cut)


def _level_rules(plain: Rule, column: pa.ChunkedArray, z: Floats, named: frozenset[str]) -> Iterator[Rule]:
    empty = _missing(column)
    if 0 < empty.sum() < len(empty):
        yield _with(plain, operator="is filled in")
        yield _with(plain, operator="is empty")
    words = np.asarray(column.cast(pa.string()).to_pylist(), dtype=object)
    means = {level: float(z[words == level].mean()) for level in sorted(named) if (words == level).any()}
    best = sorted(means, key=lambda level: (-means[level], level))
    for many in range(1, min(len(best), _MANY_LEVELS + 1)):
        yield _with(plain, operator="is one of", levels=tuple(sorted(best[:many])))


def _rounded(value: float) -> float:
    """Two digits, as people would say it."""
    return 0.0 if value == 0 else float(f"{value:.2g}")


def _near(days: float) -> float:
    return float(_DAYS[np.argmin(np.abs(np.log(_DAYS / max(days, 1e-3))))])


def _missing(column: pa.ChunkedArray) -> Flags:
    if pa.types.is_floating(column.type):
        return np.isnan(column.to_numpy())  # type: ignore[no-any-return]
    return np.asarray(column.is_null().to_numpy(), dtype=bool)
