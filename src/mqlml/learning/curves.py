"""Monotone maps of raw log-odds that are not a line: a bent line, a beta curve, and steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mqlml.learning.likelihood import fit_terms, line_loss

__all__ = ["Curve", "Fit", "bent_at", "fit_beta", "fit_isotonic"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Fit = Callable[[Floats, Floats, Integers, Floats | None], "Curve"]
"""From raw scores, outcomes, parts of the time axis and weights to a curve."""

# A level piece would make equals of leads that the model tells apart.
_LEAST_SLOPE = 0.1
# Where the line may bend: this share of the won rows lies above.
_WON_ABOVE = (0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Curve:
    """A monotone map of raw log-odds to log-odds that is not a line.

    Attributes
    ----------
    kind : {"bent", "beta", "isotonic"}
        ``bent``: ``a z`` up to a point, ``b`` times the rest above it, with a, b >= 0.1.
        ``beta``: ``a ln p - b ln(1 - p)`` with a, b >= 0 (Kull, Silva Filho, Flach, 2017, AISTATS), p the raw chance.
        ``isotonic``: straight pieces between steps.
    values : tuple of float
        (a, b), or the log-odds at each of ``at``.
    at : tuple of float
        The point of a bent line; raw log-odds of the steps, ascending.
    """

    kind: Literal["bent", "beta", "isotonic"]
    values: tuple[float, ...]
    at: tuple[float, ...] = ()

    def __call__(self, raw: Floats) -> Floats:
        """Values of the curve, same shape."""
        if self.kind == "isotonic":
            return np.interp(raw, self.at, self.values)
        terms = _bent_terms(raw, self.at[0]) if self.kind == "bent" else _beta_terms(raw)
        return terms @ np.asarray(self.values)  # type: ignore[no-any-return]


def bent_at(raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> Fit:
    """Find where a line bends best, and return the fit of lines that bend there; parameters as of :func:`fit_beta`."""
    best = np.sort(raw[won > 0])[::-1]
    points = [float(best[int(len(best) * share)]) for share in _WON_ABOVE]
    return partial(_fit_bent, min(points, key=lambda point: _bent_loss(point, raw, won, window, weight)))


def fit_beta(raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> Curve:
    """Fit a beta curve.

    Parameters
    ----------
    raw : ndarray of float64, shape (n,)
        Raw log-odds.
    won : ndarray of float64, shape (n,)
        Labels, 0 or 1; at least one of each.
    window : ndarray of int64, shape (n,)
        Parts of the time axis, 0 .. parts - 1, which have intercepts of their own.
    weight : ndarray of float64, shape (n,), or None
    """
    values, _ = _at_least(0.0, _beta_terms(raw), won, window, weight)
    return Curve("beta", tuple(values.tolist()))


def fit_isotonic(raw: Floats, won: Floats, weight: Floats | None) -> Curve:
    """Fit steps that never say "never" or "always"."""
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression().fit(raw, won, sample_weight=weight)
    least = 1 / (len(raw) + 2)
    values = logit(np.clip(steps.y_thresholds_, least, 1 - least))
    return Curve("isotonic", tuple(values.tolist()), tuple(steps.X_thresholds_.tolist()))


def _fit_bent(point: float, raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> Curve:
    values, _ = _at_least(_LEAST_SLOPE, _bent_terms(raw, point), won, window, weight)
    return Curve("bent", tuple(values.tolist()), (point,))


def _bent_loss(point: float, raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> float:
    terms = _bent_terms(raw, point)
    values, intercepts = _at_least(_LEAST_SLOPE, terms, won, window, weight)
    return float(np.average(line_loss(terms @ values + intercepts[window], won), weights=weight))


def _at_least(
    least: float, terms: Floats, won: Floats, window: Integers, weight: Floats | None
) -> tuple[Floats, Floats]:
    """Slopes of two terms, none below ``least``, and the intercepts of the windows."""
    slopes, intercepts = fit_terms(terms, won, window, weight=weight)
    low = slopes < least
    if low.any():
        # The boundary: at most one can be lower, since together the terms follow the ranking.
        kept = int(slopes.argmax())
        held = terms[:, 1 - kept] * least
        (value,), intercepts = fit_terms(terms[:, [kept]], won, window, offset=held, weight=weight)
        slopes = np.where(np.arange(2) == kept, max(float(value), least), least)
    return slopes, intercepts


def _bent_terms(raw: Floats, point: float) -> Floats:
    """The part below a point and the rest above it, shape (rows, 2); their sum is the raw log-odds."""
    return np.stack([np.minimum(raw, point), np.maximum(raw - point, 0.0)], axis=-1)


def _beta_terms(raw: Floats) -> Floats:
    """``ln p`` and ``-ln(1 - p)`` of raw chances, shape (rows, 2); their sum is the raw log-odds."""
    return np.stack([-np.logaddexp(0, -raw), np.logaddexp(0, raw)], axis=-1)
