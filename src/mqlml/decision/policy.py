"""From chances to MQLs and tiers: a rule that marketing and sales agree on, with its threshold, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mqlml import config
    from mqlml.decision.replay import Replay

__all__ = ["TIERS", "Policy", "set_policy"]

Floats = npt.NDArray[np.float64]

TIERS = ("cold", "nurture", "mql", "hot")
ACTIONS = {
    "hot": "Call first, the same day.",
    "mql": "Hand to sales this week.",
    "nurture": "Keep warm: offers and content, no call yet.",
    "cold": "Leave alone until something happens.",
}

_GRID = 400
# The upper half of the leads handed over is called first.
_HOT_SHARE = 0.5


@dataclass(frozen=True)
class Policy:
    """A rule with its thresholds; everything a scoring job needs, and nothing else.

    Attributes
    ----------
    kind : str
        The rules that apply: capacity, cost or share, joined by "+".
    rule : str
        The rule in plain words.
    threshold : float or None
        Least chance of an MQL, 0..1; None where the best ``take`` of each file are taken.
    hot, nurture : float
        Least chance of the tiers above and below MQL, 0..1.
    take : int or None
        MQLs a file, in a history without dates where a weekly capacity has no weeks to count.
    assumption : str or None
        What nobody said and was assumed.
    per_week : int or None
        The weekly capacity, where the rule names one.
    """

    kind: str
    rule: str
    threshold: float | None
    hot: float
    nurture: float
    take: int | None = None
    assumption: str | None = None
    per_week: int | None = None

    @property
    def version(self) -> str:
        """Twelve hex digits of the content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def mqls(self, p: Floats, lead_id: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which leads qualify; ties at a fixed number are broken by chance, then by ``lead_id``.

        Parameters
        ----------
        p : ndarray of float64, shape (n,)
        lead_id : ndarray of str, shape (n,)
        """
        if self.threshold is not None:
            return p >= self.threshold
        chosen = np.zeros(len(p), dtype=bool)
        chosen[np.lexsort((lead_id, -p))[: self.take]] = True
        return chosen

    def tiers(self, p: Floats, mql: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
        """Tier of each lead: hot and mql are handed over, nurture and cold are not."""
        return np.where(mql, np.where(p >= self.hot, "hot", "mql"), np.where(p >= self.nurture, "nurture", "cold"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """Inverse of :meth:`to_dict`."""
        return cls(**data)


def set_policy(settings: config.Policy, replay: Replay, *, base_rate: float) -> Policy:
    """Find the threshold that keeps every rule of ``[policy]``; the strictest rule decides.

    Parameters
    ----------
    settings : config.Policy
    replay : Replay
        Past weeks with chances on the scale of the shipped model.
    base_rate : float
        Win rate of all candidates, 0..1.
    """
    bounds: dict[str, tuple[float, str]] = {}
    take = None
    if settings.capacity_per_week is not None and replay.dated:
        k = settings.capacity_per_week
        bounds["capacity"] = _capacity_threshold(replay, k), f"so that a usual week has at most {k:,} new MQLs"
    elif settings.capacity_per_week is not None:
        take = settings.capacity_per_week
    if settings.cost is not None and settings.value is not None:
        least = settings.cost / settings.value
        money = f"cost {settings.cost:g} a lead, value {settings.value:g} a win"
        text = f"with a chance of at least {100 * least:.3g} % ({money})"
        bounds["cost"] = least, text
    assumption = None
    if not bounds and take is None:
        bounds["share"] = (
            _share_threshold(replay, settings.share),
            f"among the best {100 * settings.share:g} % of all leads",
        )
        if "share" not in settings.model_fields_set:
            assumption = "Nobody set [policy] capacity_per_week or cost and value yet: agree on one with sales."
    if take is not None:
        return _taking(take, bounds, replay, base_rate)
    kind = "+".join(bounds)
    threshold = max(value for value, _ in bounds.values())
    rule = f"Hand over leads {' and '.join(text for _, text in bounds.values())}."
    hot, nurture = _tier_bounds(replay, threshold, base_rate)
    return Policy(kind, rule, threshold, hot, nurture, assumption=assumption, per_week=settings.capacity_per_week)


def _taking(take: int, bounds: dict[str, tuple[float, str]], replay: Replay, base_rate: float) -> Policy:
    """A history without dates has no weeks: a fixed number of each scored file, unless a cost rule can stand alone."""
    if bounds:
        threshold, text = bounds["cost"]
        hot, nurture = _tier_bounds(replay, threshold, base_rate)
        unused = "There are no weekly snapshots to count in: capacity_per_week could not be used."
        return Policy("cost", f"Hand over leads {text}.", threshold, hot, nurture, assumption=unused)
    hot, nurture = _tier_bounds(replay, float(np.quantile(replay.p, 0.8)), base_rate)
    rule = f"Hand over the best {take:,} leads of each scored file."
    assumed = "There are no weekly snapshots to count in: capacity_per_week is read as a number for each scored file."
    return Policy("capacity", rule, None, hot, nurture, take=take, assumption=assumed)


def _capacity_threshold(replay: Replay, capacity: int) -> float:
    """Lowest threshold at and above which no threshold has a median of weekly first crossings over capacity."""
    lowest = 1.0
    for threshold in _thresholds(replay):
        if float(np.median(replay.weekly(threshold)[1])) > capacity:
            break
        lowest = threshold
    return float(lowest)


def _share_threshold(replay: Replay, share: float) -> float:
    """Lowest threshold that hands over at most ``share`` of the leads."""
    leads = len(np.unique(replay.lead))
    lowest = 1.0
    for threshold in _thresholds(replay):
        if len(replay.crossings(threshold)) > share * leads:
            break
        lowest = threshold
    return float(lowest)


def _thresholds(replay: Replay) -> Floats:
    """Candidate thresholds from the highest chance down, dense at the top where MQLs are."""
    shares = np.concatenate([np.geomspace(1e-4, 0.05, _GRID // 2, endpoint=False), np.linspace(0.05, 1.0, _GRID // 2)])
    return np.unique(np.quantile(replay.p, 1 - shares, method="higher"))[::-1]


def _tier_bounds(replay: Replay, threshold: float, base_rate: float) -> tuple[float, float]:
    """Bounds of hot and nurture: the upper half of the MQLs, and the base rate (or half the threshold)."""
    crossed = replay.p[replay.crossings(threshold)]
    hot = float(np.quantile(crossed, 1 - _HOT_SHARE)) if len(crossed) else threshold
    return max(hot, threshold), base_rate if base_rate < threshold else threshold / 2
