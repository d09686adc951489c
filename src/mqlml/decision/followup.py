"""What became of leads that were handed over in past weeks, and of those that were not; pure counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.evaluation import binomial_interval
from mqlml.learning.moments import DAY, NEVER, Flags, Integers

__all__ = ["Seen", "caught", "first_of_each", "flips", "handed", "rates"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """Every candidate of every walked week, sorted by lead, then week; arrays of shape (n,).

    Attributes
    ----------
    lead, week : ndarray of int64
        Index of the lead and number of the week.
    at : ndarray of int64
        The week's moment, in microseconds.
    p : ndarray of float64
    new, control : ndarray of bool
        Handed over in this week as MQL; drawn as control in this week.
    won_at : ndarray of int64
        First win at or after the moment, ``NEVER`` where there is none.
    """

    lead: Integers
    week: Integers
    at: Integers
    p: Floats
    new: Flags
    control: Flags
    won_at: Integers

    def won(self, horizon: int) -> Flags:
        """Whether each was won within the horizon of its moment."""
        return self.won_at - self.at < horizon


def first_of_each(lead: Integers, flags: Flags) -> Flags:
    """The first flagged row of each lead; rows are sorted by lead, then time."""
    rows = np.flatnonzero(flags)
    first = np.zeros(len(lead), dtype=bool)
    first[rows[np.r_[True, lead[rows[1:]] != lead[rows[:-1]]]] if len(rows) else rows] = True
    return first


def handed(seen: Seen, rows: Flags, *, weeks: int, horizon: int) -> dict[str, list[int]]:
    """Leads handed over in each week, and those of them won within the horizon."""
    won = rows & seen.won(horizon)
    return {
        "handed_over": np.bincount(seen.week[rows], minlength=weeks).tolist(),
        "won": np.bincount(seen.week[won], minlength=weeks).tolist(),
    }


def caught(seen: Seen, rows: Flags, *, until: int) -> tuple[int, int, Integers]:
    """Leads won before a moment after they had been a candidate, and those that had been handed over before.

    Returns
    -------
    tuple of (int, int, ndarray of int64)
        Won leads that had been handed over, all won leads, and for each missed one the moment of its win.
    """
    leads, first = np.unique(seen.lead, return_index=True)
    won_at = seen.won_at[first]
    when = np.full(len(leads), NEVER)
    np.minimum.at(when, np.searchsorted(leads, seen.lead[rows]), seen.at[rows])
    won = won_at < until
    # Handed over at a moment means before everything that happens from then on.
    before = won & (when <= won_at)
    return int(before.sum()), int(won.sum()), won_at[won & ~before]


def rates(number: int, wins: int) -> dict[str, Any]:
    """Win rate with its exact 90 % interval; None where nobody was handed over."""
    if not number:
        return {"handed_over": 0, "won": 0, "win_rate": None, "low": None, "high": None}
    low, high = binomial_interval(float(wins), float(number))
    return {"handed_over": number, "won": wins, "win_rate": wins / number, "low": low, "high": high}


def flips(seen: Seen, enter: Floats, *, stay_at: float, min_days: int) -> tuple[int, int]:
    """Times that leads would change sides after having been above the line once, over all weeks.

    Parameters
    ----------
    seen : Seen
    enter : ndarray of float64, shape (weeks,)
        Threshold of each week.
    stay_at : float
        Share of the threshold that keeps a lead on the list.
    min_days : int
        Days that a lead stays at least.

    Returns
    -------
    tuple of two int
        With the threshold alone, and with enter and stay thresholds.
    """
    line = enter[seen.week]
    above, near = seen.p >= line, seen.p >= stay_at * line
    single = held = 0
    before: tuple[int, bool, bool, int, bool] = (-1, False, False, 0, False)
    for lead, at, over, close in zip(seen.lead.tolist(), seen.at.tolist(), above, near, strict=True):
        who, was_over, was_on, since, ever = before if before[0] == lead else (lead, False, False, 0, False)
        on = bool(over or (was_on and (close or at - since < min_days * DAY)))
        single += ever and over != was_over
        held += ever and on != was_on
        since = since if on and was_on else at
        before = (who, bool(over), on, since, bool(ever or over))
    return int(single), int(held)
