"""Small logistic fits with known terms: a few slopes, and an intercept for each part of the rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mqlml.tape.compiling import compiled

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
    held = _PULL_TOGETHER if parts > 1 else 1e-9
    rows = _Rows(np.ascontiguousarray(terms), np.asarray(won, np.float64), offset, weight, part)

    def at(slopes: Floats, intercepts: Floats) -> _Point:
        return _point(rows, slopes, intercepts, pull=pull, held=held)

    now = at(np.ones(k), np.zeros(parts))
    for _ in range(100):
        step, steps = now.step()
        then = at(now.slopes + step, now.intercepts + steps)
        while then.loss > now.loss + 1e-12 * abs(now.loss):
            step, steps = step / 2, steps / 2
            then = at(now.slopes + step, now.intercepts + steps)
        now = then
        if max(np.abs(step).max(initial=0.0), np.abs(steps).max()) < 1e-9:
            break
    return now.slopes, now.intercepts


class _Rows(NamedTuple):
    """What does not change from step to step."""

    terms: Floats
    won: Floats
    offset: Floats
    weight: Floats
    part: Integers


class _Point(NamedTuple):
    """Slopes (1) and intercepts (0), the penalised loss there, its gradient downhill and its second derivatives."""

    slopes: Floats
    intercepts: Floats
    loss: float
    g1: Floats
    g0: Floats
    h11: Floats
    h01: Floats
    h00: Floats

    def step(self) -> tuple[Floats, Floats]:
        """Newton's step: intercepts have a diagonal Hessian; eliminate them, solve for the few slopes."""
        shared = self.h01.T / self.h00
        step: Floats = self.g1
        if len(step):
            step = np.linalg.solve(self.h11 - shared @ self.h01, self.g1 - shared @ self.g0).astype(np.float64)
        return step, (self.g0 - self.h01 @ step) / self.h00


def _point(rows: _Rows, slopes: Floats, intercepts: Floats, *, pull: float, held: float) -> _Point:
    parts, k = len(intercepts), len(slopes)
    g1, g0 = -pull * (slopes - 1), -held * (intercepts - intercepts.mean())
    h11, h01, h00 = pull * np.eye(k), np.zeros((parts, k)), np.full(parts, held)
    loss = _add_rows(rows, slopes, intercepts, g1, g0, h11, h01, h00)
    penalty = pull * ((slopes - 1) ** 2).sum() + held * ((intercepts - intercepts.mean()) ** 2).sum()
    return _Point(slopes, intercepts, loss + float(penalty) / 2, g1, g0, h11, h01, h00)


@compiled
def _add_rows(
    rows: _Rows, slopes: Floats, intercepts: Floats, g1: Floats, g0: Floats, h11: Floats, h01: Floats, h00: Floats
) -> float:
    """Return the rows' log loss; add their gradient (downhill) and second derivatives to the arrays."""
    terms, won, offset, weight, part = rows
    k, loss = slopes.size, 0.0
    for i in range(won.size):
        z = offset[i] + intercepts[part[i]]
        for a in range(k):
            z += terms[i, a] * slopes[a]
        small = math.exp(-abs(z))
        p = (1.0 if z >= 0 else small) / (1.0 + small)
        loss += weight[i] * (max(z, 0.0) + math.log1p(small) - won[i] * z)
        residual = weight[i] * (won[i] - p)
        curvature = max(weight[i] * small / (1.0 + small) ** 2, 1e-12)
        g0[part[i]] += residual
        h00[part[i]] += curvature
        for a in range(k):
            g1[a] += terms[i, a] * residual
            h01[part[i], a] += curvature * terms[i, a]
            for b in range(k):
                h11[a, b] += curvature * terms[i, a] * terms[i, b]
    return loss
