"""What sales answered: acceptance, first touch, reasons of rejections, and leads that were not won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from mqlml.learning.moments import DAY, NEVER
from mqlml.operation.monitoring import Measured, missing, percent

__all__ = ["Handed", "acceptance", "by_part", "first_touch", "not_won"]

Texts = npt.NDArray[np.object_]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

ANSWER_DAYS = 14
"""Days that sales has to answer: younger hand-overs are not judged."""
_RECENT, _BEFORE = 91, 365
_FEWEST = 20
_LARGE = 0.1
_NEGLECTED = 0.3


@dataclass(frozen=True)
class Handed:
    """Hand-overs as they were known at ``now``; arrays of shape (n,), moments in microseconds, ``NEVER`` for none.

    Attributes
    ----------
    lead, group : ndarray of int64
        Lead and account.
    at, accepted, rejected, touched, won : ndarray of int64
        Moments of the hand-over, of the answers, of the first touch, and of the first win after it.
    reason, recipient, region : ndarray of object
        Text or None.
    now : int
    """

    lead: Integers
    group: Integers
    at: Integers
    accepted: Integers
    rejected: Integers
    touched: Integers
    won: Integers
    reason: Texts
    recipient: Texts
    region: Texts
    now: int

    def __len__(self) -> int:
        return len(self.at)

    def span(self, days: float, *, ripe: float) -> Flags:
        """Handed over in the last ``days`` that ended ``ripe`` days ago."""
        end = self.now - int(ripe * DAY)
        return (self.at >= end - int(days * DAY)) & (self.at < end)

    def in_time(self, when: Integers, days: float) -> Flags:
        """Whether something happened at most so many days after the hand-over."""
        return (when < NEVER) & (when - self.at <= int(days * DAY))


def acceptance(handed: Handed) -> Measured:
    """MON-13: share accepted within 14 days, of the last 13 weeks against the year before."""
    yes = handed.in_time(handed.accepted, ANSWER_DAYS)
    if not (handed.accepted < NEVER).any():
        return missing(
            "MON-13", "Needs hand-overs with accepted_at in [handovers]; mqlml handovers import brings them."
        )
    return _recent("MON-13", handed, yes, ripe=ANSWER_DAYS, what=f"were accepted within {ANSWER_DAYS} days")


def first_touch(handed: Handed, *, within_days: float) -> Measured:
    """MON-14: share touched in time, of the last 13 weeks against the year before; and how long half of them waited."""
    if not (handed.touched < NEVER).any():
        what = "Needs hand-overs with first_touch_at in [handovers]; mqlml handovers import brings them."
        return missing("MON-14", what)
    yes = handed.in_time(handed.touched, within_days)
    found = _recent("MON-14", handed, yes, ripe=within_days, what=f"were touched within {within_days:g} days")
    if not found.measured:
        return found
    waited = (handed.touched - handed.at)[handed.span(_RECENT, ripe=within_days)]
    half = float(np.median(np.where(waited > handed.now, np.inf, waited))) / DAY
    said = f"half of them within {half:.1f} days" if np.isfinite(half) else "more than half of them not yet"
    sentence = f"{found.sentence.removesuffix('.')}; {said}."
    figures = {**found.figures, "median_days": half if np.isfinite(half) else None}
    return Measured(found.code, sentence, found.p_value, large=found.large, figures=figures)


def not_won(handed: Handed, *, horizon_days: int | None, within_days: float) -> Measured:
    """MON-16: hand-overs whose horizon is over without a win, by whether sales worked them in time, late or never."""
    if horizon_days is None:
        return missing("MON-16", "Needs a horizon: [label] horizon_days.")
    if not (handed.touched < NEVER).any():
        return missing("MON-16", "Needs hand-overs with first_touch_at in [handovers].")
    ripe = handed.span(_BEFORE, ripe=horizon_days)
    if ripe.sum() < _FEWEST:
        return missing("MON-16", f"Needs {_FEWEST} hand-overs whose horizon is over, there are {int(ripe.sum())}.")
    won = handed.in_time(handed.won, horizon_days)
    in_time = handed.in_time(handed.touched, within_days)
    parts = {"in time": in_time, "late": ~in_time & (handed.touched < NEVER), "never": handed.touched == NEVER}
    told = {}
    for name, flags in parts.items():
        n, wins = int((ripe & flags).sum()), int((ripe & flags & won).sum())
        told[name] = {"handed_over": n, "won": wins, "not_won": n - wins}
    broken = sum(part["not_won"] for part in told.values())
    neglected = broken - told["in time"]["not_won"]
    said = ", ".join(f"{part['not_won']:,} {name}" for name, part in told.items())
    rates = "; ".join(
        f"{name} {percent(part['won'] / part['handed_over'])}" for name, part in told.items() if part["handed_over"]
    )
    sentence = f"Of {broken:,} hand-overs that were not won sales worked {said}. Won, by how they were worked: {rates}."
    share = neglected / max(broken, 1)
    figures = {"within_days": within_days, "parts": told}
    return Measured("MON-16", sentence, watch=share >= _NEGLECTED and neglected >= _FEWEST, figures=figures)


def by_part(handed: Handed, key: Texts, *, within_days: float) -> list[dict[str, Any]]:
    """The last 13 weeks by team or region: acceptance, first touch, and the most frequent reason of rejections.

    Returns
    -------
    list of dict
        ``part``, ``handed_over``, ``accepted``, ``rejected``, ``touched_in_time``, ``reason``; most hand-overs first.
    """
    recent = handed.span(_RECENT, ripe=ANSWER_DAYS)
    lines = []
    for name, n in Counter("not stated" if k is None else k for k in key[recent]).most_common(50):
        rows = recent & np.array([(k or "not stated") == name for k in key], dtype=bool)
        reasons = Counter(r for r in handed.reason[rows & (handed.rejected < NEVER)] if r is not None)
        lines.append(
            {
                "part": name,
                "handed_over": n,
                "accepted": int((rows & (handed.accepted < NEVER)).sum()),
                "rejected": int((rows & (handed.rejected < NEVER)).sum()),
                "touched_in_time": int((rows & handed.in_time(handed.touched, within_days)).sum()),
                "reason": reasons.most_common(1)[0][0] if reasons else None,
            }
        )
    return lines


def _recent(code: str, handed: Handed, yes: Flags, *, ripe: float, what: str) -> Measured:
    """Compare shares of two spans of time; accounts are what varies (score test with sums by account)."""
    recent = handed.span(_RECENT, ripe=ripe)
    before = handed.span(_BEFORE, ripe=ripe + _RECENT)
    n, m = int(recent.sum()), int(before.sum())
    if min(n, m) < _FEWEST:
        said = f"Needs {_FEWEST} hand-overs in the last 13 weeks and in the year before; there are {n} and {m}."
        return missing(code, said)
    now, then = float(yes[recent].mean()), float(yes[before].mean())
    mean = float(yes[recent | before].mean())
    # Under the null both shares are the same: residuals from the common one.
    weight = np.where(recent, 1 / n, np.where(before, -1 / m, 0.0))
    _, place = np.unique(handed.group, return_inverse=True)
    by_group = np.bincount(place, weight * (yes - mean))
    variance = max(float((by_group**2).sum()), mean * (1 - mean) * (1 / n + 1 / m), 1e-12)
    p = float(2 * norm.sf(abs(now - then) / np.sqrt(variance)))
    sentence = (
        f"{percent(now)} of {n:,} hand-overs of the last 13 weeks {what}, {percent(then)} of {m:,} in the year before."
    )
    figures: Mapping[str, Any] = {"now": now, "before": then, "handed_over": n}
    return Measured(code, sentence, p, large=abs(now - then) >= _LARGE, figures=figures)
