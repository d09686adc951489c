"""Conditions as a team writes down its rules, with points or without, evaluated on features as of each snapshot."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import Problem
from mqlml.tape.columns import RESERVED
from mqlml.tape.features import Attribute, FeatureSet

if TYPE_CHECKING:
    from mqlml.config import Condition, PresentCondition
    from mqlml.history.contract import History

__all__ = ["ANY", "feature_of", "holds", "needed_features", "points_of", "problems_of"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ANY = "any"

_WHERE = "mqlml.toml"
# A feature set with events needs some window.
_SOME_WINDOW = (30,)
_ORDERED: dict[str, Callable[..., Flags]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def problems_of(
    conditions: Sequence[Condition],
    history: History,
    *,
    changed: Collection[str],
    attributes: Collection[str],
    dated: bool,
    setting: str = "[[policy.present]]",
) -> list[Problem]:
    """List the conditions that could only be judged by what was known later, or not at all.

    Parameters
    ----------
    conditions : sequence of Condition
    history : History
    changed : collection of str
        Fields with a field history.
    attributes : collection of str
        Columns of the leads known to hold what they held at creation.
    dated : bool
        Whether leads have dates, without which events cannot be counted.
    setting : str
        Where the conditions stand, for the messages.
    """
    types = set(history.event_type_counts())
    found = [
        _column_problem(c, history, changed, attributes, setting)
        if c.column is not None
        else _event_problem(c, types, setting, dated=dated)
        for c in conditions
    ]
    return [problem for problem in found if problem is not None]


def _column_problem(
    condition: Condition, history: History, changed: Collection[str], attributes: Collection[str], setting: str
) -> Problem | None:
    name = str(condition.column)
    table = history.attributes
    if name not in changed and name not in table.column_names:
        what = f"{setting} names a column that is neither an attribute of the leads nor a field of [history]"
        return Problem("present-rule", _WHERE, what, "correct the name, or remove the condition", column=name)
    if name not in changed and name not in attributes:
        what = "the column is known only as today's value, which may have been set after the outcome"
        fix = "export its changes into [history]; or, if it never changes, name it in [leads] known_at_creation"
        return Problem("present-rule", _WHERE, what, fix, column=name)
    number = name in table.column_names and pa.types.is_floating(table.schema.field(name).type)
    if condition.op in _ORDERED and name in table.column_names and not number:
        what = f"the column holds texts, so '{condition.op}' cannot be judged"
        return Problem("present-rule", _WHERE, what, "use '=' or 'in'", column=name)
    if condition.op == "contains" and number:
        what = "the column holds numbers, so 'contains' cannot be judged"
        return Problem("present-rule", _WHERE, what, "use '=', 'in' or '>='", column=name)
    return None


def _event_problem(condition: Condition, types: set[str], setting: str, *, dated: bool) -> Problem | None:
    if not dated:
        what = f"events such as '{condition.event}' cannot be counted in a history without dates"
        return Problem("present-rule", _WHERE, what, "remove the condition, or supply [leads] created_at")
    if condition.event == ANY or condition.event in types - RESERVED:
        return None
    what = f"{setting} names the event '{condition.event}', and no event has this type"
    return Problem("present-rule", _WHERE, what, "write the type as it stands in [events]")


def needed_features(conditions: Sequence[Condition], history: History, changed: Collection[str]) -> FeatureSet:
    """Features that hold everything the conditions ask for."""
    columns = {str(c.column): c for c in conditions if c.column is not None}
    windows = {c.window_days for c in conditions if c.window_days is not None}
    types = {str(c.event) for c in conditions if c.event is not None} - RESERVED
    events = [c for c in conditions if c.event is not None]
    # Without a type of its own "any" has no features: the most frequent type brings them along.
    if events and not types:
        types = set(list(history.event_type_counts())[:1])
    return FeatureSet(
        event_types=tuple(sorted(types)),
        windows_days=tuple(sorted(windows)) or _SOME_WINDOW,
        half_lives_days=(),
        attributes=tuple(_attribute(c, history, changed) for c in columns.values()),
        age=False,
    )


def _attribute(condition: Condition, history: History, changed: Collection[str]) -> Attribute:
    name, table = str(condition.column), history.attributes
    if name in table.column_names:
        number = pa.types.is_floating(table.schema.field(name).type)
    else:
        number = condition.op in _ORDERED
    return Attribute(name, "number" if number else "category", "history" if name in changed else "creation")


def feature_of(condition: Condition) -> str:
    """Name of the feature that holds what a condition looks at."""
    if condition.column is not None:
        return f"lead.{condition.column}"
    window = "ever" if condition.window_days is None else f"{condition.window_days}d"
    return f"events.{condition.event}.count_{window}"


def points_of(conditions: Sequence[PresentCondition], table: pa.Table) -> Floats:
    """Sum of the points of the conditions that each row meets, shape (rows,)."""
    points = np.zeros(table.num_rows)
    for condition in conditions:
        points += condition.points * holds(condition, table)
    return points


def holds(condition: Condition, table: pa.Table) -> Flags:
    """Whether each row of a table with the features asked for meets a condition, shape (rows,)."""
    return (_column_met if condition.event is None else _event_met)(condition, table)


def _event_met(condition: Condition, table: pa.Table) -> Flags:
    return np.nan_to_num(table[feature_of(condition)].to_numpy()) >= condition.at_least  # type: ignore[no-any-return]


def _column_met(condition: Condition, table: pa.Table) -> Flags:
    column = table[feature_of(condition)].combine_chunks()
    if pa.types.is_floating(column.type):
        values = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
        missing: Flags = np.isnan(values)
        met = _met(condition, values, [_number(v) for v in _asked(condition)])
    else:
        coded = column.cast(pa.string()).dictionary_encode()
        missing = pc.is_null(coded).to_numpy(zero_copy_only=False)
        texts = np.asarray([*coded.dictionary.to_pylist(), ""], dtype=str)
        by_text = _met(condition, texts, [_text(v) for v in _asked(condition)])
        met = by_text[np.where(missing, len(texts) - 1, coded.indices.fill_null(0).to_numpy(zero_copy_only=False))]
    if condition.op in {"is empty", "is not empty"}:
        return missing if condition.op == "is empty" else ~missing
    return met & ~missing


def _met(condition: Condition, values: npt.NDArray[np.generic], asked: Sequence[object]) -> Flags:
    if condition.op in _ORDERED:
        return np.asarray(_ORDERED[condition.op](values, asked[0]), dtype=bool)
    if condition.op == "contains":
        return np.asarray(np.char.find(np.char.lower(values.astype(str)), str(asked[0]).lower()) >= 0, dtype=bool)
    among = np.isin(values, np.asarray(asked)) if asked else np.zeros(len(values), dtype=bool)
    return ~among if condition.op in {"!=", "not in"} else among


def _asked(condition: Condition) -> Sequence[object]:
    value = condition.value
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, int | float) else str(value)
