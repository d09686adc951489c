"""The weeks of the past played again: who would have crossed a threshold when, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.learning.evaluation import Interval, Resampler, binomial_interval
from mqlml.learning.snapshots import DAY

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows

__all__ = ["Outcome", "Replay", "make_replay"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """What a threshold would have done.

    Attributes
    ----------
    mqls, wins : int
        Leads handed over (first crossings), and those of them won within the horizon.
    win_rate, share_of_wins, lift : Interval
        Rates 0..1; lift over the win rate of all candidates.
    share_of_leads : float
        MQLs over all candidates, 0..1.
    per_week : dict or None
        Median, p10 and p90 of weekly first crossings, scaled to all leads; None in a history without dates.
    """

    mqls: int
    wins: int
    win_rate: Interval
    share_of_wins: Interval
    lift: Interval
    share_of_leads: float
    per_week: dict[str, float] | None


@dataclass(frozen=True)
class Replay:
    """Tested snapshots sorted by lead and time, ready to be crossed by any threshold.

    Attributes
    ----------
    lead, group : ndarray of int64, shape (n,)
    week : ndarray of int64, shape (n,)
        Number of the grid week, or -1 in a history without dates.
    p, won : ndarray of float64, shape (n,)
    start_week : ndarray of int64
        Weeks in which a stretch of the replay begins: they hold a backlog, so they do not count as usual weeks.
    sampled : float
        Share of accounts in the replay, 0..1; volumes are divided by it.
    first_moment : int or None
        Beginning of week 0 in microseconds; None in a history without dates.
    part : ndarray of int64, shape (n,), or None
        Number of each row's window among ``parts``.
    parts : tuple of str
        Names of the windows, in time order.
    more : mapping of str to ndarray of float64, shape (n,)
        What is known besides, as far as it was recorded: see ``mqlml.decision.basis``.
    payable : ndarray of bool, shape (n,), or None
        Rows that may become MQLs at all: those worth their cost; None means all.
    """

    lead: Integers
    group: Integers
    week: Integers
    p: Floats
    won: Floats
    start_week: Integers
    sampled: float
    first_moment: int | None = None
    part: Integers | None = None
    parts: tuple[str, ...] = ()
    more: Mapping[str, Floats] = field(default_factory=lambda: MappingProxyType({}))
    payable: Flags | None = None

    def where(self, flags: Flags) -> Replay:
        """The rows for which ``flags`` is true; weeks that begin a stretch stay those of the whole replay."""
        return self._taken(np.flatnonzero(flags))

    def window(self, *names: str) -> Replay:
        """The rows of some windows; a stretch begins in the first week of each."""
        chosen = [self.parts.index(name) for name in names if name in self.parts]
        found = self.where(np.isin(self.part, chosen) if self.part is not None else np.zeros(len(self.p), dtype=bool))
        return replace(found, start_week=np.array([found.week.min()]) if len(found.week) else found.start_week)

    def by_account(self) -> Replay:
        """The same with accounts in the place of leads: of several leads in a week the one with the highest chance."""
        order = np.lexsort((-self.p, self.week, self.group))
        ordered = self._taken(order)
        return replace(ordered, lead=ordered.group)

    @cached_property
    def winners(self) -> int:
        """Leads won within the horizon of one of their snapshots."""
        return len(np.unique(self.lead[self.won > 0]))

    @cached_property
    def usual_weeks(self) -> Integers:
        """Weeks that hold no backlog; all of them where there are no others."""
        weeks = np.setdiff1d(np.unique(self.week), self.start_week)
        return weeks if len(weeks) else np.unique(self.week)

    def _taken(self, row: Integers) -> Replay:
        columns = {name: getattr(self, name)[row] for name in ("lead", "group", "week", "p", "won")}
        more = MappingProxyType({name: values[row] for name, values in self.more.items()})
        part = None if self.part is None else self.part[row]
        payable = None if self.payable is None else self.payable[row]
        return replace(self, **columns, part=part, more=more, payable=payable)

    @property
    def dated(self) -> bool:
        """Whether there are weeks to count."""
        return bool(len(self.week)) and bool(self.week[0] >= 0)

    def crossings(self, threshold: float) -> Integers:
        """Row of each lead's first snapshot at or above ``threshold``."""
        above = np.flatnonzero(self.p >= threshold if self.payable is None else (self.p >= threshold) & self.payable)
        lead = self.lead[above]
        return above[np.r_[True, lead[1:] != lead[:-1]]] if len(above) else above

    def weekly(self, threshold: float) -> tuple[Integers, Floats]:
        """Usual weeks and the first crossings in each, scaled to all leads."""
        weeks = self.usual_weeks
        crossed = np.sort(self.week[self.crossings(threshold)])
        counts = np.searchsorted(crossed, weeks, side="right") - np.searchsorted(crossed, weeks)
        return weeks, counts / self.sampled

    def outcome(self, threshold: float, resampler: Resampler | None = None) -> Outcome:
        """Volume, win rate and share of wins of a threshold, with 90 % intervals where a resampler is given."""
        rows = self.crossings(threshold)
        leads, first = np.unique(self.lead, return_index=True)
        ever = np.maximum.reduceat(self.won, first)
        crossed = np.zeros(len(leads))
        crossed[np.searchsorted(leads, self.lead[rows])] = 1.0
        won = np.zeros(len(leads))
        won[np.searchsorted(leads, self.lead[rows])] = self.won[rows]
        return Outcome(
            mqls=len(rows),
            wins=int(won.sum()),
            win_rate=_interval(resampler, crossed, won, exact=True),
            share_of_wins=_interval(resampler, ever, won),
            lift=_lift(resampler, crossed, won, ever),
            share_of_leads=float(crossed.mean()),
            per_week=self._per_week(threshold),
        )

    def resampler(self, *, seed: int) -> Resampler:
        """A clustered bootstrap over the leads of the replay."""
        _, first = np.unique(self.lead, return_index=True)
        return Resampler(self.group[first], seed=seed)

    def _per_week(self, threshold: float) -> dict[str, float] | None:
        if not self.dated:
            return None
        _, counts = self.weekly(threshold)
        p10, median, p90 = np.quantile(counts, [0.1, 0.5, 0.9])
        return {"median": float(median), "p10": float(p10), "p90": float(p90)}


def make_replay(
    rows: Rows,
    row: Integers,
    p: Floats,
    *,
    every_days: int,
    part: npt.NDArray[np.str_] | None = None,
    more: Mapping[str, Floats] | None = None,
) -> Replay:
    """Arrange tested snapshots for replaying.

    Parameters
    ----------
    rows : Rows
    row : ndarray of int64, shape (n,)
        Tested rows.
    p : ndarray of float64, shape (n,)
        Their chances, as they would have been given then.
    every_days : int
        Grid of the snapshots.
    part : ndarray of str, shape (n,), optional
        Window of each tested row, in time order.
    more : mapping of str to ndarray of float64, shape (n,), optional
        What else is known of each tested row.
    """
    order = np.lexsort((rows.when[row], rows.lead[row]))
    parts = () if part is None else tuple(dict.fromkeys(part.tolist()))
    number = None if part is None else np.array([parts.index(name) for name in part.tolist()], dtype=np.int64)[order]
    extra = MappingProxyType({name: values[order] for name, values in (more or {}).items()})
    row, p = row[order], p[order]
    dated = rows.timing == "horizon"
    at = rows.at[row]
    step = every_days * DAY
    grid = (at - at.min()) // step if dated else np.full(len(row), -1)
    # Volumes are promised by the week whatever the grid: a finer or coarser grid is folded into weeks.
    week = grid * every_days // 7 if dated else grid
    starts = np.array([week.min()]) if dated else np.zeros(0, dtype=np.int64)
    first = int(at.min()) if dated else None
    columns = rows.lead[row], rows.group[row], week, p, rows.won[row]
    return Replay(*columns, starts, rows.sampled, first, number, parts, extra)


def _interval(resampler: Resampler | None, of: Floats, which: Floats, *, exact: bool = False) -> Interval:
    """Share ``which`` of ``of`` over leads, with a clustered interval never narrower than the exact one."""

    def share(weight: Floats) -> float:
        total = float((weight * of).sum())
        return float((weight * which).sum()) / total if total > 0 else float("nan")

    if resampler is None:
        return Interval(share(np.ones(len(of))), None, None)
    found = resampler.interval(share)
    if not exact or of.sum() == 0:
        return found
    low, high = binomial_interval(float(which.sum()), float(of.sum()))
    return Interval(found.value, min(low, found.low or low), max(high, found.high or high))


def _lift(resampler: Resampler | None, crossed: Floats, won: Floats, ever: Floats) -> Interval:
    def ratio(weight: Floats) -> float:
        handed, base = (weight * crossed).sum(), np.average(ever, weights=weight) if weight.sum() > 0 else 0.0
        return float((weight * won).sum() / handed / base) if handed > 0 and base > 0 else float("nan")

    return Interval(ratio(np.ones(len(ever))), None, None) if resampler is None else resampler.interval(ratio)
