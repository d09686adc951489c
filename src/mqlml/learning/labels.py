"""Rows to learn from: each mature snapshot of a candidate and whether it was won within the horizon."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mqlml.errors import DataRefused, Problem
from mqlml.learning.censoring import Watched
from mqlml.learning.cohorts import leave_out_hopeless
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Flags, Floats, Integers
from mqlml.learning.snapshots import candidates, grid, thin

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.snapshots import Population

__all__ = ["MIN_OF_A_CLASS", "Rows", "Young", "labelled_rows", "watch"]

MIN_OF_A_CLASS = 10

Timing = Literal["horizon", "final", "order", "none"]


@dataclass(frozen=True)
class Young:
    """What is needed to learn from snapshots whose horizon is not over.

    Attributes
    ----------
    rows, everyone : Watched
        The labelled snapshots, and all candidate snapshots, those without a label yet included.
    horizon : int
        Microseconds.
    """

    rows: Watched
    everyone: Watched
    horizon: int


@dataclass(frozen=True)
class Rows:
    """Labelled snapshots, sorted by lead and moment.

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
    weight : ndarray of float64, shape (n,)
        Weight in a fit: 1, unless ``[label] mode`` is "ipcw".
    mature : ndarray of bool, shape (n,)
        Rows whose horizon is over; the others are fitted on, never tested on.
    young : Young or None
        In mode "ipcw" what the weights are made of.
    notes : tuple of str
    importance : ndarray of float64, shape (n,), or None
        Weights that make up for who was handed over, where control leads tell; None stands for 1 each.
    """

    lead: Integers
    at: Integers
    when: Integers
    known: Integers
    won: Floats
    group: Integers
    timing: Timing
    sampled: float = 1.0
    weight: Floats = field(default_factory=lambda: np.ones(0))
    mature: Flags = field(default_factory=lambda: np.ones(0, dtype=bool))
    young: Young | None = None
    notes: tuple[str, ...] = ()
    importance: Floats | None = None

    def __post_init__(self) -> None:
        if len(self.weight) != len(self.lead):
            object.__setattr__(self, "weight", np.ones(len(self.lead)))
        if len(self.mature) != len(self.lead):
            object.__setattr__(self, "mature", np.ones(len(self.lead), dtype=bool))

    def __len__(self) -> int:
        return len(self.lead)

    @property
    def base_rate(self) -> float:
        """Share of won rows, by weight, 0..1."""
        return float(np.average(self.won, weights=self.weight))

    def where(self, flags: Flags) -> Rows:
        """The rows for which ``flags`` is true."""
        names = ("lead", "at", "when", "known", "won", "group", "weight", "mature")
        young = None if self.young is None else replace(self.young, rows=self.young.rows.where(flags))
        importance = None if self.importance is None else self.importance[flags]
        return replace(self, young=young, importance=importance, **{name: getattr(self, name)[flags] for name in names})

    def seen_from(self, origin: int | None) -> Rows:
        """The same rows with labels and weights as they were known at ``origin``; those unknown then weigh nothing.

        Parameters
        ----------
        origin : int or None
            Position on the time axis; None stands for today.
        """
        if origin is None:
            return self
        if self.young is None:
            # An order without dates has no horizon: what stands earlier in the file is known.
            return replace(self, weight=((self.known <= origin) & (self.when < origin)).astype(float))
        weight = self.young.rows.weights(origin, self.young.horizon, self.young.everyone)
        _, _, won = self.young.rows.told(origin, self.young.horizon)
        return replace(self, weight=weight, won=won.astype(float))

    @property
    def fit_weight(self) -> Floats | None:
        """Weight of each row in a fit, shape (n,); None where all weigh the same."""
        if self.importance is None:
            return self.weight if self.young else None
        return self.importance * self.weight if self.young else self.importance

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
    _check_classes(rows.where(rows.mature), config)
    keep, share = thin(rows.group, max_rows=config.model.max_rows, seed=config.model.seed)
    return replace(rows.where(keep), sampled=share)


def watch(people: Population, lead: Integers, at: Integers) -> Watched:
    """What happened to snapshots later, as far as it is known."""
    decisions = people.decisions
    return Watched(at, decisions.wins.first_from(lead, at), decisions.moments.first_from(lead, at))


def _within_horizon(people: Population, config: Config, as_of: int) -> Rows:
    """Positive iff won in ``[s, s + H)``; snapshots with ``s + H <= as_of`` are mature."""
    horizon = int(config.label.horizon_days or 0) * DAY
    step = config.snapshots.every_days
    oldest = grid(people, newest=as_of - horizon, every_days=step)
    youngest = range(as_of - horizon + step * DAY, as_of, step * DAY) if config.label.mode == "ipcw" else ()
    lead, at = candidates(people, [*oldest, *youngest])
    watched = watch(people, lead, at)
    won = watched.won - at < horizon
    kept, notes = leave_out_hopeless(people, lead, at, won, horizon=horizon, as_of=as_of)
    rows = Rows(lead, at, at, at + horizon, won.astype(float), people.group[lead], "horizon", notes=notes)
    if config.label.mode == "ipcw":
        mature = at + horizon <= as_of
        young = Young(watched, watched.where(kept), horizon)
        weight = watched.weights(as_of, horizon, young.everyone)
        rows = replace(rows, mature=mature, young=young, weight=weight)
        kept &= weight > 0
        rows = replace(rows, notes=(*notes, _young_note(rows.where(kept))))
    return rows.where(kept)


def _young_note(rows: Rows) -> str:
    return (
        f"{int((~rows.mature).sum()):,} of {len(rows):,} snapshots are younger than the horizon; they are learned from "
        f"since their outcome is known already, and those like them weigh up to {rows.weight.max(initial=1.0):.2f}. "
        "Tests use none of them."
    )


def _final(people: Population) -> Rows:
    """One row a closed lead, seen just after its creation."""
    lead = np.flatnonzero(~np.isnan(people.outcome) & (people.created < NEVER))
    at = people.start[lead] + 1
    decided = people.decisions.last(len(people.outcome))[lead]
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
