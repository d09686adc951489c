"""The penalised logistic regression: the steady half of the blend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Logistic", "choose_strength", "fit_logistic", "weighted_log_loss"]

Floats = npt.NDArray[np.float64]

STRENGTHS = (0.003, 0.03, 0.3)
# A logistic regression with 200 columns is settled long before this many rows; choosing its penalty needs fewer still.
_MAX_ROWS, _ROWS_TO_CHOOSE = 60_000, 12_000


@dataclass(frozen=True)
class Logistic:
    """Raw log-odds ``base + sum_j beta_j (x_j - mean_j)`` on the scale of the design matrix.

    Attributes
    ----------
    base : float
        Log-odds of a lead that is average in every column.
    beta, mean : ndarray of float64, shape (columns,)
    """

    base: float
    beta: Floats
    mean: Floats

    def raw(self, matrix: Floats) -> Floats:
        """Raw log-odds, shape (rows,)."""
        # Column by column, since a matrix product rounds differently from one number of rows or threads to another:
        # a lead's chance must not depend on the batch it came in.
        total = np.full(len(matrix), self.base)
        for j in np.flatnonzero(self.beta):
            total += (matrix[:, j] - self.mean[j]) * self.beta[j]
        return total

    def contributions(self, matrix: Floats) -> Floats:
        """What each column adds to ``base``, shape (rows, columns)."""
        return (matrix - self.mean) * self.beta

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {"base": self.base, "beta": self.beta.tolist(), "mean": self.mean.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Logistic:
        """Inverse of :meth:`to_dict`."""
        return cls(float(data["base"]), np.asarray(data["beta"], dtype=float), np.asarray(data["mean"], dtype=float))


def fit_logistic(
    matrix: Floats,
    won: Floats,
    *,
    strength: float,
    seed: int,
    weight: Floats | None = None,
    max_rows: int = _MAX_ROWS,
) -> Logistic:
    """Fit on standardised columns and fold the scale back into the coefficients.

    Parameters
    ----------
    matrix : ndarray of float64, shape (rows, columns)
    won : ndarray of float64, shape (rows,)
        Both classes present.
    strength : float
        Inverse penalty (scikit-learn's ``C``) for a thousand rows; grows with the rows as the evidence does.
    seed : int
        Draws the rows where there are more than ``max_rows``.
    weight : ndarray of float64, shape (rows,), optional
        1 each where absent.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    if len(won) > max_rows:
        chosen = np.sort(np.random.default_rng(seed).choice(len(won), max_rows, replace=False))
        matrix, won, weight = matrix[chosen], won[chosen], None if weight is None else weight[chosen]
    mean, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale[scale < 1e-9] = np.inf
    model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=100)
    # One thread: matrix products round differently on another number, and spin on a busy machine.
    with threadpool_limits(1, "blas"):
        model.fit((matrix - mean) / scale, won, sample_weight=weight)
    return Logistic(float(model.intercept_[0]), model.coef_[0] / scale, mean)


def choose_strength(
    matrix: Floats, won: Floats, folds: npt.NDArray[np.int64], *, seed: int, weight: Floats | None = None
) -> tuple[float, Floats]:
    """Choose the penalty by out-of-fold log loss.

    Returns
    -------
    tuple of (float, ndarray of float64, shape (rows,))
        The strength and its out-of-fold raw scores.
    """
    best: tuple[float, float, Floats] | None = None
    for strength in STRENGTHS:
        raw = np.empty(len(won))
        for fold in np.unique(folds):
            out = folds == fold
            inside = None if weight is None else weight[~out]
            learned = fit_logistic(
                matrix[~out], won[~out], strength=strength, seed=seed, weight=inside, max_rows=_ROWS_TO_CHOOSE
            )
            raw[out] = learned.raw(matrix[out])
        loss = weighted_log_loss(raw, won, weight)
        if best is None or loss < best[0]:
            best = (loss, strength, raw)
    assert best is not None
    return best[1], best[2]


def weighted_log_loss(log_odds: Floats, won: Floats, weight: Floats | None = None) -> float:
    """Mean log loss of log-odds, by weight where there is one."""
    if weight is None:
        return float(np.logaddexp(0, log_odds).mean() - (won * log_odds).mean())
    return float(np.average(np.logaddexp(0, log_odds) - won * log_odds, weights=weight))
