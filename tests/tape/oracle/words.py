"""The few phrases of SQL that the families share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Columns = dict[str, str]
"""An aggregate for every feature's name, over the rows of one mark."""


@dataclass(frozen=True)
class Query:
    """The features of one family: aggregates of ``source``, which holds at least one row for every mark."""

    columns: Columns
    source: str = "asked LEFT JOIN seen USING (row, moment)"


def name(text: str) -> str:
    """Quote a column's name."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"


def array(values: Sequence[str]) -> str:
    """Write a list of texts."""
    return "[" + ", ".join(text(value) for value in values) + "]::VARCHAR[]"


def among(column: str, values: Sequence[str]) -> str:
    """Tell whether a text is one of several; null where it is null."""
    return f"list_contains({array(values)}, {column})"


def one_of(column: str, value: str, named: Sequence[str]) -> str:
    """Tell whether a text is the named one, or ``other`` than all named ones."""
    return f"NOT {among(column, named)}" if value == "other" else f"{column} = {text(value)}"


def within(window: int | None) -> str:
    """Tell whether an event happened in the last so many days of 24 hours, or ever."""
    return "true" if window is None else f"occurred_at >= moment - to_hours({24 * window})"


def suffix(window: int | None) -> str:
    """Name a window as the features' names do."""
    return "ever" if window is None else f"{window}d"


def events(window: int | None, where: str = "true") -> str:
    """Count events."""
    return f"count(occurred_at) FILTER ({within(window)} AND {where})"


def days_between(earlier: str, later: str) -> str:
    """Time between two moments in days of 24 hours."""
    return f"((epoch_us({later}) - epoch_us({earlier})) / 86400e6)"


def days_since_last(where: str = "true") -> str:
    """Time since the newest event in days; null without one."""
    return days_between(f"(max(occurred_at) FILTER ({where}))", "any_value(moment)")


def faded(half_life: int, where: str = "true") -> str:
    """Sum of events, each halved with every half-life that passed since."""
    share = f"0.5 ** ({days_between('occurred_at', 'moment')} / {half_life})"
    return f"coalesce(sum({share}) FILTER ({where}), 0)"
