"""What a threshold would have given in the past weeks: volume, wins, money, and how far sales would have got."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.resampling import Draws, Resampler, binomial_interval

if TYPE_CHECKING:
    from mqlml.decision.replay import Replay

__all__ = ["STEPS", "Evidence", "net_benefit"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

STEPS = ("handed", "accepted", "opportunity")
"""How far sales may have got with an MQL before it was won."""


class Evidence:
    """Measures thresholds on one replay, every interval from the same redrawn accounts.

    Parameters
    ----------
    replay : Replay
        As the policy counts it.
    seed : int
    cost : float or None
        Of working one MQL.
    value : float or None
        Of a win, where the wins of the replay have none of their own.
    """

    def __init__(self, replay: Replay, *, seed: int, cost: float | None = None, value: float | None = None) -> None:
        self._replay, self._cost = replay, cost
        self._units, self._first = np.unique(replay.lead, return_index=True)
        self._resampler = Resampler(replay.group[self._first], seed=seed)
        self._ever = np.maximum.reduceat(replay.won, self._first)
        self._gain = _gains(replay, value)

    def line(self, threshold: float) -> dict[str, Any]:
        """Measure one threshold, 0..1.

        Returns
        -------
        dict
            ``threshold``, ``mqls``, ``wins``; ``per_week`` (``median``, ``p10``, ``p90``, None without dates);
            ``share_of_leads`` (0..1); intervals ``win_rate``, ``share_of_wins``, ``lift`` and ``lift_over_present``
            (None without a present rule); ``of_100`` (``handed``, ``accepted``, ``opportunity``, ``won`` of 100 MQLs,
            None where nobody recorded it); ``value`` (``per_mql`` with interval, ``net_per_mql``, ``per_week`` and
            ``net_per_week``; None where nothing is known of it).
        """
        rows = self._replay.crossings(threshold)
        crossed, won = self._by_unit(rows, None), self._by_unit(rows, self._replay.won)
        columns = {"mqls": crossed, "wins": won, "all": np.ones(len(crossed)), "ever": self._ever}
        if self._gain is not None:
            columns["value"] = self._by_unit(rows, self._gain)
        columns |= self._present
        sums = self._resampler.sums(columns)
        per_week = _per_week(self._replay, threshold)
        rate, base = sums["wins"] / sums["mqls"], sums["ever"] / sums["all"]
        return {
            "threshold": threshold,
            "mqls": len(rows),
            "wins": int(won.sum()),
            "per_week": per_week,
            "share_of_leads": float(crossed.mean()),
            "win_rate": _never_narrower(rate, int(won.sum()), len(rows)),
            "share_of_wins": (sums["wins"] / sums["ever"]).interval().to_dict(),
            "lift": (rate / base).interval().to_dict(),
            "lift_over_present": self._over_present(rate, sums),
            "of_100": self._of_100(rows),
            "value": self._money(sums, per_week),
        }

    @property
    def base_rate(self) -> float:
        """Share of the leads that were won within the horizon of one of their snapshots, 0..1."""
        return float(self._ever.mean())

    def _by_unit(self, rows: Integers, what: Floats | None) -> Floats:
        found = np.zeros(len(self._units))
        found[np.searchsorted(self._units, self._replay.lead[rows])] = 1.0 if what is None else what[rows]
        return found

    @cached_property
    def _present(self) -> dict[str, Floats]:
        """First choice of the present rule, and whether it was won."""
        marked = self._replay.more.get("present")
        if marked is None or not marked.any():
            return {}
        row = np.flatnonzero(marked > 0)
        lead = self._replay.lead[row]
        first = row[np.r_[True, lead[1:] != lead[:-1]]]
        return {"present": self._by_unit(first, None), "present wins": self._by_unit(first, self._replay.won)}

    def _over_present(self, rate: Draws, sums: dict[str, Draws]) -> dict[str, float | None] | None:
        if not self._present:
            return None
        return (rate / (sums["present wins"] / sums["present"])).interval().to_dict()

    def _of_100(self, rows: Integers) -> dict[str, float | None]:
        more = self._replay.more
        share = {name: 100 * float(more[name][rows].mean()) if name in more and len(rows) else None for name in STEPS}
        return {**share, "won": 100 * float(self._replay.won[rows].mean()) if len(rows) else None}

    def _money(self, sums: dict[str, Draws], per_week: dict[str, float] | None) -> dict[str, Any] | None:
        if "value" not in sums:
            return None
        each = (sums["value"] / sums["mqls"]).interval()
        net = None if self._cost is None else each.value - self._cost
        usual = None if per_week is None else per_week["median"]
        return {
            "per_mql": each.to_dict(),
            "net_per_mql": net,
            "per_week": None if usual is None else usual * each.value,
            "net_per_week": None if usual is None or net is None else usual * net,
        }


def net_benefit(replay: Replay, thresholds: Sequence[float]) -> list[dict[str, float]]:
    """Wins caught less MQLs in vain, these weighed by the odds at the threshold, for 100 leads.

    At threshold t a lead in vain is taken to cost t / (1 - t) of what a win brings beyond its own cost (Vickers and
    Elkin, 2006, Medical Decision Making 26:565).

    Parameters
    ----------
    replay : Replay
    thresholds : sequence of float
        0..1.

    Returns
    -------
    list of dict
        ``threshold``, ``model`` and ``all`` (everybody at the first snapshot); nobody gives 0.
    """
    _, first = np.unique(replay.lead, return_index=True)
    leads, everybody = len(first), float(replay.won[first].sum())
    lines = []
    for t in thresholds:
        rows, odds = replay.crossings(t), t / (1 - t)
        wins = float(replay.won[rows].sum())
        ours = (wins - (len(rows) - wins) * odds) / leads
        lines.append(
            {"threshold": t, "model": 100 * ours, "all": 100 * (everybody - (leads - everybody) * odds) / leads}
        )
    return lines


def _gains(replay: Replay, value: float | None) -> Floats | None:
    """What each won row brought; wins without a value count as the mean of the others."""
    own = replay.more.get("value")
    known = np.isfinite(own) & (replay.won > 0) if own is not None else np.zeros(0, dtype=bool)
    if own is not None and known.any():
        return np.where(replay.won > 0, np.where(known, own, own[known].mean()), 0.0)
    return None if value is None else replay.won * value


def _per_week(replay: Replay, threshold: float) -> dict[str, float] | None:
    if not replay.dated:
        return None
    _, counts = replay.weekly(threshold)
    p10, median, p90 = np.quantile(counts, [0.1, 0.5, 0.9])
    return {"median": float(median), "p10": float(p10), "p90": float(p90)}


def _never_narrower(rate: Draws, wins: int, mqls: int) -> dict[str, float | None]:
    """A clustered interval never narrower than the exact one of so many leads."""
    found = rate.interval()
    if not mqls:
        return {"value": None, "low": None, "high": None}
    low, high = binomial_interval(wins, mqls)
    ends = (low if found.low is None else min(low, found.low), high if found.high is None else max(high, found.high))
    return {"value": found.value, "low": ends[0], "high": ends[1]}
