"""What decisions on criteria cost or gained: the same rows tested forward with and without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.learning.evaluation import log_loss, roc_auc

if TYPE_CHECKING:
    from mqlml.learning.resampling import Interval, Resampler

__all__ = ["Effect", "effect", "volume"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Effect:
    """Figures of the model that obeys less those of one that need not, with clustered 90 % intervals.

    Attributes
    ----------
    log_loss : Interval
        Above 0 the decision cost.
    auc : Interval
        Below 0 it cost.
    win_rate : Interval
        Win rate of as many of the best snapshots, 0..1; below 0 it cost.
    same : float
        Share of those best snapshots that both name, 0..1.
    """

    log_loss: Interval
    auc: Interval
    win_rate: Interval
    same: float


def effect(won: Floats, obeying: Floats, free: Floats, resampler: Resampler, *, best: float) -> Effect:
    """Compare two sets of chances of the same rows.

    Parameters
    ----------
    won, obeying, free : ndarray of float64, shape (n,)
        Outcomes 0 or 1, and chances strictly between, given before the outcome was known.
    resampler : Resampler
        Made for the groups of these rows.
    best : float
        Share of rows that counts as handed over, 0..1.
    """
    order_of = {name: np.argsort(p, kind="stable") for name, p in (("obeying", obeying), ("free", free))}
    many = max(round(best * len(won)), 1)
    tops = {name: _top(order, many) for name, order in order_of.items()}

    def auc(p: Floats, order: npt.NDArray[np.int64], w: Floats) -> float:
        return roc_auc(won[order], p[order], w[order])

    return Effect(
        resampler.interval(lambda w: log_loss(won, obeying, w) - log_loss(won, free, w)),
        resampler.interval(lambda w: auc(obeying, order_of["obeying"], w) - auc(free, order_of["free"], w)),
        resampler.interval(lambda w: _rate(won, tops["obeying"] * w) - _rate(won, tops["free"] * w)),
        float((tops["obeying"] * tops["free"]).sum() / many),
    )


def volume(lead: npt.NDArray[np.int64], obeying: Flags, free: Flags, resampler: Resampler, *, weeks: float) -> Interval:
    """Difference in the leads that become MQLs in a week, at the same threshold.

    Parameters
    ----------
    lead : ndarray of int64, shape (n,)
        Lead of each row.
    obeying, free : ndarray of bool, shape (n,)
        Rows at or above the threshold with and without the decisions.
    resampler : Resampler
        Made for the groups of these rows.
    weeks : float
        Weeks that the rows span.
    """
    crossed = {name: _once(lead, above) for name, above in (("obeying", obeying), ("free", free))}
    sums = resampler.sums({name: values / weeks for name, values in crossed.items()})
    return (sums["obeying"] - sums["free"]).interval()


def _once(lead: npt.NDArray[np.int64], above: Flags) -> Floats:
    """1 in one row of each lead that has such a row, 0 elsewhere."""
    found = np.zeros(len(lead))
    place = np.flatnonzero(above)
    found[place[np.unique(lead[place], return_index=True)[1]]] = 1.0
    return found


def _top(order: npt.NDArray[np.int64], many: int) -> Floats:
    flags = np.zeros(len(order))
    flags[order[-many:]] = 1.0
    return flags


def _rate(won: Floats, weight: Floats) -> float:
    total = float(weight.sum())
    return float((won * weight).sum()) / total if total > 0 else float("nan")
