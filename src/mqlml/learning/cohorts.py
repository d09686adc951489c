"""Snapshots that could not have become wins in the files: outcomes recorded only later, no longer, or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Flags, Integers

if TYPE_CHECKING:
    from mqlml.learning.snapshots import Population

__all__ = ["leave_out_hopeless"]

# So many wins would have been expected where there is none: chance alone does that once in 20,000 histories.
_EXPECTED_WINS = 10.0
_OUTCOMES_TO_JUDGE_A_GAP = 20


def leave_out_hopeless(
    people: Population, lead: Integers, at: Integers, won: Flags, *, horizon: int, as_of: int
) -> tuple[Flags, tuple[str, ...]]:
    """Find snapshots that no recorded outcome could have made a win; learned from, they would teach that nobody wins.

    Parameters
    ----------
    people : Population
    lead, at : ndarray of int64, shape (n,)
        The snapshots.
    won : ndarray of bool, shape (n,)
        Whether each was won within its horizon.
    horizon, as_of : int
        Microseconds.

    Returns
    -------
    tuple of (ndarray of bool, tuple of str)
        Which snapshots stay, and a sentence for each reason to leave some out.
    """
    kept = np.ones(len(at), dtype=bool)
    decided = people.decisions.moments.at
    decided = np.unique(decided[decided > LONG_AGO])
    if not len(decided) or not len(at):
        return kept, ()
    notes = []
    wins = np.unique(people.decisions.wins.at)
    for name, times, certain in (("outcome", decided, True), ("win", wins[wins > LONG_AGO], False)):
        for side, edge in _edges(times, at, horizon):
            out = kept & side
            if out.any() and (certain or _expected(out, kept, lead, won) >= _EXPECTED_WINS):
                notes.append(f"{int(out.sum()):,} snapshots are left out: no {name} is recorded {_day(edge)}.")
                kept &= ~out
    months = kept & _silent_months(people, lead, kept, won)
    if months.any():
        notes.append(_month_note(people, lead[months]))
        kept &= ~months
    return kept, (*notes, *_gap(decided, as_of, horizon))


def _edges(times: Integers, at: Integers, horizon: int) -> list[tuple[Flags, tuple[str, int]]]:
    """Snapshots whose horizon ends before the first of some times, or begins after the last."""
    if not len(times):
        return []
    first, last = int(times[0]), int(times[-1])
    return [(at + horizon <= first, ("before", first)), (at > last, ("after", last))]


def _expected(out: Flags, kept: Flags, lead: Integers, won: Flags) -> float:
    """Winning leads that would be among some snapshots if they were like the others."""
    rest = kept & ~out
    winners = len(np.unique(lead[rest & won]))
    return winners * float(out.sum()) / max(float(rest.sum()), 1.0)


def _silent_months(people: Population, lead: Integers, kept: Flags, won: Flags) -> Flags:
    """Snapshots of leads created in a month none of whose leads has any outcome, where losses are recorded too."""
    silent = np.zeros(len(lead), dtype=bool)
    if people.decisions.won.all():
        return silent
    month = _months(people.created)
    with_outcome = np.unique(month[(people.decided < NEVER) | people.ignored])
    for quiet in np.setdiff1d(np.unique(month[lead[kept]]), with_outcome):
        out = kept & (month[lead] == quiet)
        if _expected(out, kept, lead, won) >= _EXPECTED_WINS:
            silent |= out
    return silent


def _month_note(people: Population, lead: Integers) -> str:
    months = ", ".join(str(m) for m in np.unique(_months(people.created[lead])).astype("datetime64[M]"))
    return (
        f"{len(lead):,} snapshots are left out: no lead created in {months} has any outcome, so that theirs were "
        "probably not recorded."
    )


def _gap(decided: Integers, as_of: int, horizon: int) -> tuple[str, ...]:
    """Say when outcomes seem to have been exported earlier than the rest."""
    gap = as_of - int(decided[-1])
    if len(decided) < _OUTCOMES_TO_JUDGE_A_GAP or gap <= max(7 * DAY, horizon // 10, int(np.diff(decided).max())):
        return ()
    return (
        f"No outcome is recorded {_day(('after', int(decided[-1])))}, {gap // DAY:,} days before as-of, longer than "
        "ever: if outcomes were exported before the rest, set --as-of to that day, or wins not in the files count as "
        "none.",
    )


def _months(moments: Integers) -> Integers:
    return moments.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _day(edge: tuple[str, int]) -> str:
    side, moment = edge
    return f"{side} {np.datetime64(moment, 'us').astype('datetime64[D]')}"
