"""How the dates of a file are written, and what to do where two readings are possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mqlml.errors import Problem

if TYPE_CHECKING:
    from mqlml.history.discovery.looking import Table
    from mqlml.history.discovery.profiles import ColumnProfile

__all__ = ["date_formats"]

ORDERS = {"dmy": "the day first", "mdy": "the month first"}


def date_formats(
    table: Table, columns: Iterable[str], *, order: str | None = None
) -> tuple[dict[str, str], list[str], list[Problem]]:
    """Find the format of every column of dates that are not ISO 8601.

    Parameters
    ----------
    table : Table
    columns : iterable of str
        The columns whose times are needed.
    order : {"dmy", "mdy"}, optional
        What a person said of dates that can be read either way.

    Returns
    -------
    formats : dict of str to str
        By column; columns in ISO 8601 are absent.
    remarks : list of str
        What was assumed.
    problems : list of Problem
        Columns whose dates cannot be told, with what was seen.
    """
    formats: dict[str, str] = {}
    remarks: list[str] = []
    problems: list[Problem] = []
    sure = _sure_order(table.columns.values())
    for name in columns:
        profile = table.columns[name]
        if profile.formats is None or profile.iso >= 0.99 * profile.filled:
            continue
        fitting = profile.fitting
        if not fitting:
            problems.append(_mixed(table, profile))
            continue
        orders = {_order(form) for form in fitting} - {None}
        if len(orders) > 1:
            chosen = order or sure
            if chosen is None:
                problems.append(_either(table, profile))
                continue
            fitting = tuple(form for form in fitting if _order(form) == chosen)
            because = "as you said" if order else "as other dates of the file show"
            remarks.append(f"'{name}' can be read either way; {ORDERS[chosen]}, {because}")
        formats[name] = _best(fitting, profile.formats)
    return formats, remarks, problems


def _order(form: str) -> str | None:
    if form[:2] == "%d" and "%b" not in form:
        return "dmy"
    return "mdy" if form[:2] == "%m" else None


def _sure_order(profiles: Iterable[ColumnProfile]) -> str | None:
    """The one order that columns of the file leave no doubt about."""
    orders = set()
    for profile in profiles:
        found = {_order(form) for form in profile.fitting} - {None}
        if len(found) == 1:
            orders |= found
    return next(iter(orders)) if len(orders) == 1 else None


def _best(fitting: Iterable[str], counts: Mapping[str, int]) -> str:
    return max(fitting, key=lambda form: (counts[form], -len(form)))


def _either(table: Table, profile: ColumnProfile) -> Problem:
    what = f"all {profile.filled:,} dates can be read with the day or the month first, and no other column tells"
    fix = "say which with --date-order dmy or --date-order mdy"
    return Problem("date-order", table.name, what, fix, column=profile.name)


def _mixed(table: Table, profile: ColumnProfile) -> Problem:
    read = sorted((profile.formats or {}).items(), key=lambda item: -item[1])[:3]
    listed = ", ".join(f"{n:,} as {form}" for form, n in read) or "none"
    iso = f", {profile.iso:,} as ISO 8601" if profile.iso else ""
    what = f"dates are written in several ways: of {profile.filled:,} values {listed}{iso}"
    fix = "export the column in one way, best as 2024-03-31T14:00:00Z"
    return Problem("date-format", table.name, what, fix, column=profile.name)
