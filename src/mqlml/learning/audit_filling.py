"""Open against closed leads of the same time: fields that are filled, or emptied, when a lead closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqlml.learning.audit_checks import EXCLUDE, Evidence, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mqlml.learning.audit_values import Flags, Floats, Ints

__all__ = ["OpenLeads", "filled_after", "open_leads"]


@dataclass(frozen=True)
class OpenLeads:
    """Open against closed leads of the same time.

    ``weight`` (n,) makes both sides alike in creation time (each sums to 1 over its leads); ``closed`` and ``open``
    (n,) are masks; ``comparable`` says that both exist at the same times.
    """

    closed: Flags
    open: Flags
    weight: Floats
    comparable: bool


def open_leads(won: Floats, created: Ints | None, *, periods: int = 20, fewest: int = 30) -> OpenLeads | None:
    """Set up the comparison of open with closed leads; None with fewer than ``fewest`` of either."""
    is_open = np.isnan(won)
    if min(is_open.sum(), (~is_open).sum()) < fewest:
        return None
    if created is None:
        return _weighted(is_open, ~is_open, np.zeros(len(won), np.int64), comparable=False)
    edges = np.unique(np.quantile(created, np.linspace(0, 1, periods + 1)[1:-1], method="inverted_cdf"))
    period = np.searchsorted(edges, created)
    closed_n, open_n = np.bincount(period[~is_open], minlength=periods), np.bincount(period[is_open], minlength=periods)
    shared = (closed_n >= 10) & (open_n >= 10)
    if open_n[shared].sum() >= max(fewest, 0.3 * open_n.sum()):
        return _weighted(is_open & shared[period], ~is_open & shared[period], period, comparable=True)
    recent = ~is_open & (created >= np.quantile(created[~is_open], 0.8))
    return _weighted(is_open, recent, np.zeros(len(won), np.int64), comparable=False)


def _weighted(is_open: Flags, closed: Flags, period: Ints, *, comparable: bool) -> OpenLeads:
    open_n = np.bincount(period[is_open], minlength=period.max() + 1)
    closed_n = np.bincount(period[closed], minlength=len(open_n))
    per_closed = (open_n / np.maximum(closed_n, 1))[period]
    weight = np.where(closed, per_closed, is_open.astype(np.float64)) / max(int(is_open.sum()), 1)
    return OpenLeads(closed, is_open, weight, comparable)


def filled_after(evidence: Evidence, leads: OpenLeads | None) -> Iterator[Finding]:
    """Find a field that is filled (or emptied) when a lead closes, so that open leads lack what is learned."""
    if leads is None:
        return
    column = evidence.column
    filled = {"a value": ~column.missing}
    if column.numeric and not np.any(column.values < 0):
        filled["a value above 0"] = np.nan_to_num(column.values) > 0
    for words, has in filled.items():
        opened, closed = (float(leads.weight[side & has].sum()) for side in (leads.open, leads.closed))
        low, high = sorted((opened, closed))
        certain = low <= 0.02 and high >= 0.2
        if not certain and not (low <= 0.1 and high >= 0.5) and high - low < 0.25:
            continue
        level: Level = "note" if low > 0.1 or high < 0.2 else "ask"
        level = "block" if certain and leads.comparable and not evidence.declared else level
        n_closed, n_open = int(leads.closed.sum()), int(leads.open.sum())
        figure = f"{100 * closed:.1f} % of {n_closed:,} closed leads have {words}, "
        figure += f"and {100 * opened:.1f} % of {n_open:,} open leads{' of the same time' if leads.comparable else ''}"
        why = "the field changes when a lead closes: what is learned from closed leads does not hold for open ones"
        remedy = "check when it is filled" if level == "note" else EXCLUDE
        yield evidence.finding(level, "filled-after", figure, why, remedy)
        return
