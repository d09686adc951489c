"""How far scores may be believed where few leads were won or lost: towards the base rate the weaker the evidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mqlml.learning.calibration import Calibrator, fit_calibrator

__all__ = ["FEW", "cautious_calibrator", "cautious_slope"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FEW = 50
"""Leads of the rarer outcome below which a slope is not estimated freely."""
# The slope is shrunk by this many squared standard errors over its square, as James and Stein (1961) do: below 1.7
# standard errors nothing is believed, at 4 four fifths.
_DOUBT = 3.0
# The order of the leads is kept even where nothing is believed.
_LEAST = 0.02


def cautious_calibrator(
    raw: Floats,
    won: Floats,
    *,
    lead: Integers,
    group: Integers,
    fold: Integers,
    weight: Floats | None = None,
) -> Calibrator:
    """Fit the intercept, and a slope of at most 1 that falls with the evidence for the scores.

    Parameters
    ----------
    raw : ndarray of float64, shape (n,)
        Out-of-fold log-odds.
    won : ndarray of float64, shape (n,)
    lead, group, fold : ndarray of int64, shape (n,)
        A lead's rows count as one observation, and those of an account as one draw; every fold has its own level,
        since a fold with more wins than the others was scored by a model that saw fewer.
    weight : ndarray of float64, shape (n,), optional
    """
    slope = cautious_slope(raw, won, lead=lead, group=group, fold=fold)
    level = fit_calibrator(slope * raw, won, lead=lead, method="intercept", weight=weight)
    return Calibrator(slope=slope, intercept=level.intercept)


def cautious_slope(raw: Floats, won: Floats, *, lead: Integers, group: Integers, fold: Integers) -> float:
    """Slope of the outcomes on the scores, less what chance alone may have given it; 0.02 to 1.

    Examples
    --------
    >>> rows = np.arange(40)
    >>> won = np.tile([0.0, 1.0], 20)
    >>> cautious_slope(4 * won - 2, won, lead=rows, group=rows, fold=rows // 20) > 0.5
    True
    >>> cautious_slope(2 - 4 * won, won, lead=rows, group=rows, fold=rows // 20)
    0.02
    """
    share = 1.0 / np.bincount(lead)[lead]
    fold = np.unique(fold, return_inverse=True)[1]
    mean = np.bincount(fold, share * raw) / np.bincount(fold, share)
    x = raw - mean[fold]
    doubt = _doubt(x, won, share, group)
    slope = _slope(x, won, share)
    return float(np.clip(min(slope, 1.0) * max(0.0, 1.0 - doubt), _LEAST, 1.0))


def _doubt(x: Floats, won: Floats, share: Floats, group: Integers) -> float:
    """The share of the slope that chance may have given it; from the scores' covariance with the outcome.

    Unlike the error of a fitted slope it holds where few leads are told apart completely.
    """
    rate = float(np.average(won, weights=share))
    code = np.unique(group, return_inverse=True)[1]
    by_account = np.bincount(code, share * (won - rate) * x)
    covariance, spread = float(by_account.sum()), float((by_account**2).sum())
    return _DOUBT * spread / covariance**2 if covariance > 0 else 1.0


def _slope(x: Floats, won: Floats, share: Floats) -> float:
    """Slope of a logistic regression with an intercept."""
    inputs = np.column_stack([np.ones(len(x)), x])
    found = np.zeros(2)
    # A line that tells few leads apart completely would be infinitely steep: a weak pull to 0 keeps it finite.
    pull = np.diag([1e-6, 1e-2])
    for _ in range(50):
        p = expit(inputs @ found)
        hessian = (inputs.T * (share * np.maximum(p * (1 - p), 1e-9))) @ inputs + pull
        step = np.linalg.solve(hessian, inputs.T @ (share * (won - p)) - pull @ found)
        found = found + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-8:
            break
    return float(found[1])
