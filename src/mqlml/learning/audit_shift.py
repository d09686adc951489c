"""Whether the leads that will be scored look like those that were learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqlml.learning.audit_checks import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mqlml.learning.audit_statistics import Column, Flags, Floats, Ints

__all__ = ["shifts"]

_UNSEEN, _SHIFTED = 0.10, 0.30
_FEWEST, _FEWEST_OPEN = 300, 50


def shifts(column: Column, won: Floats, created: Ints | None) -> Iterator[Finding]:
    """Find a column whose values among open leads, or among the newest, are not those that were learned from.

    Differences are total variation distances: the share of the one side that would have to change to look like the
    other. At most one finding; open leads come first, since they are the ones that are scored.

    Parameters
    ----------
    column : Column
        Of n leads.
    won : ndarray of float (n,)
        NaN for open leads.
    created : ndarray of int64 (n,) or None
        Without it only open and closed leads are compared.
    """
    if len(won) < _FEWEST:
        return
    is_open = np.isnan(won)
    figures = []
    if min(is_open.sum(), (~is_open).sum()) >= _FEWEST_OPEN:
        figures.append(_figure(column, is_open, "open leads", "closed ones", "held by no closed lead"))
    if created is not None:
        newest = created >= np.quantile(created, 0.9)
        figures.append(_figure(column, newest, "newest tenth of the leads", "those before", "not seen before"))
    figure = next(filter(None, figures), None)
    if figure is not None:
        why = "what was learned from older leads may not hold for those to be scored"
        remedy = "check whether the field is still filled in the same way"
        yield Finding("note", "shift", column.name, figure, why, remedy)


def _figure(column: Column, side: Flags, these: str, those: str, unknown: str) -> str | None:
    """Say how far two sides are apart; None where that is little, or within chance."""
    size = len(column.main.labels)
    here, there = (np.bincount(column.main.codes[flags], minlength=size) for flags in (side, ~side))
    if not here.sum() or not there.sum():
        return None
    unseen = float(here[there == 0].sum() / here.sum())
    distance = float(np.abs(here / here.sum() - there / there.sum()).sum() / 2)
    chance = float(np.sqrt(size / (2 * here.sum())))
    if unseen < _UNSEEN and distance < _SHIFTED + chance:
        return None
    figure = f"{100 * distance:.0f} % of the {these} would have to change to look like {those}"
    return figure + (f"; {100 * unseen:.1f} % hold a value {unknown}" if unseen else "")
