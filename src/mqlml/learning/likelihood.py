"""Small logistic fits with known terms: a few slopes, and an intercept for each part of the rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

__all__ = ["NINETY", "fit_level", "fit_terms", "information", "line_loss"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NINETY = 1.645
"""Standard errors to each side of a 90 % interval."""

# Worth about 20 observations of information at p = 0.5: enough to steady a slope, too little to bend a known one.
_PULL_TO_ONE = 5.0
# A part without a win, or without a loss, would send its intercept to infinity: a prior worth one win holds it.
_PULL_TOGETHER = 1.0


def line_loss(log_odds: Floats, won: Floats) -> Floats:
    """Log loss of each row in nats."""
    return np.logaddexp(0, log_odds) - won * log_odds


def fit_level(log_odds: Floats, won: Floats, weight: Floats | None = None) -> float:
    """What has to be added to log-odds so that as many wins are promised as there were; at most 2 either way."""
    none, flat = np.zeros((len(won), 0)), np.zeros(len(won), dtype=np.int64)
    _, (level,) = fit_terms(none, won, flat, offset=log_odds, weight=weight)
    # A part without a win says "much lower", not "never".
    return float(np.clip(level, -2.0, 2.0))


def information(log_odds: Floats, unit: Integers) -> float:
    """Inverse variance of a level fitted to these rows; all rows of a unit (a lead, an account) count as one."""
    p = expit(log_odds)
    return max(float((p * (1 - p)).mean() * len(np.unique(unit))), 1e-9)


def fit_terms(
    terms: Floats,
    won: Floats,
    part: Integers,
    *,
    offset: Floats | None = None,
    weight: Floats | None = None,
    pull: float = _PULL_TO_ONE,
) -> tuple[Floats, Floats]:
    """Maximise the likelihood of ``offset + terms @ slopes + intercepts[part]`` by Newton's method.

    Parameters
    ----------
    terms : ndarray of float64, shape (rows, k)
        k may be 0.
    won : ndarray of float64, shape (rows,)
        Labels, 0 or 1.
    part : ndarray of int64, shape (rows,)
        Part of each row, 0 .. parts - 1.
    offset, weight : ndarray of float64, shape (rows,), optional
        0 and 1 each where absent.
    pull : float
        Ridge that pulls each slope to 1.

    Returns
    -------
    tuple of (ndarray of float64, shape (k,); ndarray of float64, shape (parts,))
        Slopes and intercepts.
    """
    parts, k = int(part.max(initial=0)) + 1, terms.shape[1]
    offset = np.zeros(len(won)) if offset is None else offset
    weight = np.ones(len(won)) if weight is None else weight
    slopes, intercepts = np.ones(k), np.zeros(parts)
    held = _PULL_TOGETHER if parts > 1 else 1e-9

    def loss(slopes: Floats, intercepts: Floats) -> float:
        log_odds = offset + terms @ slopes + intercepts[part]
        penalty = pull * ((slopes - 1) ** 2).sum() + held * ((intercepts - intercepts.mean()) ** 2).sum()
        return float((weight * line_loss(log_odds, won)).sum() + penalty / 2)

    now = loss(slopes, intercepts)
    for _ in range(100):
        p = expit(offset + terms @ slopes + intercepts[part])
        w, residual = np.maximum(weight * p * (1 - p), 1e-12), weight * (won - p)
        # Intercepts have a diagonal Hessian: eliminate them, solve for the few slopes.
        h00 = np.bincount(part, w, parts) + held
        g0 = np.bincount(part, residual, parts) - held * (intercepts - intercepts.mean())
        h01 = np.stack([np.bincount(part, w * t, parts) for t in terms.T], axis=1) if k else np.zeros((parts, 0))
        h11 = (terms * w[:, None]).T @ terms + pull * np.eye(k)
        g1 = terms.T @ residual - pull * (slopes - 1)
        step = np.linalg.solve(h11 - h01.T @ (h01 / h00[:, None]), g1 - h01.T @ (g0 / h00)) if k else np.zeros(0)
        steps = (g0 - h01 @ step) / h00
        before = now
        while (now := loss(slopes + step, intercepts + steps)) > before + 1e-12 * abs(before):
            step, steps = step / 2, steps / 2
        slopes, intercepts = slopes + step, intercepts + steps
        if max(np.abs(step).max(initial=0.0), np.abs(steps).max()) < 1e-9:
            break
    return slopes, intercepts
