"""The model against the present rule at the same number of leads: whose picks were won more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.resampling import Resampler
from mqlml.learning.snapshots import DAY

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows

__all__ = ["contest"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_WEEK = 7 * DAY


def contest(rows: Rows, row: Integers, p: Floats, marked: Flags, *, seed: int) -> dict[str, Any] | None:
    """Take as many leads by the model as the present rule took, each at its first snapshot over the line.

    Parameters
    ----------
    rows : Rows
    row : ndarray of int64, shape (n,)
        Judged rows.
    p : ndarray of float64, shape (n,)
        The model's chances of these rows.
    marked : ndarray of bool, shape (n,)
        Whether the present rule makes them MQLs.
    seed : int

    Returns
    -------
    dict or None
        ``leads`` and ``wins`` of the rule, ``model_wins`` among as many leads, ``per_week`` (None without dates),
        and with intervals ``win_rate``, ``model_win_rate``, ``difference`` (model less rule), ``share_of_wins`` and
        ``model_share_of_wins`` (0..1); None where the rule took no lead, or every one.
    """
    order = np.lexsort((rows.when[row], rows.lead[row]))
    row, p, marked = row[order], p[order], marked[order]
    lead, first = np.unique(rows.lead[row], return_index=True)
    highest = np.maximum.reduceat(p, first)
    count = int(np.logical_or.reduceat(marked, first).sum())
    if count in (0, len(lead)):
        return None
    line = np.sort(highest)[::-1][count - 1]
    ours, theirs = _first(p >= line, first), _first(marked, first)
    won = rows.won[row]
    resampler = Resampler(rows.group[row][first], seed=seed)
    sums = resampler.sums(
        {
            "ours": (ours >= 0).astype(float),
            "our wins": np.where(ours >= 0, won[ours], 0.0),
            "theirs": (theirs >= 0).astype(float),
            "their wins": np.where(theirs >= 0, won[theirs], 0.0),
            "wins": np.maximum.reduceat(won, first),
        }
    )
    our_rate, their_rate = sums["our wins"] / sums["ours"], sums["their wins"] / sums["theirs"]
    return {
        "leads": count,
        "wins": int(sums["their wins"].value),
        "model_leads": int(sums["ours"].value),
        "model_wins": int(sums["our wins"].value),
        "per_week": _per_week(rows, row[theirs[theirs >= 0]], row),
        "win_rate": their_rate.interval().to_dict(),
        "model_win_rate": our_rate.interval().to_dict(),
        "difference": (our_rate - their_rate).interval().to_dict(),
        "share_of_wins": (sums["their wins"] / sums["wins"]).interval().to_dict(),
        "model_share_of_wins": (sums["our wins"] / sums["wins"]).interval().to_dict(),
    }


def _first(over: Flags, first: Integers) -> Integers:
    """Place of each lead's first row over the line, -1 where there is none."""
    place = np.where(over, np.arange(len(over)), len(over))
    found = np.minimum.reduceat(place, first)
    return np.where(found < len(over), found, -1)


def _per_week(rows: Rows, picked: Integers, judged: Integers) -> float | None:
    """Leads that the rule took in a usual week; the first week holds a backlog and does not count."""
    if rows.timing != "horizon":
        return None
    start = int(rows.at[judged].min())
    weeks = (int(rows.at[judged].max()) - start) // _WEEK
    later = int((rows.at[picked] >= start + _WEEK).sum())
    return later / weeks / rows.sampled if weeks else None
