"""Rows to learn from: each mature snapshot of a candidate and whether it was won within the horizon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from mqlml.errors import DataRefused, Problem
from mqlml.learning.snapshots import DAY, LONG_AGO, NEVER, Flags, Integers, candidates, grid, thin

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.snapshots import Population

__all__ = ["MIN_OF_A_CLASS", "Rows", "labelled_rows"]

MIN_OF_A_CLASS = 10

Timing = Literal["horizon", "final", "order", "none"]


@dataclass(frozen=True)
class Rows:
    """Labelled snapshots, sorted by lead and moment; every row weighs 1.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        Index into the population.
    at : ndarray of int64, shape (n,)
        Snapshot moment in microseconds (``NEVER`` in a history without dates).
    when, known : ndarray of int64, shape (n,)
        Position on the time axis, and where on it the label becomes known (equal to ``when`` for an order).
    won : ndarray of float64, shape (n,)
        1 where the lead was won within the horizon, else 0.
    group : ndarray of int64, shape (n,)
        Account code.
    timing : {"horizon", "final", "order", "none"}
        What the labels and the time axis mean.
    sampled : float
        Share of the accounts kept, 0..1.
    """

    lead: Integers
    at: Integers
    when: Integers
    known: Integers
    won: npt.NDArray[np.float64]
    group: Integers
    timing: Timing
    sampled: float = 1.0

    def __len__(self) -> int:
        return len(self.lead)

    def where(self, flags: Flags) -> Rows:
        """The rows for which ``flags`` is true."""
        names = ("lead", "at", "when", "known", "won", "group")
        return replace(self, **{name: getattr(self, name)[flags] for name in names})

    def winning_leads(self, flags: Flags | None = None) -> int:
        """Number of distinct leads with a won snapshot (among ``flags``)."""
        won = self.won > 0 if flags is None else (self.won > 0) & flags
        return len(np.unique(self.lead[won]))


def labelled_rows(people: Population, config: Config, *, as_of: int | None) -> Rows:
    """Make the rows a training may learn from, given what was known before ``as_of``.

    Parameters
    ----------
    people : Population
        Built with ``until=as_of``.
    as_of : int or None
        Microseconds in UTC; None in a history without dates.

    Raises
    ------
    DataRefused
        Fewer than ten leads of a class: nothing could be learned or tested.
    """
    if not people.dated:
        rows = _undated(people, ordered=config.leads.order is not None)
    elif config.label.horizon_days is None or as_of is None:
        rows = _final(people)
    else:
        rows = _within_horizon(people, config, as_of)
    _check_classes(rows, config)
    keep, share = thin(rows.group, max_rows=config.model.max_rows, seed=config.model.seed)
    return replace(rows.where(keep), sampled=share)


def _within_horizon(people: Population, config: Config, as_of: int) -> Rows:
    """Positive iff won in ``[s, s + H)``; only snapshots with ``s + H <= as_of`` are mature."""
    horizon = int(config.label.horizon_days or 0) * DAY
    moments = grid(people, newest=as_of - horizon, every_days=config.snapshots.every_days)
    lead, at = candidates(people, moments, max_age_days=config.snapshots.max_age_days)
    won = (people.won_at[lead] >= at) & (people.won_at[lead] < at + horizon)
    return Rows(lead, at, at, at + horizon, won.astype(float), people.group[lead], "horizon")


def _final(people: Population) -> Rows:
    """One row a closed lead, seen just after its creation."""
    lead = np.flatnonzero(~np.isnan(people.outcome) & (people.created < NEVER))
    at = people.start[lead] + 1
    decided = people.decided[lead]
    known = np.where(decided == LONG_AGO, at, np.maximum(decided, at))
    return Rows(lead, at, at, known, people.outcome[lead], people.group[lead], "final")


def _undated(people: Population, *, ordered: bool) -> Rows:
    """One row a closed lead; the declared order, where there is one, stands for time."""
    lead = np.flatnonzero(~np.isnan(people.outcome))
    when = np.argsort(np.argsort(people.order[lead], kind="stable"), kind="stable").astype(np.int64)
    at = np.full(len(lead), NEVER)
    timing: Timing = "order" if ordered else "none"
    return Rows(lead, at, when, when, people.outcome[lead], people.group[lead], timing)


def _check_classes(rows: Rows, config: Config) -> None:
    winners = rows.winning_leads()
    losers = len(np.unique(rows.lead)) - winners
    if min(winners, losers) >= MIN_OF_A_CLASS:
        return
    days = config.label.horizon_days
    within = f"within {days} days" if rows.timing == "horizon" else "in the end"
    raise DataRefused(
        [
            Problem(
                "few-outcomes",
                config.outcomes.path or config.leads.path,
                f"{winners:,} leads with a full horizon behind them were won {within} and {losers:,} were not; "
                f"at least {MIN_OF_A_CLASS} of each are needed",
                "add older history, use a later --as-of, shorten [label] horizon_days, "
                "or check the values of [outcomes] won and lost",
            )
        ]
    )
