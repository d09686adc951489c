"""What is said of outcomes: lists of words with their counts, and refusals with what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mqlml.errors import Problem, shown
from mqlml.history.discovery.profiles import value_counts

if TYPE_CHECKING:
    from mqlml.history.discovery.making import Making
    from mqlml.history.discovery.recognising import Part

__all__ = ["counted", "no_won", "nothing_told", "set_words"]


def set_words(
    making: Making,
    won: Sequence[str],
    lost: Sequence[str],
    ignore: Sequence[str] = (),
    *,
    counts: Mapping[str, int] | None = None,
    column: str = "",
) -> None:
    """The lists of [outcomes]; values of the file stand with their counts."""
    for key, values in (("won", won), ("lost", lost), ("ignore", ignore)):
        if values or key == "lost":
            why = f"'{column}': {counted(tuple(values), counts)}" if counts and values else ""
            making.draft.set(
                "outcomes",
                key,
                list(values),
                why or ("nothing says lost: open at the end of a horizon is not won" if not values else ""),
            )


def counted(values: Sequence[str], counts: Mapping[str, int]) -> str:
    """Values of a category with their counts, the first ten."""
    shown_ = [f"'{shown(v)}' ({counts.get(v, 0):,})" for v in values[:10]]
    return ", ".join(shown_) + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def no_won(part: Part, counts: Mapping[str, int], column: str | None = None) -> Problem:
    """Refuse a column none of whose values says that a lead was won."""
    name = column or part.one("stage") or part.one("outcome")
    what = f"no value says that a lead was won; there are {counted(tuple(counts), counts) or 'more than 60 values'}"
    fix = "name the values: mqlml init --won VALUE --lost VALUE (each may be repeated)"
    return Problem("no-won", part.table.name, what, fix, column=name)


def nothing_told(making: Making) -> Problem:
    """What was looked at, so that a person can name it."""
    leads = making.leads
    seen = []
    for name, profile in leads.table.columns.items():
        if 2 <= profile.distinct <= 12 and not profile.is_time:
            counts = value_counts(making.session, leads.table.raw, name)
            seen.append(f"'{shown(name)}': {counted(tuple(counts)[:4], counts)}")
    what = f"nothing says which leads were won; columns with few values are {'; '.join(seen[:6]) or 'none'}"
    fix = "name it: mqlml init --outcome COLUMN --won VALUE --lost VALUE, or add the export of deals"
    return Problem("no-outcome", leads.table.name, what, fix)
