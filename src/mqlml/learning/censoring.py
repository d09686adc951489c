"""Snapshots that were not watched to the end: how often wins come, and how to weigh what is known already.

Kaplan and Meier (1958), JASA 53:457; cumulative incidence with a competing loss after Aalen and Johansen (1978), Scand.
J. Statist. 5:141; weights by the inverse probability of being watched after Robins and Finkelstein (2000), Biometrics
56:779.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mqlml.learning.moments import NEVER, Flags, Floats, Integers

__all__ = ["LARGEST_WEIGHT", "Watched", "cumulative_incidence"]

# One young win must not outweigh ten others: what a cap costs in bias it gives back in variance.
LARGEST_WEIGHT = 10.0


@dataclass(frozen=True)
class Watched:
    """What happened to snapshots later; arrays of shape (n,).

    Attributes
    ----------
    at : ndarray of int64
        Moment of the snapshot.
    won, closed : ndarray of int64
        The next win, and the next decision of any kind, ``NEVER`` where there is none.
    """

    at: Integers
    won: Integers
    closed: Integers

    def where(self, flags: Flags) -> Watched:
        """The snapshots for which ``flags`` is true."""
        return Watched(self.at[flags], self.won[flags], self.closed[flags])

    def told(self, until: int, horizon: int) -> tuple[Integers, Flags, Flags]:
        """What is known strictly before ``until``.

        Returns
        -------
        tuple of (ndarray of int64, ndarray of bool, ndarray of bool)
            How long it took until the label was known (or how long it was watched), whether it is known, and whether
            it is a win. A win counts as such though a loss came first; a loss without a win yet counts as final.
        """
        longest = np.minimum(np.maximum(until - self.at, 0), horizon)
        won = np.where((self.won < until) & (self.won - self.at < horizon), self.won - self.at, NEVER)
        lost = np.where(self.closed < until, self.closed - self.at, NEVER)
        took = np.minimum(np.where(won < NEVER, won, lost), longest)
        known = (won < NEVER) | (lost < longest) | (until - self.at >= horizon)
        return took, known, won < NEVER

    def weights(self, until: int, horizon: int, everyone: Watched) -> Floats:
        """One over the chance of being watched long enough, as seen at ``until``; 0 where the label was not known.

        Parameters
        ----------
        until, horizon : int
            Microseconds.
        everyone : Watched
            All candidate snapshots, those among them whose label is not known included.

        Returns
        -------
        ndarray of float64, shape (n,)
            At most ``LARGEST_WEIGHT``.
        """
        seen = everyone.where(everyone.at < until)
        took, known, _ = seen.told(until, horizon)
        times, still = _survival(took, ~known)
        mine, usable, _ = self.told(until, horizon)
        # The chance of being watched up to, not beyond, the moment at which the label became known.
        chance = np.append(1.0, still)[np.searchsorted(times, mine, side="left")]
        weight = np.minimum(1.0 / np.maximum(chance, 1e-12), LARGEST_WEIGHT)
        return np.where(usable & (self.at < until), weight, 0.0)


def _survival(time: Integers, happened: Flags) -> tuple[Integers, Floats]:
    """Kaplan-Meier: distinct times and the share to which it had not happened up to and including each.

    At one moment those to whom anything else happened leave first.
    """
    times, place = np.unique(time, return_inverse=True)
    total = np.bincount(place, minlength=len(times))
    events = np.bincount(place, happened, minlength=len(times))
    at_risk = len(time) - np.cumsum(total) + events
    return times, np.cumprod(1.0 - events / np.maximum(at_risk, 1.0))


def cumulative_incidence(time: Integers, won: Flags, lost: Flags, at: Integers) -> Floats:
    """Share won up to and including each time, where losses compete and the rest was watched only that long.

    Parameters
    ----------
    time : ndarray of int64, shape (n,)
        Until the win, the loss, or the end of watching.
    won, lost : ndarray of bool, shape (n,)
        What ended it; neither: it was still open.
    at : ndarray of int64, shape (k,)
        Ascending times.

    Returns
    -------
    ndarray of float64, shape (k,)
        Never falls.
    """
    times, place = np.unique(time, return_inverse=True)
    total, wins, losses = (np.bincount(place, flags, minlength=len(times)) for flags in (None, won, lost))
    at_risk = np.maximum(len(time) - np.cumsum(total) + total, 1.0)
    still = np.cumprod(1.0 - (wins + losses) / at_risk)
    share = np.cumsum(np.append(1.0, still)[:-1] * wins / at_risk)
    return np.append(0.0, share)[np.searchsorted(times, at, side="right")]
