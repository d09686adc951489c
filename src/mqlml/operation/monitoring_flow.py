"""What flows in and out week by week: MQLs, events, new event types, and how fresh the tables are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson, t

from mqlml.errors import shown
from mqlml.learning.moments import DAY
from mqlml.operation.monitoring import Measured, missing

__all__ = ["event_flow", "freshness", "new_event_types", "new_mqls", "volume"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FEWEST_WEEKS, _MOST_TOLD = 6, 8
# A change of a quarter of a usual week is what somebody would ask about.
_LARGE = 0.25
_FEWEST_EVENTS = 20.0
_DAYS_BEFORE, _WEEKS_BEFORE = 84, 12


def volume(now: float | None, before: Sequence[float], *, usual: Mapping[str, float] | None) -> Measured:
    """MON-05: new MQLs of the last week against those of past weeks.

    Parameters
    ----------
    now : float or None
        New MQLs in the last seven days; None where there is no list of a week ago to compare with.
    before : sequence of float
        Past weeks as the policy replayed them.
    usual : mapping or None
        ``median``, ``p10`` and ``p90`` that the policy promised.
    """
    if now is None:
        return missing("MON-05", "Needs scores of today and of a week ago (--scores): who is new is told from both.")
    if len(before) < _FEWEST_WEEKS:
        return missing("MON-05", f"Needs {_FEWEST_WEEKS} replayed weeks in the bundle, there are {len(before)}.")
    mean = float(np.mean(before))
    span = "" if not usual else f"; four weeks of five had {usual['p10']:.0f} to {usual['p90']:.0f}"
    sentence = f"{now:,.0f} new MQLs in the last seven days, {mean:.1f} in a usual week{span}."
    figures = {"now": now, "usual": mean, "promised": dict(usual or {})}
    return Measured("MON-05", sentence, _odd(now, before), large=_is_large(now, mean), figures=figures)


def event_flow(weeks: Mapping[str, Sequence[float]]) -> Measured:
    """MON-12: events of the last week by type against the weeks before.

    Parameters
    ----------
    weeks : mapping of str to sequence of float
        Events of each type and week, the newest week last.
    """
    found = []
    for name, counts in weeks.items():
        *before, now = counts
        if len(before) >= _FEWEST_WEEKS and np.mean(before) >= _FEWEST_EVENTS:
            mean = float(np.mean(before))
            found.append((_odd(now, before), name, now, mean, _is_large(now, mean)))
    if not found:
        what = f"Needs {_FEWEST_WEEKS} past weeks of an event with {_FEWEST_EVENTS:.0f} a week."
        return missing("MON-12", what)
    found.sort()
    large = [one for one in found if one[4]] or found[:1]
    odd = [one for one in large if one[0] * len(found) <= 0.05]
    told = "; ".join(f"{shown(name)}: {now:,.0f}, usually {mean:,.0f}" for _, name, now, mean, _ in odd[:_MOST_TOLD])
    sentence = f"{len(odd)} of {len(found)} event types left their usual range" + (f": {told}." if odd else ".")
    p = min(1.0, len(found) * large[0][0])
    return Measured("MON-12", sentence, p, large=large[0][4], figures={"types": len(found), "odd": len(odd)})


def new_event_types(known: Mapping[str, int] | None, leads: Mapping[str, int], *, few: int, days: float) -> Measured:
    """MON-10: event types that training hardly knew and many leads do now.

    A type with fewer than ``few`` events in the ``days`` of the history has at most so many a week: Poisson test.

    Parameters
    ----------
    known : mapping of str to int or None
        Events by type in the reference.
    leads : mapping of str to int
        Leads that did each type in the last seven days.
    few : int
    days : float
        That the history of the training covered.
    """
    if known is None:
        return missing("MON-10", "The bundle does not say which events it knew: train again.")
    if not leads:
        return missing("MON-10", "No events in the last seven days; see MON-11.")
    others = sorted(((n, name) for name, n in leads.items() if name not in known), reverse=True)
    if not others:
        return Measured("MON-10", "Every event of the last week has a type that training knew.", 1.0)
    p = min(1.0, len(others) * float(poisson.sf(others[0][0] - 1, few * min(7 / days, 1.0))))
    told = ", ".join(f"'{shown(name)}' ({n:,} leads)" for n, name in others[:_MOST_TOLD])
    return Measured("MON-10", f"Rare or unknown at training: {told}.", p, figures={"types": len(others)})


def freshness(now: int, newest: Mapping[str, Integers]) -> Measured:
    """MON-11: time since the newest row of each table against the longest gap in the twelve weeks before that row.

    A gap that came in k of twelve weeks has a chance of about (k + 1) / 13. Beyond the longest it is taken to fall off
    exponentially, by 84 for each further gap as long as that. Less than a day is never odd: exports come once a day.

    Parameters
    ----------
    now : int
        Microseconds.
    newest : mapping of str to ndarray of int64
        Ascending times of the rows of each table that lie before ``now``.
    """
    found = []
    for name, times in newest.items():
        lately = times[times >= times[-1] - _DAYS_BEFORE * DAY] if len(times) else times
        if len(lately) > 1 and lately[-1] - lately[0] >= _DAYS_BEFORE * DAY // 2:
            gaps, gap = np.diff(lately), now - int(times[-1])
            longest = max(int(gaps.max()), DAY)
            found.append((_gap_chance(gaps, gap, longest), name, gap / DAY, longest / DAY))
    if not found:
        return missing("MON-11", "Needs tables with times that reach back six weeks.")
    found.sort()
    said = "; ".join(f"{name} {gap:.1f} days old (at most {longest:.1f} lately)" for _, name, gap, longest in found)
    p = min(1.0, len(found) * found[0][0])
    figures = {name: {"days": gap, "longest": longest} for _, name, gap, longest in found}
    return Measured("MON-11", f"Newest rows: {said}.", p, figures=figures)


def new_mqls(lists: Sequence[tuple[int, frozenset[str]]]) -> list[tuple[int, int]]:
    """Leads that came onto the list in each of the last weeks, counted back from the newest list.

    Parameters
    ----------
    lists : sequence of (int, frozenset of str)
        Moments in microseconds and the MQLs of each, ascending.

    Returns
    -------
    list of (int, int)
        End of the week and newcomers, ascending; weeks without a list before them, or without one of their own, are
        left out.
    """
    found: list[tuple[int, int]] = []
    end = lists[-1][0] if lists else 0
    while lists and end > lists[0][0]:
        before = [mqls for at, mqls in lists if end - 14 * DAY < at <= end - 7 * DAY]
        within = [mqls for at, mqls in lists if end - 7 * DAY < at <= end]
        if before and within:
            found.append((end, len(frozenset().union(*within) - before[-1])))
        end -= 7 * DAY
    return found[::-1]


def _gap_chance(gaps: Integers, gap: int, longest: int) -> float:
    as_long = int((gaps >= gap).sum())
    if gap <= longest:
        return min(1.0, (as_long + 1) / (_WEEKS_BEFORE + 1)) if gap > DAY else 1.0
    return float(_DAYS_BEFORE ** (1 - gap / longest)) / (_WEEKS_BEFORE + 1)


def _odd(now: float, before: Sequence[float]) -> float:
    """Two-sided p-value of a week's count: square roots (Anscombe 1948, Biometrika 35:246) and a t test."""
    roots = np.sqrt(np.asarray(before, dtype=float) + 0.375)
    n = len(roots)
    spread = max(float(roots.std(ddof=1)), 0.5)
    z = (np.sqrt(now + 0.375) - roots.mean()) / (spread * np.sqrt(1 + 1 / n))
    return float(2 * t.sf(abs(z), n - 1))


def _is_large(now: float, mean: float) -> bool:
    return abs(now - mean) >= _LARGE * max(mean, 1.0)
