"""Naive Bayes as Odoo's predictive lead scoring counts it: a baseline made from a description, not from its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

__all__ = ["Odoo", "OdooLeads", "fit_odoo", "quintiles"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SMOOTHING = 0.1
_LEAST_TAGGED = 50
_TINY = 1e-300
_LEAST_PERCENT, _MOST_PERCENT = 0.01, 99.99


@dataclass(frozen=True)
class OdooLeads:
    """Leads in the codes that naive Bayes counts.

    Attributes
    ----------
    fields : ndarray of int64, shape (n, fields)
        Code of each field's value, 0 or more; -1 where it is empty.
    team : ndarray of int64, shape (n,)
        Code of the sales team; -1 without one.
    stage : ndarray of int64, shape (n,)
        Place of the stage in the pipeline, 0 the first; -1 without one. Won leads stand in the last.
    tags : ndarray of bool, shape (n, tags)
    """

    fields: Integers
    team: Integers
    stage: Integers
    tags: Flags

    @classmethod
    def plain(cls, fields: Integers) -> OdooLeads:
        """Make leads without teams and tags, all in one stage."""
        n = len(fields)
        zeros = np.zeros(n, dtype=np.int64)
        return cls(fields, zeros - 1, zeros, np.zeros((n, 0), dtype=bool))


class _Counts(NamedTuple):
    """Stored wins and losses by team (rows) and value (columns); zero where nothing was observed.

    The last two rows are the leads without team, and the pool: the sum of all stored rows, smoothing included.
    """

    won: Floats
    lost: Floats

    def ratio(self, row: Integers, code: Integers, total: tuple[Floats, Floats]) -> Floats:
        """Log of each lead's likelihood ratio; 0 where its value was never observed."""
        if not self.won.shape[1]:
            return np.zeros(len(code))
        known = (code >= 0) & (code < self.won.shape[1])
        place = np.where(known, code, 0)
        won, lost = self.won[row, place], self.lost[row, place]
        usable = known & (won > 0) & (lost > 0) & (total[0][row] > 0) & (total[1][row] > 0)
        return np.where(usable, _log_ratio(won, lost) - _log_ratio(*total)[row], 0.0)

    @property
    def totals(self) -> tuple[Floats, Floats]:
        """Sums over the values, a figure a row."""
        return self.won.sum(axis=1), self.lost.sum(axis=1)


@dataclass(frozen=True)
class Odoo:
    """Counted frequencies, ready to score.

    Attributes
    ----------
    stages, tags : counts
    fields : tuple of counts, one a field
    base_rate : float
        Share of won leads, 0..1: the chance where no first stage was observed.
    """

    stages: _Counts
    fields: tuple[_Counts, ...]
    tags: _Counts
    base_rate: float

    def probability(self, leads: OdooLeads) -> Floats:
        """Chance to win of each lead, shape (n,), 0..1 in steps of 0.0001."""
        row = self._row(leads.team)
        first = self.stages.won[:, 0], self.stages.lost[:, 0]
        log_odds = _log_ratio(*first)[row] + self.stages.ratio(row, leads.stage, first)
        for counts, code in zip(self.fields, leads.fields.T, strict=True):
            log_odds += counts.ratio(row, code, counts.totals)
        for tag, carried in enumerate(leads.tags.T):
            log_odds += self.tags.ratio(row, np.where(carried, tag, -1), self.tags.totals)
        percent = np.clip(np.round(100 * expit(log_odds), 2), _LEAST_PERCENT, _MOST_PERCENT)
        p = np.where((first[0][row] > 0) & (first[1][row] > 0), percent / 100, self.base_rate)
        return np.where(leads.stage < 0, 0.0, np.where(leads.stage == self.stages.won.shape[1] - 1, 1.0, p))

    def _row(self, team: Integers) -> Integers:
        """Row of each lead's team; the pool for leads without team and for teams nothing is known of."""
        pool = len(self.stages.won) - 1
        teams = pool - 1
        observed = self.stages.won[:, 0] > 0
        known = (team >= 0) & (team < teams)
        return np.where(known & observed[np.where(known, team, pool)], team, pool)


def fit_odoo(leads: OdooLeads, won: npt.NDArray[np.float64], *, stages: int = 1) -> Odoo:
    """Count won and lost leads by value, stage and tag, for each team.

    Written from a description of the algorithm alone; Odoo's source is under another licence and was not used. Counts
    are made anew at each fit, so its live corrections are not needed.

    Parameters
    ----------
    leads : OdooLeads
        Closed leads; a lost lead stands in the stage in which it was lost.
    won : ndarray of float64, shape (n,)
        1 won, 0 lost.
    stages : int
        Open stages of the pipeline; the stage after them is the won one.
    """
    none = int(leads.team.max(initial=-1)) + 1
    row = np.where(leads.team < 0, none, leads.team)
    passed = (won[:, None] > 0) | (np.arange(stages + 1) <= leads.stage[:, None])
    return Odoo(
        stages=_counted(passed, row, won, none + 1),
        fields=tuple(_counted(code, row, won, none + 1) for code in leads.fields.T),
        tags=_frequent(_counted(leads.tags, row, won, none + 1)),
        base_rate=float(won.mean()),
    )


def quintiles(values: Floats, learned: Flags) -> Integers:
    """Bin a number by the quintiles of the rows learned from, since naive Bayes knows no numbers.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    learned : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
        Bin, 0..4; -1 where the number is missing.
    """
    known = values[learned & np.isfinite(values)]
    edges = np.unique(np.quantile(known, [0.2, 0.4, 0.6, 0.8])) if len(known) else np.zeros(0)
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="left"), -1).astype(np.int64)


def _counted(values: Integers | Flags, team: Integers, won: Floats, height: int) -> _Counts:
    """Wins and losses by team (``height`` rows) and value; flags may give a lead several values."""
    if values.ndim == 1:
        rows, code, levels = np.flatnonzero(values >= 0), values[values >= 0], int(values.max(initial=-1)) + 1
    else:
        (rows, code), levels = np.nonzero(values), values.shape[1]
    cell = team[rows] * levels + code
    n = np.bincount(cell, minlength=height * levels).reshape(height, levels)
    wins = np.bincount(cell, won[rows], minlength=height * levels).reshape(height, levels)
    stored = np.where(n > 0, wins + _SMOOTHING, 0.0), np.where(n > 0, n - wins + _SMOOTHING, 0.0)
    return _pooled(*stored)


def _frequent(tags: _Counts) -> _Counts:
    """Without the rows of (team, tag) that too few leads stand behind."""
    rows = [stored[:-1] for stored in tags]
    enough = rows[0] + rows[1] >= _LEAST_TAGGED
    return _pooled(*(np.where(enough, stored, 0.0) for stored in rows))


def _pooled(won: Floats, lost: Floats) -> _Counts:
    return _Counts(*(np.vstack([stored, stored.sum(axis=0, keepdims=True)]) for stored in (won, lost)))


def _log_ratio(won: Floats, lost: Floats) -> Floats:
    return np.log(np.maximum(won, _TINY)) - np.log(np.maximum(lost, _TINY))
