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
    raw: Floats, won: Floats, *, winning_leads: int, newest: npt.NDArray[np.bool_] | None = None
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
    newest : ndarray of bool, shape (n,), optional
        Rows of the newest window: the intercept is moved to their rate, since base rates drift faster than slopes.
    """
    slope, intercept = _newton(raw, won, with_slope=winning_leads >= _WINS_FOR_A_SLOPE)
    slope = float(np.clip(slope, *_SLOPE_RANGE))
    chosen = slice(None) if newest is None else newest
    _, intercept = _newton(slope * raw[chosen], won[chosen], with_slope=False, start=intercept)
    return Calibrator(slope=slope, intercept=intercept)


def _newton(raw: Floats, won: Floats, *, with_slope: bool, start: float = 0.0) -> tuple[float, float]:
    """Maximise the log likelihood of slope and intercept (slope pulled to 1), or of the intercept alone."""
    slope, intercept = 1.0, start
    for _ in range(50):
        p = expit(slope * raw + intercept)
        w = np.maximum(p * (1 - p), 1e-9)
        g0, h00 = float((won - p).sum()), float(w.sum())
        if with_slope:
            g1 = float(((won - p) * raw).sum()) - _RIDGE * (slope - 1)
            h01, h11 = float((w * raw).sum()), float((w * raw * raw).sum()) + _RIDGE
            det = h00 * h11 - h01 * h01
            steps = (h00 * g1 - h01 * g0) / det, (h11 * g0 - h01 * g1) / det
        else:
            steps = 0.0, g0 / h00
        largest = max(abs(s) for s in steps)
        damped = min(1.0, 2.0 / largest) if largest > 0 else 1.0
        slope, intercept = slope + damped * steps[0], intercept + damped * steps[1]
        if largest < 1e-10:
            break
    return slope, intercept
