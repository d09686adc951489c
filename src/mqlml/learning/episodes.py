"""Episodes: a lead that was lost, or fell asleep, is a candidate again from its next sign of life on.

A sign of life is something the lead does itself (an event that sales did not make), or a new opportunity. It counts
from the moment it is known, so that a later record never changes what an earlier moment saw. What a lost lead does
itself reopens it only where a second decision is possible: files that hold one outcome a lead never tell of a win after
a loss, so that reopened leads could only be counted as not won.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mqlml.history.queries import signs_of_life
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Flags, Integers, Moments

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.learning.decisions import Decisions

__all__ = ["Beginnings", "Episodes", "find_episodes"]


@dataclass(frozen=True)
class Episodes:
    """Every episode after a lead's first; arrays of shape (k,).

    Attributes
    ----------
    begin : Moments
    decided : ndarray of int64
        First decision in the episode, ``NEVER`` while it is open.
    by_itself : ndarray of bool
        The lead had been decided, and nobody opened an opportunity since: its own doing alone began the episode.
    reopening_since : int
        When a lead was first seen to be decided a second time. Until then nobody knew that this happens, and the
        episodes that began by themselves do not count.
    """

    begin: Moments
    decided: Integers
    by_itself: Flags
    reopening_since: int

    def begun(self, moment: int) -> Flags:
        """Episodes that had begun strictly before ``moment``, as known then; shape (k,)."""
        known = self.begin.at < moment
        return known if moment > self.reopening_since else known & ~self.by_itself

    def open_before(self, lead: Integers, at: Integers, first_decided: Integers) -> Flags:
        """Whether each lead was undecided strictly before a moment.

        Parameters
        ----------
        lead, at : ndarray of int64, shape (n,)
        first_decided : ndarray of int64, shape (n,)
            First decision of those leads.
        """
        place = self.begin.place_before(lead, at)
        counts = (place >= 0) & ~(np.append(self.by_itself, False)[place] & (at <= self.reopening_since))
        return np.where(counts, np.append(self.decided, NEVER)[place], first_decided) >= at


@dataclass(frozen=True)
class Beginnings:
    """What every lead's first episode is made of, and what may begin a further one.

    Attributes
    ----------
    start : ndarray of int64, shape (leads,)
        Begin of the first episode.
    decisions : Decisions
    opened : Moments
        When sales opened opportunities: they begin an episode even of a lead that was won.
    done : ndarray of int64, shape (leads,)
        Nothing begins after this moment; ``NEVER`` for most leads.
    max_age_days : int
        An episode that lasts longer sleeps until the next sign of life.
    reopening_since : int
        See :class:`Episodes`.
    """

    start: Integers
    decisions: Decisions
    opened: Moments
    done: Integers
    max_age_days: int
    reopening_since: int

    def bound(self, lead: Integers, start: Integers) -> Integers:
        """When an episode that begins at ``start`` is over: decided, or asleep; a later sign of life begins another."""
        return np.minimum(start + self.max_age_days * DAY, self.decisions.moments.first_from(lead, start))

    def first_bounds(self) -> Integers:
        """The same for the first episodes, which any decision ends; shape (leads,)."""
        n = len(self.start)
        asleep = np.where(self.start < NEVER, self.start + self.max_age_days * DAY, NEVER)
        return np.where(self.done == LONG_AGO, NEVER, np.minimum(asleep, self.decisions.first(n)))


def find_episodes(history: History, beginnings: Beginnings, *, until: int, by_sales: tuple[str, ...]) -> Episodes:
    """Find every episode after the first.

    Parameters
    ----------
    history : History
    beginnings : Beginnings
    until : int
        Microseconds: only what was known strictly before counts.
    by_sales : tuple of str
        Event types that are no sign of life.
    """
    bound = beginnings.first_bounds()
    spans, others = _spans(history, beginnings, until), _opened(beginnings, until)
    found = [Moments.none()]
    with signs_of_life(history, spans, others, until=until, without=by_sales) as batches:
        for batch in batches:
            found += _play(batch["lead"].to_numpy(), batch["known"].to_numpy(), beginnings, bound)
    again = Moments.of(np.concatenate([m.lead for m in found]), np.concatenate([m.at for m in found]))
    decided = beginnings.decisions.moments.first_from(again.lead, again.at)
    return Episodes(again, decided, _by_itself(beginnings, again), beginnings.reopening_since)


def _by_itself(beginnings: Beginnings, again: Moments) -> Flags:
    """Whether there was a decision before, and no opportunity opened since."""
    moments, opened = beginnings.decisions.moments, beginnings.opened
    before = np.append(moments.at, -NEVER)[moments.place_before(again.lead, again.at)]
    reopened = opened.first_from(again.lead, before + 1) <= again.at
    return (before > -NEVER) & ~reopened


def _spans(history: History, beginnings: Beginnings, until: int) -> pa.Table:
    """The times in which an event can begin an episode: asleep before any decision, and after a loss."""
    decisions, n = beginnings.decisions, len(beginnings.start)
    moments = decisions.moments
    following = np.append(moments.at, NEVER)[1:]
    following[np.append(moments.lead, -1)[1:] != moments.lead] = NEVER
    lead = np.r_[np.arange(n), moments.lead]
    after = np.r_[beginnings.start + beginnings.max_age_days * DAY, moments.at]
    upto = np.minimum(np.r_[decisions.first(n), following], beginnings.done[lead])
    open_to_events = np.r_[np.ones(n, dtype=bool), ~decisions.closed]
    useful = open_to_events & (after < upto) & (after < until)
    lead = lead[useful]
    ids = history.leads["lead_id"].combine_chunks().take(pa.array(lead))
    return pa.table({"lead": lead, "lead_id": ids, "after": after[useful], "upto": upto[useful]})


def _opened(beginnings: Beginnings, until: int) -> pa.Table:
    lead, at = beginnings.opened.lead, beginnings.opened.at
    useful = (at < until) & (at <= beginnings.done[lead])
    return pa.table({"lead": lead[useful], "known": at[useful]})


def _play(lead: Integers, known: Integers, beginnings: Beginnings, bound: Integers) -> Iterator[Moments]:
    """Play signs of life, sorted by lead and time: those that begin an episode; ``bound`` moves with them."""
    who, low = np.unique(lead, return_index=True)
    high = np.append(low[1:], len(lead))
    while len(who):
        place = _after(known, low, high, bound[who])
        there = place < high
        who, low, high = who[there], place[there], high[there]
        bound[who] = beginnings.bound(who, known[low])
        yield Moments(who, known[low])


def _after(known: Integers, low: Integers, high: Integers, bound: Integers) -> Integers:
    """Bisect every stretch ``low .. high`` of ``known`` for its first value above ``bound``; ``high`` where none is."""
    low, high = low.copy(), high.copy()
    while (looking := low < high).any():
        middle = (low + high) // 2
        above = known[np.minimum(middle, len(known) - 1)] > bound
        low = np.where(looking & ~above, middle + 1, low)
        high = np.where(looking & above, middle, high)
    return low
