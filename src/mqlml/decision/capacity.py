"""The lowest line under which a usual week, or all past weeks together, bring at most so many MQLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mqlml.errors import GateClosed

if TYPE_CHECKING:
    from mqlml.decision.replay import Replay

__all__ = ["candidate_thresholds", "capacity_threshold", "recall_threshold", "share_threshold"]

Floats = npt.NDArray[np.float64]

_GRID = 400


def candidate_thresholds(replay: Replay) -> Floats:
    """Thresholds from the highest chance down, dense at the top where MQLs are; shape (at most 400,)."""
    shares = np.concatenate([np.geomspace(1e-4, 0.05, _GRID // 2, endpoint=False), np.linspace(0.05, 1.0, _GRID // 2)])
    return np.unique(np.quantile(replay.p, 1 - shares, method="higher"))[::-1]


def capacity_threshold(replay: Replay, capacity: int) -> float:
    """Lowest threshold at and above which no threshold has a median of weekly first crossings over ``capacity``.

    Parameters
    ----------
    replay : Replay
        With weeks.
    capacity : int
        MQLs a week, at least 1.

    Raises
    ------
    GateClosed
        Even the leads with the highest chance of all are too many; names their number.
    """
    lowest = None
    volume = 0.0
    for threshold in candidate_thresholds(replay):
        volume = float(np.median(replay.weekly(threshold)[1]))
        if volume > capacity:
            break
        lowest = float(threshold)
    if lowest is None:
        raise GateClosed(
            f"capacity {capacity:,} a week cannot be kept: so many leads have the same, highest chance "
            f"that a usual week brings {volume:,.0f} of them.",
            hint=f"allow at least {int(np.ceil(volume)):,} a week",
        )
    return lowest


def share_threshold(replay: Replay, share: float) -> float:
    """Lowest threshold that hands over at most ``share`` (0..1) of the leads; 1 where none does."""
    leads = len(np.unique(replay.lead))
    lowest = 1.0
    for threshold in candidate_thresholds(replay):
        if len(replay.crossings(threshold)) > share * leads:
            break
        lowest = float(threshold)
    return lowest


def recall_threshold(replay: Replay, recall: float) -> float:
    """Highest threshold whose MQLs hold at least ``recall`` (0..1) of the wins.

    Raises
    ------
    GateClosed
        Not even handing over everybody keeps so many: some leads only win later than their first snapshots foresee, or
        do not pay; names the share that can be kept.
    """
    best, all_wins = 0.0, replay.winners
    for threshold in candidate_thresholds(replay):
        kept = float(replay.won[replay.crossings(threshold)].sum()) / max(all_wins, 1)
        if kept >= recall:
            return float(threshold)
        best = max(best, kept)
    raise GateClosed(
        f"{100 * recall:g} % of the wins cannot be kept by any threshold of this policy: at most {100 * best:.1f} %.",
        hint=f"ask for recall {np.floor(1000 * best) / 1000:g} or less",
    )
