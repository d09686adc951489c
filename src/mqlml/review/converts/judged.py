"""Leads that can be counted: those whose outcome is known, with the moment up to which their past counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.cohorts import leave_out_hopeless
from mqlml.learning.moments import DAY, LONG_AGO, NEVER

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.snapshots import Population

__all__ = ["Judged", "judged_leads", "open_until"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """One row a lead; arrays of shape (n,).

    Attributes
    ----------
    lead : ndarray of int64
        Index into the population, ascending.
    lead_id : pa.Array of string
    group : ndarray of int64
        Account code.
    won : ndarray of float64
        1 where it was won (within the horizon, where there is one), else 0.
    start : ndarray of int64
        First moment worth looking.
    before : ndarray of int64
        What happened strictly before counts: the first decision, the moment sales took the lead, or the end of the
        horizon, whichever came first. ``NEVER`` in a history without dates.
    ended : ndarray of int64
        When the lead was won, or decided without a win; ``NEVER`` where it was not or nobody knows when.
    horizon_days : int or None
    """

    lead: Integers
    lead_id: pa.Array
    group: Integers
    won: Floats
    start: Integers
    before: Integers
    ended: Integers
    horizon_days: int | None

    def __len__(self) -> int:
        return len(self.lead)

    def where(self, flags: npt.NDArray[np.bool_]) -> Judged:
        """The leads for which ``flags`` is true."""
        arrays = {name: getattr(self, name)[flags] for name in ("lead", "group", "won", "start", "before", "ended")}
        return replace(self, lead_id=self.lead_id.filter(pa.array(flags)), **arrays)

    @property
    def dated(self) -> bool:
        """Whether it is known what happened before the decisions at all."""
        return bool(((self.before < NEVER) & (self.before > LONG_AGO)).any())

    def table(self) -> pa.Table:
        """What ``history.touches.read_touches`` asks for; leads are numbered as the rows here."""
        return pa.table({"lead": np.arange(len(self)), "lead_id": self.lead_id, "before": self.before})


def judged_leads(people: Population, config: Config, *, as_of: int | None) -> Judged:
    """Find the leads to count.

    With a horizon those that had all of it, counted from their start and whatever became of them; else those that were
    decided. Leads of times whose outcomes were not recorded are left out, as in training.

    Parameters
    ----------
    people : Population
        Built with ``until=as_of``.
    config : Config
    as_of : int or None
        Microseconds; None in a history without dates.
    """
    days = config.label.horizon_days if people.dated and as_of is not None else None
    n = len(people.group)
    wins = people.decisions.wins.first_from(np.arange(n), people.start)
    end = np.full(n, NEVER)
    if days is None or as_of is None:
        chosen = people.present & ~np.isnan(people.outcome)
        won = np.nan_to_num(people.outcome)
    else:
        end = people.start + days * DAY
        chosen = people.present & (people.start < NEVER) & (end <= as_of)
        won = (wins < end).astype(float)
        lead = np.flatnonzero(chosen)
        kept, _ = leave_out_hopeless(people, lead, people.start[lead], won[lead] > 0, horizon=days * DAY, as_of=as_of)
        chosen[lead[~kept]] = False
    lead = np.flatnonzero(chosen)
    return Judged(
        lead,
        people.lead_id.take(pa.array(lead)),
        people.group[lead],
        won[lead],
        people.start[lead],
        np.minimum(open_until(people), end)[lead],
        _ended(people, won, wins)[lead],
        days,
    )


def open_until(people: Population) -> Integers:
    """When each lead of a population was decided, or sales took it for the first time; ``NEVER`` for neither."""
    until = people.decided.copy()
    np.minimum.at(until, people.taken_lead, people.taken_from)
    return until


def _ended(people: Population, won: Floats, wins: Integers) -> Integers:
    ended = np.where(won > 0, wins, people.decided)
    return np.where(ended > LONG_AGO, ended, NEVER)
