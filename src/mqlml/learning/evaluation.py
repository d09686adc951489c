"""How good the chances are on leads nobody learned from, with intervals that respect repeated leads and accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from scipy.stats import beta

__all__ = [
    "Interval",
    "Resampler",
    "average_precision",
    "binomial_interval",
    "brier",
    "calibration_line",
    "expected_calibration_error",
    "lift",
    "log_loss",
    "reliability",
    "roc_auc",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Metric = Callable[[Floats, Floats, Floats], float]

_BOOTSTRAPS = 200
_LEVEL = 0.90


@dataclass(frozen=True)
class Interval:
    """A figure and its 90 % interval (None where it cannot be told)."""

    value: float
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Plain data, not-a-number as None."""
        return {k: None if v is None or not np.isfinite(v) else float(v) for k, v in vars(self).items()}


class Resampler:
    """Clustered bootstrap: whole accounts are drawn, so that repeated snapshots do not feign certainty.

    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8; weights are Poisson(1) counts
    of each group, the same draws for every metric, so that differences are paired.

    Parameters
    ----------
    group : ndarray of int64, shape (n,)
    seed : int
    draws : int
    """

    def __init__(self, group: Integers, *, seed: int, draws: int = _BOOTSTRAPS) -> None:
        _, self._place = np.unique(group, return_inverse=True)
        generator = np.random.default_rng(seed)
        self._counts = generator.poisson(1.0, size=(draws, int(self._place.max(initial=0)) + 1)).astype(np.uint8)

    def interval(self, statistic: Callable[[Floats], float]) -> Interval:
        """Value and 90 % percentile interval of a statistic of row weights."""
        value = statistic(np.ones(len(self._place)))
        draws = np.array([statistic(counts[self._place].astype(np.float64)) for counts in self._counts])
        draws = draws[np.isfinite(draws)]
        if len(draws) < len(self._counts) // 2:
            return Interval(value, None, None)
        low, high = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return Interval(value, float(low), float(high))

    def metrics(self, won: Floats, p: Floats, metrics: Mapping[str, Metric]) -> dict[str, Interval]:
        """Intervals of several metrics of the same predictions, the rows sorted once."""
        order = np.argsort(-p, kind="stable")
        won, p = won[order], p[order]
        return {name: self.interval(lambda w, m=metric: m(won, p, w[order])) for name, metric in metrics.items()}  # type: ignore[misc]


def log_loss(won: Floats, p: Floats, weight: Floats) -> float:
    """Mean negative log likelihood in nats; lower is better."""
    return float(np.average(-(won * np.log(p) + (1 - won) * np.log1p(-p)), weights=weight))


def brier(won: Floats, p: Floats, weight: Floats) -> float:
    """Mean squared error of the chances, 0..1; lower is better."""
    return float(np.average((won - p) ** 2, weights=weight))


def roc_auc(won: Floats, p: Floats, weight: Floats) -> float:
    """Chance that a won snapshot stands above one that was not, ties counting half; rows sorted by falling ``p``."""
    starts = _tie_starts(p)
    good, bad = np.add.reduceat(weight * won, starts), np.add.reduceat(weight * (1 - won), starts)
    above = np.cumsum(good) - good
    total = good.sum() * bad.sum()
    return float(((above + good / 2) * bad).sum() / total) if total > 0 else float("nan")


def average_precision(won: Floats, p: Floats, weight: Floats) -> float:
    """Mean win rate above each win, 0..1; rows sorted by falling ``p``."""
    starts = _tie_starts(p)
    good, rows = np.add.reduceat(weight * won, starts), np.add.reduceat(weight, starts)
    precision = np.cumsum(good) / np.maximum(np.cumsum(rows), 1e-12)
    return float((precision * good).sum() / good.sum()) if good.sum() > 0 else float("nan")


def lift(share: float) -> Metric:
    """Win rate in the top ``share`` of the ranking over the rate of all; rows sorted by falling ``p``."""

    def top_lift(won: Floats, p: Floats, weight: Floats) -> float:
        del p
        reached = np.cumsum(weight)
        inside = weight * np.clip((share * reached[-1] - (reached - weight)) / np.maximum(weight, 1e-12), 0, 1)
        overall = np.average(won, weights=weight)
        return float(np.average(won, weights=inside) / overall) if overall > 0 else float("nan")

    return top_lift


def calibration_line(won: Floats, p: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept of the outcome on the log-odds of ``p``; (1, 0) is perfect (Cox, 1958, Biometrika 45:562)."""
    z = logit(p)
    slope, intercept = 1.0, 0.0
    for _ in range(25):
        q = 1 / (1 + np.exp(-(slope * z + intercept)))
        w = np.maximum(weight * q * (1 - q), 1e-12)
        residual = weight * (won - q)
        h00, h01, h11 = w.sum(), (w * z).sum(), (w * z * z).sum()
        det = h00 * h11 - h01 * h01
        if det < 1e-9 * h00 * h11:
            return float("nan"), float("nan")
        g0, g1 = residual.sum(), (residual * z).sum()
        step = np.array([(h00 * g1 - h01 * g0) / det, (h11 * g0 - h01 * g1) / det])
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        slope, intercept = slope + float(step[0]), intercept + float(step[1])
        if np.abs(step).max() < 1e-8:
            break
    return slope, intercept


def expected_calibration_error(won: Floats, p: Floats, weight: Floats, *, bins: int = 10) -> float:
    """Mean distance between promised and realised rates over bins of equal size, 0..1; rows sorted by ``p``.

    Never zero on finite data: read it beside its value under perfect calibration (Gupta and Ramdas, 2021).
    """
    edges = np.linspace(0, len(p), bins + 1).astype(int)[:-1]
    rows = np.add.reduceat(weight, edges)
    gap = np.add.reduceat(weight * (won - p), edges)
    return float(np.abs(gap).sum() / rows.sum())


def perfect_calibration_error(p: Floats, group: Integers, *, seed: int, draws: int = 50) -> float:
    """What the calibration error would be on average if every chance were true (whole groups win or lose together)."""
    generator = np.random.default_rng(seed)
    p = np.sort(p)
    _, place = np.unique(group, return_inverse=True)
    ones = np.ones(len(p))
    errors = []
    for _ in range(draws):
        luck = generator.random(int(place.max(initial=0)) + 1)[place]
        errors.append(expected_calibration_error((luck < p).astype(float), p, ones))
    return float(np.mean(errors))


def binomial_interval(wins: float, n: float) -> tuple[float, float]:
    """Clopper-Pearson 90 % interval of a rate, 0..1."""
    tail = (1 - _LEVEL) / 2
    low = float(beta.ppf(tail, wins, n - wins + 1)) if wins > 0 else 0.0
    high = float(beta.ppf(1 - tail, wins + 1, n - wins)) if wins < n else 1.0
    return low, high


def reliability(
    won: Floats, p: Floats, lead: Integers, resampler: Resampler, *, bins: int = 10
) -> list[dict[str, float]]:
    """Promised against realised rates in bins of equal size, for the report.

    Returns
    -------
    list of dict
        ``promised``, ``won``, ``low``, ``high`` (0..1), ``snapshots`` and ``leads`` of each bin.
    """
    rows = []
    for part in np.array_split(np.argsort(p, kind="stable"), min(bins, max(len(p) // 20, 1))):
        inside = np.zeros(len(p))
        inside[part] = 1.0
        rate = resampler.interval(lambda w, i=inside: _rate(won, w * i))  # type: ignore[misc]
        leads = len(np.unique(lead[part]))
        exact = binomial_interval(rate.value * leads, leads)
        low, high = (
            (exact[0], exact[1]) if rate.low is None else (min(rate.low, exact[0]), max(rate.high or 0, exact[1]))
        )
        figures = {"promised": float(p[part].mean()), "won": rate.value, "low": low, "high": high}
        rows.append({**figures, "snapshots": len(part), "leads": leads})
    return rows


def _rate(won: Floats, weight: Floats) -> float:
    total = weight.sum()
    return float((won * weight).sum() / total) if total > 0 else float("nan")


def _tie_starts(p: Floats) -> Integers:
    return np.flatnonzero(np.r_[True, p[1:] != p[:-1]])


def _line_part(index: int) -> Metric:
    return lambda won, p, weight: calibration_line(won, p, weight)[index]


CALIBRATION_SLOPE: Metric = _line_part(0)
CALIBRATION_INTERCEPT: Metric = _line_part(1)
STANDARD_METRICS: Mapping[str, Metric] = {
    "log_loss": log_loss,
    "brier": brier,
    "auc": roc_auc,
    "average_precision": average_precision,
    "lift_5": lift(0.05),
    "lift_10": lift(0.10),
    "lift_20": lift(0.20),
    "slope": CALIBRATION_SLOPE,
    "intercept": CALIBRATION_INTERCEPT,
}
