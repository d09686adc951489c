"""How long wins take: win rates by horizon, the share of all wins seen by then, and what that says of the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mqlml.learning.censoring import Watched, cumulative_incidence
from mqlml.learning.labels import watch
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Flags, Floats, Integers
from mqlml.learning.snapshots import candidates, thin

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.snapshots import Population

__all__ = ["ENOUGH", "WinCurves", "win_curves"]

ENOUGH = 0.9
"""Share of the wins that a horizon should see."""

_STEPS = (7, 14, 30, 60, 90, 180)
_MOST_POINTS = 12
_LONGEST_DAYS = 1_095
_LEADS_TO_SEE, _SHARE_TO_SEE, _WINS_TO_SEE = 30, 0.1, 30
_LOOK_EVERY_DAYS, _MOST_SNAPSHOTS = 28, 200_000


@dataclass(frozen=True)
class WinCurves:
    """When wins come; leads that are open count for as long as they were watched.

    Attributes
    ----------
    days : ndarray of int64, shape (k,)
        Ascending.
    win_rate : ndarray of float64, shape (k,)
        Share of candidate snapshots won within so many days, 0..1; never falls.
    share : ndarray of float64, shape (k,)
        Share of the wins seen within so many days of a lead's beginning, among those that come within ``watched_days``.
    enough_days : int
        Days within which 90 % of them came.
    watched_days : int
        So long a tenth of the leads could be watched at least.
    horizon_days : int or None
    horizon_share : float or None
        Share of the wins seen within the horizon.
    """

    days: Integers
    win_rate: Floats
    share: Floats
    enough_days: int
    watched_days: int
    horizon_days: int | None
    horizon_share: float | None

    @property
    def advice(self) -> str:
        """What the curves say of the horizon, in a sentence or more."""
        seen = f"{round(100 * ENOUGH)} % of the wins come within {self.enough_days:,} days."
        mine = ""
        if self.horizon_days is not None and self.horizon_share is not None:
            mine = f"The horizon of {self.horizon_days:,} days sees {round(100 * self.horizon_share)} % of them."
        return " ".join(filter(None, (seen, mine, self.hint)))

    @property
    def hint(self) -> str:
        """What one might do about it; empty where the horizon is fitting."""
        hints = []
        if self.enough_days > 0.8 * self.watched_days:
            hints.append(f"The history is too short to see how many come after {self.watched_days:,} days.")
        if self.horizon_days is None or self.horizon_share is None:
            hints.append(f"There is no horizon; [label] horizon_days = {self.enough_days} would see most wins.")
        elif self.horizon_share < ENOUGH - 0.1:
            hints.append("A longer horizon would see more of what there is to win.")
        elif self.horizon_days > 2 * self.enough_days:
            hints.append("A shorter horizon would see nearly as many and leave more snapshots to learn from.")
        return " ".join(hints)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the report."""
        points = zip(self.days.tolist(), self.win_rate.tolist(), self.share.tolist(), strict=True)
        return {
            "points": [{"days": d, "win_rate": rate, "share": share} for d, rate, share in points],
            "enough_days": self.enough_days,
            "watched_days": self.watched_days,
            "horizon_days": self.horizon_days,
            "horizon_share": self.horizon_share,
            "advice": self.advice,
            "hint": self.hint,
        }


def win_curves(people: Population, config: Config, *, as_of: int | None) -> WinCurves | None:
    """Measure how long wins take, with what was known strictly before ``as_of``.

    Parameters
    ----------
    people : Population
        Built with ``until=as_of``.
    config : Config
    as_of : int or None

    Returns
    -------
    WinCurves or None
        None without dates, and with fewer than 30 wins of known time.
    """
    who = np.flatnonzero(people.present & (people.start < (as_of or 0)) & (people.decided > LONG_AGO))
    if as_of is None or len(who) < _LEADS_TO_SEE:
        return None
    start = people.start[who]
    first = watch(people, who, start)
    limit = _watched_days(as_of - start)
    ends = _ends(first, as_of, lost_by=_lost_for_good(people, as_of)[who])
    if limit < _STEPS[0] or int(ends["won"].sum()) < _WINS_TO_SEE:
        return None
    whole = _incidence(ends, np.arange(1, limit + 1))
    if whole[-1] <= 0:
        return None
    enough = int(np.searchsorted(whole, ENOUGH * whole[-1])) + 1
    days = _days(whole / whole[-1], config.label.horizon_days)
    horizon = config.label.horizon_days
    return WinCurves(
        days=days,
        win_rate=_incidence(_snapshots(people, config, as_of), days),
        share=whole[days - 1] / whole[-1],
        enough_days=enough,
        watched_days=limit,
        horizon_days=horizon,
        horizon_share=None if horizon is None else float(whole[min(horizon, limit) - 1] / whole[-1]),
    )


def _watched_days(ages: Integers) -> int:
    """How long enough leads could be watched: a tenth of them, and 30 at least."""
    enough = max(_LEADS_TO_SEE, int(np.ceil(_SHARE_TO_SEE * len(ages))))
    return min(int(np.sort(ages)[-enough] // DAY), _LONGEST_DAYS)


def _lost_for_good(people: Population, as_of: int) -> Integers:
    """When leads were lost that are so today; ``NEVER`` for those that are open, or open again."""
    _, decided = people.episodes(as_of)
    return np.where(decided < as_of, people.decisions.last(len(decided)), NEVER)


def _ends(watched: Watched, as_of: int, *, lost_by: Integers) -> Mapping[str, Any]:
    """Time until the win, the loss or today, and which of them it was."""
    won = watched.won < NEVER
    lost = ~won & (lost_by < NEVER)
    end = np.where(won, watched.won, np.where(lost, np.maximum(lost_by, watched.at), as_of))
    return {"time": end - watched.at, "won": won, "lost": lost}


def _incidence(ends: Mapping[str, Any], days: Integers) -> Floats:
    # A win exactly so many days later is outside the horizon, as it is in the labels.
    return cumulative_incidence(ends["time"], ends["won"], ends["lost"], days * DAY - 1)


def _snapshots(people: Population, config: Config, as_of: int) -> Mapping[str, Any]:
    """The ends of candidate snapshots, looked at every four weeks back from today."""
    step = max(_LOOK_EVERY_DAYS, config.snapshots.every_days) * DAY
    lead, at = candidates(people, range(as_of - step, int(people.start.min()), -step))
    keep: Flags = thin(people.group[lead], max_rows=_MOST_SNAPSHOTS, seed=config.model.seed)[0]
    lead, at = lead[keep], at[keep]
    return _ends(watch(people, lead, at), as_of, lost_by=_lost_for_good(people, as_of)[lead])


def _days(share: Floats, horizon: int | None) -> Integers:
    """Round numbers of days up to where nearly all wins are seen, and the horizon among them."""
    limit = len(share)
    needed = int(np.searchsorted(share, 0.995)) + 1
    last = min(max(needed, min(horizon or 0, limit)), limit)
    step = next((s for s in _STEPS[(2 if last >= 90 else 0) :] if last <= s * _MOST_POINTS), _STEPS[-1])
    days = np.arange(step, last + step, step)
    if horizon is not None:
        days = np.union1d(days, [horizon])
    return days[days <= limit].astype(np.int64) if limit >= step else np.array([limit])
