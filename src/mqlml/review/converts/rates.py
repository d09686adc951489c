"""Win rates of groups of leads, with intervals that respect accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.resampling import binomial_interval

__all__ = ["clustered_interval", "rates", "told_rows"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def clustered_interval(
    wins: float, leads: float, squares: tuple[float, float, float], clusters: int
) -> tuple[Any, Any]:
    """Exact 90 % interval of a win rate on the number of independent leads that its clusters are worth.

    The variance between clusters gives the design effect; the Clopper-Pearson interval is that of ``leads`` divided by
    it (Korn and Graubard 1998, Survey Methodology 24:193). With one lead a cluster it is Clopper and Pearson's own.

    Parameters
    ----------
    wins, leads : float
    squares : tuple of three float
        Sums over clusters of leads squared, leads times wins, and wins squared.
    clusters : int

    Returns
    -------
    tuple of two float, 0..1, or of two None without leads
    """
    if leads <= 0:
        return None, None
    rate = wins / leads
    worth = float(clusters)
    if 0 < wins < leads and clusters > 1:
        spread = squares[2] - 2 * rate * squares[1] + rate**2 * squares[0]
        variance = spread / leads**2 * clusters / (clusters - 1)
        # A lead is worth at most itself; rounding must not say otherwise.
        worth = min(leads, max(rate * (1 - rate) / variance, 1.0)) if variance > 0 else leads
        worth = leads if squares[0] == leads else worth
    return binomial_interval(rate * worth, worth)


def rates(code: Integers, won: Floats, cluster: Integers, *, codes: int) -> list[dict[str, Any]]:
    """Leads, wins and win rate of each group.

    Parameters
    ----------
    code : ndarray of int64, shape (n,)
        Group of each row, 0 to ``codes - 1``; other rows are left out. A lead may stand in several groups.
    won : ndarray of float64, shape (n,)
    cluster : ndarray of int64, shape (n,)
        Account of the row's lead.
    codes : int

    Returns
    -------
    list of dict
        ``leads``, ``wins``, ``win_rate``, ``low`` and ``high`` (90 %; the three are None for an empty group), by code.
    """
    inside = (code >= 0) & (code < codes)
    code, won, cluster = code[inside], won[inside], cluster[inside]
    pair, place = np.unique(code * (int(cluster.max(initial=0)) + 1) + cluster, return_inverse=True)
    n, w = np.bincount(place, minlength=len(pair)), np.bincount(place, won, len(pair))
    of = pair // (int(cluster.max(initial=0)) + 1)
    totals = [np.bincount(of, values, codes) for values in (n, w, n * n, n * w, w * w, np.ones(len(pair)))]
    return [_rate(*(float(total[k]) for total in totals)) for k in range(codes)]


def _rate(leads: float, wins: float, nn: float, nw: float, ww: float, clusters: float) -> dict[str, Any]:
    low, high = clustered_interval(wins, leads, (nn, nw, ww), int(clusters))
    rate = wins / leads if leads else None
    return {"leads": int(leads), "wins": int(wins), "win_rate": rate, "low": low, "high": high}


def told_rows(names: Sequence[str], found: Sequence[dict[str, Any]], overall: float | None) -> list[dict[str, Any]]:
    """Rows as the report shows them: highest win rate first, each against the win rate of all.

    ``against`` is "above" or "below" where the whole interval is, else "unclear".
    """
    rows = [
        {"name": name, **row, "against": _against(row, overall)}
        for name, row in zip(names, found, strict=True)
        if row["leads"]
    ]
    return sorted(rows, key=lambda row: (-row["win_rate"], -row["leads"], row["name"]))


def _against(row: dict[str, Any], overall: float | None) -> str:
    if overall is None:
        return "unclear"
    return "above" if row["low"] > overall else "below" if row["high"] < overall else "unclear"
