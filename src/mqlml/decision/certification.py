"""A win rate of MQLs that is promised, and tested on leads the shipped model never learned from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binom

from mqlml.errors import GateClosed

if TYPE_CHECKING:
    from mqlml.decision.replay import Replay

__all__ = ["LEAST_LEADS", "WINDOW", "Certificate", "certify", "fixed_sequence", "leads_needed"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

WINDOW = "certify"
# A tiny unlucky group at the top would stop the sequence at once.
LEAST_LEADS = 30
# Each step looks at so many more leads: finer steps only add chances to stop by bad luck.
_GROWTH = 1.05
_MOST_LEADS = 100_000


@dataclass(frozen=True)
class Certificate:
    """A tested promise.

    Attributes
    ----------
    target, confidence : float
        Win rate promised, and the least chance that the test does not err; 0..1.
    threshold : float
        The threshold it holds for.
    leads, wins : int
        First crossings in the window, and those won.
    bound : float
        One-sided lower bound of the win rate (Clopper and Pearson, 1934, Biometrika 26:404), 0..1.
    steps : int
        Thresholds tested one after the other, from the top down.
    """

    target: float
    confidence: float
    threshold: float
    leads: int
    wins: int
    bound: float
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def certify(
    replay: Replay, target: float, *, confidence: float, least: float = 0.0, most: float | None = None
) -> Certificate:
    """Find the lowest threshold (the highest, given ``most``) whose MQLs are shown to win ``target`` of the time.

    One row a lead (or account), its first crossing in the window, so that snapshots of one lead feign no certainty.
    From the top down the exact binomial tail of "the win rate is at most the target" is tested at each threshold, until
    one fails (fixed sequence; Bauer, 1991, Statistics in Medicine 10:871). The leads are taken to be exchangeable with
    those to come.

    Parameters
    ----------
    replay : Replay
        The window: leads the shipped model never learned from.
    target : float
        0..1.
    confidence : float
        0.5..1.
    least : float
        Another rule's threshold: none below it is taken.
    most : float, optional
        A threshold that no higher one may be taken than.

    Raises
    ------
    GateClosed
        Too few leads, a target above what exists, or too few leads over the other rule's threshold; names what could
        be met.
    """
    thresholds = _sequence(replay)
    if not len(thresholds):
        raise GateClosed(
            f"a win rate of {_percent(target)} cannot be certified: the window '{WINDOW}' holds "
            f"{len(replay.crossings(0.0)):,} leads, and at least {LEAST_LEADS} MQLs are tested.",
            hint="add older history, or use a later --as-of",
        )
    wins, leads = _counts(replay, thresholds)
    passed = fixed_sequence(wins, leads, target=target, confidence=confidence)
    if not passed:
        raise _too_high(wins, leads, target, confidence)
    certified = thresholds[:passed]
    usable = np.flatnonzero((certified >= least) & (certified <= (1.0 if most is None else most)))
    if not len(usable):
        between = f"at least {_percent(least)}" + ("" if most is None else f" and at most {_percent(most)}")
        raise GateClosed(
            f"the other rules ask for a threshold of {between}, and a win rate of {_percent(target)} can be certified "
            f"for thresholds of {_percent(float(certified[-1]))} to {_percent(float(certified[0]))} alone "
            f"(from {LEAST_LEADS} leads of the window '{WINDOW}' on).",
            hint="loosen them, or ask for a lower precision",
        )
    at = int(usable[-1] if most is None else usable[0])
    bound = _lower_bound(int(wins[at]), int(leads[at]), confidence)
    return Certificate(target, confidence, float(thresholds[at]), int(leads[at]), int(wins[at]), bound, passed)


def fixed_sequence(wins: Integers, leads: Integers, *, target: float, confidence: float) -> int:
    """Number of hypotheses rejected before the first that is not.

    Parameters
    ----------
    wins, leads : ndarray of int64, shape (steps,)
        In the order of testing.
    target, confidence : float
    """
    failed = np.flatnonzero(~(binom.sf(wins - 1, leads, target) <= 1 - confidence))
    return int(failed[0]) if len(failed) else len(wins)


def leads_needed(target: float, rate: float, *, confidence: float) -> int | None:
    """MQLs needed to certify ``target`` where their win rate is ``rate``; None where 100,000 are not enough.

    Examples
    --------
    >>> leads_needed(0.2, 0.26, confidence=0.9)
    100
    """
    leads = np.arange(LEAST_LEADS, _MOST_LEADS)
    wins = np.floor(rate * leads + 1e-9)
    enough = np.flatnonzero(binom.sf(wins - 1, leads, target) <= 1 - confidence)
    return int(leads[enough[0]]) if rate > target and len(enough) else None


def _sequence(replay: Replay) -> Floats:
    """Thresholds with at least 30 leads above, each with at least a twentieth more than the one before."""
    payable = replay if replay.payable is None else replay.where(replay.payable)
    if not len(payable.lead):
        return np.zeros(0)
    _, first = np.unique(payable.lead, return_index=True)
    best = np.sort(np.maximum.reduceat(payable.p, first))[::-1]
    steps = int(np.log(max(len(best), LEAST_LEADS) / LEAST_LEADS) / np.log(_GROWTH)) + 1
    counts = np.unique(np.ceil(LEAST_LEADS * _GROWTH ** np.arange(steps)).astype(int))
    return np.unique(best[counts[counts <= len(best)] - 1])[::-1]


def _counts(replay: Replay, thresholds: Floats) -> tuple[Integers, Integers]:
    found = [replay.crossings(float(t)) for t in thresholds]
    wins = np.array([int(replay.won[rows].sum()) for rows in found])
    return wins, np.array([len(rows) for rows in found])


def _lower_bound(wins: int, leads: int, confidence: float) -> float:
    return float(beta.ppf(1 - confidence, wins, leads - wins + 1)) if wins else 0.0


def _too_high(wins: Integers, leads: Integers, target: float, confidence: float) -> GateClosed:
    """What the highest chances do reach: their bound holds at a threshold fixed before any outcome was seen."""
    k, n = int(wins[0]), int(leads[0])
    reached = _lower_bound(k, n, confidence)
    needed = leads_needed(target, k / n, confidence=confidence)
    more = "" if needed is None or needed <= n else f" At this rate {needed:,} such leads would be needed."
    possible = np.floor(1000 * reached) / 1000
    return GateClosed(
        f"a win rate of {_percent(target)} cannot be certified at {_percent(confidence)}: of the {n:,} leads with the "
        f"highest chances in the window '{WINDOW}' {k:,} won.{more}",
        hint=f"ask for precision {possible:g} or less" if possible > 0 else "train on a longer history",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
