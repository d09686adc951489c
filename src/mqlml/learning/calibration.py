"""Calibration on raw log-odds: an intercept, or an affine map with a weak pull towards the identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

__all__ = ["Calibrator", "fit_calibrator"]

Floats = npt.NDArray[np.float64]

# With fewer winning leads than this a slope is noise; see Van Calster et al. (2019), BMC Medicine 17:230.
_WINS_FOR_A_SLOPE = 50
# Worth about 20 observations of information at p = 0.5: enough to steady a slope, too little to bend a known one.
_RIDGE = 5.0
# Newer windows say more of tomorrow's base rate; none alone, since a season may be about to end.
_FADING = 1 / 3
_SLOPE_RANGE = (0.1, 3.0)


@dataclass(frozen=True)
class Calibrator:
    """``calibrated log-odds = slope * raw + intercept``; affine, so that reasons stay exactly additive.

    Examples
    --------
    >>> float(Calibrator(slope=1.0, intercept=0.0).probability(np.zeros(1))[0])
    0.5
    """

    slope: float = 1.0
    intercept: float = 0.0

    def log_odds(self, raw: Floats) -> Floats:
        """Calibrated log-odds of raw scores, same shape."""
        return self.slope * raw + self.intercept

    def probability(self, raw: Floats) -> Floats:
        """Calibrated probabilities of raw scores, strictly between 0 and 1."""
        return np.clip(expit(self.log_odds(raw)), 1e-9, 1 - 1e-9)  # type: ignore[no-any-return]


def fit_calibrator(
    raw: Floats,
    won: Floats,
    *,
    winning_leads: int,
    window: npt.NDArray[np.int64] | None = None,
    weight: Floats | None = None,
) -> Calibrator:
    """Fit the map from raw scores to true rates on rows the model has not seen.

    Parameters
    ----------
    raw : ndarray of float64, shape (n,)
        Raw log-odds.
    won : ndarray of float64, shape (n,)
        Labels, 0 or 1.
    winning_leads : int
        Distinct leads behind the wins; below 50 only the intercept is fitted.
    window : ndarray of int64, shape (n,), optional
        Test window of each row, 0 the oldest. Base rates move between windows: each has its own intercept, so that
        the slope is not bent by the drift, and the intercept for the future is their exponentially weighted mean
        (each window counts a third of the next; Holt, 1957), so that one odd season does not decide alone.
    weight : ndarray of float64, shape (n,), optional
        1 each where absent.
    """
    window = np.zeros(len(raw), dtype=np.int64) if window is None else np.unique(window, return_inverse=True)[1]
    slope, intercepts = _newton(raw, won, window, weight, with_slope=winning_leads >= _WINS_FOR_A_SLOPE)
    bounded = float(np.clip(slope, *_SLOPE_RANGE))
    if bounded != slope:
        _, intercepts = _newton(bounded * raw, won, window, weight, with_slope=False)
    rows_per_lead = max(float(won.sum()) / max(winning_leads, 1), 1.0)
    evidence = _evidence(bounded * raw, intercepts, window, weight) / rows_per_lead
    return Calibrator(slope=bounded, intercept=_level(intercepts, evidence))


def _evidence(raw: Floats, intercepts: Floats, window: npt.NDArray[np.int64], weight: Floats | None) -> Floats:
    """Information on the intercept of each window: one over its variance."""
    p = expit(raw + intercepts[window])
    curve = np.maximum(p * (1 - p), 1e-9)
    return np.asarray(np.bincount(window, curve if weight is None else weight * curve, len(intercepts)), dtype=float)


def _level(intercepts: Floats, evidence: Floats) -> float:
    """Intercept for the future: the newer windows' as far as windows differ by more than chance, else that of all.

    The share of their spread that chance does not explain is that of Higgins and Thompson (2002).
    """
    together = float(np.average(intercepts, weights=evidence))
    spread = float((evidence * (intercepts - together) ** 2).sum())
    moved = max(0.0, 1.0 - (len(intercepts) - 1) / spread) if spread > 0 else 0.0
    newer = float(np.average(intercepts, weights=_FADING ** np.arange(len(intercepts))[::-1]))
    return together + moved * (newer - together)


def _newton(
    raw: Floats, won: Floats, window: npt.NDArray[np.int64], weight: Floats | None, *, with_slope: bool
) -> tuple[float, Floats]:
    """Maximise the likelihood of one slope (pulled to 1, or kept there) and one intercept a window."""
    windows = int(window.max(initial=0)) + 1
    slope, intercepts = 1.0, np.zeros(windows)
    # A window without a win, or without a loss, would send its intercept to infinity: a weak prior holds it.
    prior = 1.0
    for _ in range(100):
        p = expit(slope * raw + intercepts[window])
        w, residual = np.maximum(p * (1 - p), 1e-9), won - p
        if weight is not None:
            w, residual = weight * w, weight * residual
        h00 = np.bincount(window, w, windows) + prior
        g0 = np.bincount(window, residual, windows) - prior * (intercepts - intercepts.mean())
        step = 0.0
        if with_slope:
            h01 = np.bincount(window, w * raw, windows)
            g1 = float((residual * raw).sum()) - _RIDGE * (slope - 1)
            h11 = float((w * raw * raw).sum()) + _RIDGE
            step = float((g1 - (h01 * g0 / h00).sum()) / (h11 - (h01 * h01 / h00).sum()))
            steps = (g0 - h01 * step) / h00
        else:
            steps = g0 / h00
        largest = max(abs(step), float(np.abs(steps).max()))
        damped = min(1.0, 2.0 / largest) if largest > 0 else 1.0
        slope, intercepts = slope + damped * step, intercepts + damped * steps
        if largest < 1e-9:
            break
    return slope, intercepts
