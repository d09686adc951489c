"""The penalised logistic regression: the steady half of the blend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from threadpoolctl import threadpool_limits

__all__ = ["Logistic", "choose_strength", "fit_logistic", "weighted_log_loss"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Signs = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

# Ascending: each fit starts from the one before.
STRENGTHS = (0.003, 0.03, 0.3)
# A logistic regression with 200 columns is settled long before this many rows; choosing its penalty needs fewer still.
_MAX_ROWS, _ROWS_TO_CHOOSE = 60_000, 12_000
_MOST_STEPS, _STEP_LENGTHS = 50, tuple(0.5**k for k in range(12))
# In log loss a row: far below anything that could be measured.
_CLOSE_ENOUGH = 1e-9
_SLOW = 0.1


@dataclass(frozen=True)
class Logistic:
    """Raw log-odds ``base + sum_j beta_j (x_j - mean_j)`` on the scale of the design matrix.

    Attributes
    ----------
    base : float
        Log-odds of a lead that is average in every column.
    beta, mean : ndarray of float64, shape (columns,)
    strength : float
        Inverse penalty it was fitted with.
    """

    base: float
    beta: Floats
    mean: Floats
    strength: float

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
        return {**vars(self), "beta": self.beta.tolist(), "mean": self.mean.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Logistic:
        """Inverse of :meth:`to_dict`."""
        beta, mean = np.asarray(data["beta"], dtype=float), np.asarray(data["mean"], dtype=float)
        return cls(float(data["base"]), beta, mean, float(data["strength"]))


def fit_logistic(
    matrix: Floats,
    won: Floats,
    *,
    strength: float,
    seed: int,
    weight: Floats | None = None,
    signs: Signs | None = None,
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
    signs : ndarray of int8, shape (columns,), optional
        +1 where a coefficient may not be negative, -1 where it may not be positive.
    """
    row = _drawn(np.arange(len(won)), max_rows, seed)
    scaled, mean, scale = _standardised(matrix if len(row) == len(won) else matrix[row])
    # One thread: matrix products round differently on another number, and spin on a busy machine.
    with threadpool_limits(1, "blas"):
        part = None if weight is None else weight[row]
        found = _fit_signed(scaled, won[row], part, strengths=(strength,), signs=signs)[0]
    return Logistic(float(found[0]), found[1:] / scale, mean, strength)


def choose_strength(
    matrix: Floats,
    won: Floats,
    folds: npt.NDArray[np.int64],
    *,
    seed: int,
    weight: Floats | None = None,
    signs: Signs | None = None,
    without: Callable[[Flags], Mapping[int, Floats]] = lambda _: {},
) -> tuple[float, Floats]:
    """Choose the penalty by out-of-fold log loss.

    Parameters
    ----------
    matrix, won, folds, seed, weight, signs
        As for :func:`fit_logistic`; ``folds`` holds the fold of each row.
    without : callable
        Columns, by place, that depend on the outcomes: as they are without those of the given rows.

    Returns
    -------
    tuple of (float, ndarray of float64, shape (rows,))
        The strength and its out-of-fold raw scores.
    """
    raw = np.empty((len(STRENGTHS), len(won)))
    scaled, mean, scale = _standardised(matrix)
    with threadpool_limits(1, "blas"):
        for fold in np.unique(folds):
            for place, values in without(folds == fold).items():
                scaled[:, place] = (values - mean[place]) / scale[place]
            row = _drawn(np.flatnonzero(folds != fold), _ROWS_TO_CHOOSE, seed)
            part = None if weight is None else weight[row]
            found = _fit_signed(scaled[row], won[row], part, strengths=STRENGTHS, signs=signs)
            out = np.flatnonzero(folds == fold)
            raw[:, out] = found[:, :1] + found[:, 1:].astype(np.float32) @ scaled[out].T
    best = int(np.argmin([weighted_log_loss(r, won, weight) for r in raw]))
    return STRENGTHS[best], raw[best]


def _drawn(row: npt.NDArray[np.int64], most: int, seed: int) -> npt.NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).choice(row, most, replace=False)) if len(row) > most else row


def _standardised(matrix: Floats) -> tuple[Singles, Floats, Floats]:
    """Columns with mean 0 and deviation 1, their means, and their deviations (infinite for a constant column).

    Single precision halves the time; seven digits are more than the coefficients of any history are known to.
    """
    mean, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale[scale < 1e-9] = np.inf
    scaled = np.empty(matrix.shape, dtype=np.float32)
    for first in range(0, len(matrix), 4_096):
        scaled[first : first + 4_096] = (matrix[first : first + 4_096] - mean) / scale
    return scaled, mean, scale


def _fit_signed(
    scaled: Singles, won: Floats, weight: Floats | None, *, strengths: Sequence[float], signs: Signs | None
) -> Floats:
    """As ``_fit_path``; columns whose coefficient would have the wrong sign are left out until none has."""
    found = _fit_path(scaled, won, weight, strengths=strengths)
    if signs is None or not signs.any():
        return found
    while (wrong := (found[:, 1:] * signs < 0).any(axis=0)).any():
        # A constant column keeps the coefficient 0, since the penalty wants nothing else.
        scaled = np.where(wrong, np.float32(0), scaled)
        found = _fit_path(scaled, won, weight, strengths=strengths)
        found[:, 1:][:, ~scaled.any(axis=0)] = 0.0
    return found


def _fit_path(scaled: Singles, won: Floats, weight: Floats | None, *, strengths: Sequence[float]) -> Floats:
    """Intercepts and coefficients, shape (strengths, 1 + columns); each fit starts from the one before."""
    weight = np.ones(len(won)) if weight is None else weight
    rate = np.average(won, weights=weight)
    start = np.r_[np.log(rate / (1 - rate)), np.zeros(scaled.shape[1])]
    # Every k-th row leads most of the way in a fraction of the time.
    every = len(won) // _ROWS_TO_CHOOSE + 1
    if every > 1 and 0 < won[::every].sum() < len(won[::every]):
        start = _newton(_Loss(scaled[::every], won[::every], every * weight[::every]), strengths[0], start)
    loss = _Loss(scaled, won, weight)
    found = []
    for strength in strengths:
        start = _newton(loss, strength, start)
        found.append(start)
    return np.array(found)


def _newton(loss: _Loss, strength: float, start: Floats) -> Floats:
    """Minimise ``strength * weighted sum of log losses + |beta|^2 / 2`` by Newton's method with halved steps.

    Returns
    -------
    ndarray of float64, shape (1 + columns,)
        Intercept, which is not penalised, and coefficients of the scaled columns.
    """
    penalty: Floats = np.ones(len(start))
    penalty[0] = 0.0
    found, gain = start, np.inf
    value = strength * loss.value(start) + float((penalty * start**2).sum()) / 2
    hessian = loss.renewed(start) if loss.hessian is None else loss.hessian
    for _ in range(_MOST_STEPS):
        gradient = strength * loss.gradient(found) + penalty * found
        step = np.linalg.solve(strength * hessian + np.diag(penalty), gradient)
        # What a full step gains in the objective, twice: the squared Newton decrement.
        gain, before = float(gradient @ step), gain
        if gain < _CLOSE_ENOUGH * strength * loss.weight.sum():
            break
        for length in _STEP_LENGTHS:
            tried = found - length * step
            reached = strength * loss.value(tried) + float((penalty * tried**2).sum()) / 2
            if reached < value:
                break
        else:
            break
        found, value = tried, reached
        if gain > _SLOW * before:
            hessian = loss.renewed(found)
    return found


class _Loss:
    """Weighted sum of log losses of scaled columns, its gradient, and its Hessian as last computed.

    The Hessian costs as much as ten gradients, so that it is renewed only where steps shrink slowly.
    """

    def __init__(self, scaled: Singles, won: Floats, weight: Floats) -> None:
        self.scaled, self.won, self.weight = scaled, won, weight
        self.hessian: Floats | None = None

    def value(self, found: Floats) -> float:
        z = self._line(found)
        return float((self.weight * (np.logaddexp(0, z) - self.won * z)).sum())

    def gradient(self, found: Floats) -> Floats:
        slope = self.weight * (expit(self._line(found)) - self.won)
        return np.r_[slope.sum(), self.scaled.T @ slope.astype(np.float32)]  # type: ignore[no-any-return]

    def renewed(self, found: Floats) -> Floats:
        """Compute the Hessian here."""
        p = expit(self._line(found))
        curvature = self.weight * np.maximum(p * (1 - p), 1e-9)
        rooted = self.scaled * np.sqrt(curvature).astype(np.float32)[:, None]
        hessian: Floats = np.empty((len(found),) * 2)
        hessian[1:, 1:] = rooted.T @ rooted
        hessian[0, 0] = curvature.sum()
        hessian[0, 1:] = hessian[1:, 0] = self.scaled.T @ curvature.astype(np.float32)
        self.hessian = hessian
        return hessian

    def _line(self, found: Floats) -> Floats:
        line: Floats = (self.scaled @ found[1:].astype(np.float32)).astype(np.float64)
        return found[0] + line  # type: ignore[no-any-return]


def weighted_log_loss(log_odds: Floats, won: Floats, weight: Floats | None = None) -> float:
    """Mean log loss of log-odds, by weight where there is one."""
    if weight is None:
        return float(np.logaddexp(0, log_odds).mean() - (won * log_odds).mean())
    return float(np.average(np.logaddexp(0, log_odds) - won * log_odds, weights=weight))
