"""How good the chances are on leads nobody learned from: every figure takes row weights, so that it can be redrawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from mqlml.learning.resampling import Draws, Interval, Resampler, binomial_interval

__all__ = [
    "TOP_SHARES",
    "Draws",
    "Interval",
    "Resampler",
    "average_precision",
    "binomial_interval",
    "brier",
    "brier_parts",
    "calibration_line",
    "calibration_lines",
    "cells",
    "expected_calibration_error",
    "lift",
    "log_loss",
    "losses",
    "perfect_calibration_error",
    "ranking",
    "realised_rate",
    "reliability",
    "roc_auc",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Metric = Callable[[Floats, Floats, Floats], float]

TOP_SHARES = (0.05, 0.10, 0.20)
_PROMISED_IN_A_BIN = 5


def log_loss(won: Floats, p: Floats, weight: Floats) -> float:
    """Mean negative log likelihood in nats; lower is better."""
    return float(np.average(-(won * np.log(p) + (1 - won) * np.log1p(-p)), weights=weight))


def brier(won: Floats, p: Floats, weight: Floats) -> float:
    """Mean squared error of the chances, 0..1; lower is better."""
    return float(np.average((won - p) ** 2, weights=weight))


def losses(won: Floats, p: Floats) -> dict[str, Floats]:
    """Log loss and squared error of each row; their means are the figures."""
    return {"log_loss": -(won * np.log(p) + (1 - won) * np.log1p(-p)), "brier": (won - p) ** 2}


def ranking(good: Floats, rows: Floats, *, shares: Sequence[float] = TOP_SHARES) -> dict[str, Floats]:
    """Everything that only the order of the chances decides.

    Parameters
    ----------
    good, rows : ndarray of float64, shape (draws, cells)
        Weight of the won rows and of all rows of each cell; cells hold equal chances and stand from high to low.
    shares : sequence of float
        Parts of the top to look at, 0..1.

    Returns
    -------
    dict of str to ndarray of float64, shape (draws,)
        ``auc``, ``average_precision``, and for the best 5, 10 and 20 % of rows ``lift_5`` (their win rate over that of
        all) and ``top_5`` (their share of all wins, 0..1); NaN where all rows or none are won.
    """
    found_wins, found_rows = np.cumsum(good, axis=1), np.cumsum(rows, axis=1)
    wins, total = found_wins[:, -1], found_rows[:, -1]
    wins = np.where((wins > 0) & (wins < total), wins, np.nan)
    pairs = ((found_wins - good / 2) * (rows - good)).sum(axis=1)
    precision = found_wins / np.maximum(found_rows, 1e-12)
    found = {"auc": pairs / (wins * (total - wins)), "average_precision": (precision * good).sum(axis=1) / wins}
    for share in shares:
        inside = np.clip((share * total[:, None] - (found_rows - rows)) / np.maximum(rows, 1e-12), 0, 1)
        caught = (good * inside).sum(axis=1) / wins
        found |= {f"top_{100 * share:.0f}": caught, f"lift_{100 * share:.0f}": caught / share}
    return found


def roc_auc(won: Floats, p: Floats, weight: Floats) -> float:
    """Chance that a won snapshot stands above one that was not, ties counting half."""
    return float(ranking(*cells(won, p, weight))["auc"][0])


def average_precision(won: Floats, p: Floats, weight: Floats) -> float:
    """Mean win rate above each win, 0..1."""
    return float(ranking(*cells(won, p, weight))["average_precision"][0])


def lift(share: float) -> Metric:
    """Win rate in the top ``share`` of the ranking over the rate of all."""
    name = f"lift_{100 * share:.0f}"
    return lambda won, p, weight: float(ranking(*cells(won, p, weight), shares=(share,))[name][0])


def cells(won: Floats, p: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Weights (by default 1) of won and of all rows by chance, from high to low, shape (1, distinct chances)."""
    weight = np.ones(len(p)) if weight is None else weight
    order = np.argsort(-p, kind="stable")
    starts = _tie_starts(p[order])
    good, rows = (np.add.reduceat(w[order], starts)[None] for w in (weight * won, weight))
    return good, rows


def calibration_line(won: Floats, p: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept of the outcome on the log-odds of ``p``; (1, 0) is perfect (Cox, 1958, Biometrika 45:562)."""
    # From a constant the first Newton step is a least-squares fit; from (1, 0) extreme chances throw it far off.
    base = float(logit(np.clip(np.average(won, weights=weight), 1e-9, 1 - 1e-9)))
    slope, intercept = calibration_lines(logit(p), (weight * won)[None], weight[None], start=(0.0, base))
    return float(slope[0]), float(intercept[0])


def calibration_lines(z: Floats, good: Floats, rows: Floats, *, start: tuple[float, float]) -> tuple[Floats, Floats]:
    """Calibration lines of several weightings of the same log-odds, by Newton's method with halved steps.

    Parameters
    ----------
    z : ndarray of float64, shape (cells,)
    good, rows : ndarray of float64, shape (draws, cells)
        Weight of the won rows and of all rows of each cell.
    start : tuple of float
        Slope and intercept to begin with; the result does not depend on it.

    Returns
    -------
    tuple of two ndarray of float64, shape (draws,)
        Slope and intercept; NaN where the rows do not determine them.
    """
    line = np.tile(start, (len(rows), 1))
    loss = _line_losses(line, z, good, rows)
    for _ in range(50):
        step = _newton_step(line, z, good, rows)
        before = loss
        for _ in range(30):
            loss = _line_losses(line + step, z, good, rows)
            worse = loss > before + 1e-12 * np.abs(before)
            if not worse.any():
                break
            step = np.where(worse[:, None], step / 2, step)
        line = line + step
        if not (np.abs(step) > 1e-8).any():
            break
    return line[:, 0], line[:, 1]


def _newton_step(line: Floats, z: Floats, good: Floats, rows: Floats) -> Floats:
    q = expit(line[:, :1] * z + line[:, 1:])
    w, residual = np.maximum(rows * q * (1 - q), 1e-12), good - rows * q
    h00, h01, h11 = w.sum(axis=1), w @ z, w @ (z * z)
    g0, g1 = residual.sum(axis=1), residual @ z
    det = h00 * h11 - h01 * h01
    det = np.where(det < 1e-9 * h00 * h11, np.nan, det)
    return np.stack([(h00 * g1 - h01 * g0) / det, (h11 * g0 - h01 * g1) / det], axis=1)


def _line_losses(line: Floats, z: Floats, good: Floats, rows: Floats) -> Floats:
    logits = line[:, :1] * z + line[:, 1:]
    return (rows * np.logaddexp(0, logits) - good * logits).sum(axis=1)  # type: ignore[no-any-return]


def brier_parts(won: Floats, p: Floats) -> dict[str, float]:
    """Brier score as miscalibration - discrimination + uncertainty, without bins.

    The recalibrated chances are the best rising function of ``p`` (isotonic regression), which fits a little of the
    luck too: both parts are somewhat too large on few rows (CORP; Dimitriadis, Gneiting and Jordan, 2021, PNAS
    118:e2016191118).

    Returns
    -------
    dict
        ``miscalibration`` (reliability: what recalibration would gain), ``discrimination`` (resolution: what knowing
        the leads gains over the base rate) and ``uncertainty`` (Brier score of the realised base rate).
    """
    order = np.argsort(p, kind="stable")
    starts = _tie_starts(p[order])
    size = np.diff(np.r_[starts, len(p)]).astype(np.float64)
    rate = np.add.reduceat(won[order], starts) / size
    fitted = np.repeat(isotonic_regression(rate, weights=size).x, size.astype(np.int64))
    score, recalibrated = float(((won - p) ** 2).mean()), float(((won[order] - fitted) ** 2).mean())
    uncertainty = float(won.mean() * (1 - won.mean()))
    return {
        "miscalibration": score - recalibrated,
        "discrimination": uncertainty - recalibrated,
        "uncertainty": uncertainty,
    }


def expected_calibration_error(won: Floats, p: Floats, weight: Floats, *, bins: int = 10) -> float:
    """Mean distance between promised and realised rates over bins of equal size, 0..1; rows sorted by ``p``.

    Never zero on finite data: read it beside its value under perfect calibration (Gupta and Ramdas, 2021).
    """
    edges = np.linspace(0, len(p), bins + 1).astype(int)[:-1]
    rows = np.add.reduceat(weight, edges)
    gap = np.add.reduceat(weight * (won - p), edges)
    return float(np.abs(gap).sum() / rows.sum())


def perfect_calibration_error(p: Floats, lead: Integers, *, seed: int, draws: int = 50) -> tuple[float, float]:
    """Mean and 95 % quantile of the calibration error if every chance were true; a lead's rows share their luck."""
    generator = np.random.default_rng(seed)
    order = np.argsort(p, kind="stable")
    p = p[order]
    _, place = np.unique(lead[order], return_inverse=True)
    ones = np.ones(len(p))
    errors = []
    for _ in range(draws):
        luck = generator.random(int(place.max(initial=0)) + 1)[place]
        errors.append(expected_calibration_error((luck < p).astype(float), p, ones))
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def reliability(
    won: Floats, p: Floats, lead: Integers, resampler: Resampler, *, bins: int = 10
) -> list[dict[str, float]]:
    """Promised against realised rates in bins that were promised equally many wins, for the report.

    Where few leads win, bins of equal size would put nine tenths of them far below any threshold, and what becomes of
    the best leads would vanish in the last one. A bin is promised five wins at least.

    Returns
    -------
    list of dict
        ``promised``, ``won``, ``low``, ``high`` (0..1), ``snapshots`` and ``leads`` of each bin.
    """
    rows = []
    order = np.argsort(p, kind="stable")
    promised = np.cumsum(p[order])
    bins = int(np.clip(promised[-1] // _PROMISED_IN_A_BIN, 1, bins))
    borders = np.searchsorted(promised, promised[-1] * np.arange(1, bins) / bins)
    for part in (part for part in np.split(order, borders) if len(part)):
        inside = np.zeros(len(p))
        inside[part] = 1.0
        leads = len(np.unique(lead[part]))
        figures = {"promised": float(p[part].mean()), **realised_rate(won, inside, leads, resampler)}
        rows.append({**figures, "snapshots": len(part), "leads": leads})
    return rows


def realised_rate(won: Floats, inside: Floats, leads: int, resampler: Resampler) -> dict[str, float]:
    """Win rate of the rows with ``inside`` 1, with a clustered interval never narrower than that of so many leads."""
    sums = resampler.sums({"won": won * inside, "rows": inside})
    rate = (sums["won"] / sums["rows"]).interval()
    low, high = binomial_interval(rate.value * leads, leads)
    if rate.low is not None and rate.high is not None:
        low, high = min(rate.low, low), max(rate.high, high)
    return {"won": rate.value, "low": low, "high": high}


def _tie_starts(p: Floats) -> Integers:
    return np.flatnonzero(np.r_[True, p[1:] != p[:-1]])
