"""Calibration of raw log-odds: an intercept, an affine map pulled towards the identity, or a monotone curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from mqlml.learning.likelihood import fit_terms, line_loss
from mqlml.learning.windows import group_folds

__all__ = ["Calibrator", "Curve", "Method", "fit_calibrator"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Method = Literal["auto", "intercept", "affine", "beta", "isotonic"]

# With fewer winning leads than this a slope is noise; see Van Calster et al. (2019), BMC Medicine 17:230.
_WINS_FOR_A_SLOPE = 50
# Below this a second slope costs more than it brings at low win rates (docs/decisions/008).
_WINS_FOR_A_CURVE = 1_000
# An isotonic step on fewer rows promises certainty it does not have.
_WINS_FOR_STEPS, _ROWS_FOR_STEPS = 2_000, 10_000
_SLOPE_RANGE = (0.1, 3.0)
_FOLDS, _REPEATS = 5, 2


@dataclass(frozen=True)
class Curve:
    """A monotone map of raw log-odds to log-odds that is not a line.

    Attributes
    ----------
    kind : {"beta", "isotonic"}
        ``beta``: ``a ln p - b ln(1 - p)`` with a, b >= 0 (Kull, Silva Filho, Flach, 2017, AISTATS), p the raw chance.
        ``isotonic``: straight pieces between steps.
    values : tuple of float
        (a, b), or the log-odds at each of ``at``.
    at : tuple of float
        Raw log-odds of the steps, ascending.
    """

    kind: Literal["beta", "isotonic"]
    values: tuple[float, ...]
    at: tuple[float, ...] = ()

    def __call__(self, raw: Floats) -> Floats:
        """Values of the curve, same shape."""
        if self.kind == "isotonic":
            return np.interp(raw, self.at, self.values)
        return _beta_terms(raw) @ np.asarray(self.values)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Calibrator:
    """``calibrated log-odds = slope * curve(raw) + intercept``; without a curve reasons stay exactly additive.

    Examples
    --------
    >>> float(Calibrator(slope=1.0, intercept=0.0).probability(np.zeros(1))[0])
    0.5
    """

    slope: float = 1.0
    intercept: float = 0.0
    curve: Curve | None = None

    def log_odds(self, raw: Floats) -> Floats:
        """Calibrated log-odds of raw scores, same shape."""
        return self.slope * (raw if self.curve is None else self.curve(raw)) + self.intercept

    def probability(self, raw: Floats) -> Floats:
        """Calibrated probabilities of raw scores, strictly between 0 and 1."""
        return np.clip(expit(self.log_odds(raw)), 1e-9, 1 - 1e-9)  # type: ignore[no-any-return]

    def scale(self, raw: Floats, base: float) -> Floats:
        """Return ``(g(raw) - g(base)) / (raw - base)``, which turns raw contributions into calibrated ones that add up.

        Parameters
        ----------
        raw : ndarray of float64
        base : float
            The raw score before anything is known of a lead.

        Returns
        -------
        ndarray of float64
            Same shape; at ``raw == base``, where any scale would do, that of a point close by.
        """
        if self.curve is None:
            return np.full(np.shape(raw), self.slope)
        distance = raw - base
        distance = np.where(np.abs(distance) < 1e-6, 1e-6, distance)
        start = self.log_odds(np.full(1, base))[0]
        return (self.log_odds(base + distance) - start) / distance  # type: ignore[no-any-return]

    def turned(self, factor: float, *, around: float) -> Calibrator:
        """Multiply the distance of the calibrated log-odds from ``around``."""
        return replace(self, slope=factor * self.slope, intercept=factor * self.intercept + (1 - factor) * around)

    def moved(self, by: float) -> Calibrator:
        """Add to the calibrated log-odds."""
        return replace(self, intercept=self.intercept + by)

    @property
    def kind(self) -> str:
        """Rung of the ladder: ``line``, ``beta`` or ``isotonic``."""
        return "line" if self.curve is None else self.curve.kind

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        curve = None if self.curve is None else {**vars(self.curve)}
        return {"slope": self.slope, "intercept": self.intercept, "curve": curve}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibrator:
        """Inverse of :meth:`to_dict`."""
        found = data.get("curve")
        curve = found and Curve(found["kind"], tuple(found["values"]), tuple(found["at"]))
        return cls(float(data["slope"]), float(data["intercept"]), curve)


def fit_calibrator(
    raw: Floats,
    won: Floats,
    *,
    lead: Integers,
    method: Method = "auto",
    window: Integers | None = None,
    weight: Floats | None = None,
    seed: int = 0,
) -> Calibrator:
    """Fit the map from raw scores to true rates on rows the model has not seen.

    Parameters
    ----------
    raw : ndarray of float64, shape (n,)
        Raw log-odds.
    won : ndarray of float64, shape (n,)
        Labels, 0 or 1.
    lead : ndarray of int64, shape (n,)
        Lead of each row: wins are counted in leads.
    method : {"auto", "intercept", "affine", "beta", "isotonic"}
        ``auto``: an intercept below 50 winning leads, else an affine map; from 1,000 on a beta curve where it wins in
        repeated cross-validation by more than a standard error. A method that needs more leads than there are falls
        back to the next simpler one.
    window : ndarray of int64, shape (n,), optional
        Part of the time axis each row is from. Base rates move: each part has an intercept of its own while the slope
        is learned, so that drift does not bend it. The intercept returned fits all rows together.
    weight : ndarray of float64, shape (n,), optional
        1 each where absent.
    seed : int
        Deals the folds.
    """
    window = np.zeros(len(raw), dtype=np.int64) if window is None else np.unique(window, return_inverse=True)[1]
    wins = len(np.unique(lead[won > 0]))
    if method == "intercept" or wins < _WINS_FOR_A_SLOPE:
        return _with_intercept(Calibrator(), raw, won, weight)
    line = _fit_line(raw, won, window, weight)
    if method == "isotonic" and wins >= _WINS_FOR_STEPS and len(raw) >= _ROWS_FOR_STEPS:
        return _fit_isotonic(raw, won, weight)
    if method in ("auto", "beta") and wins >= _WINS_FOR_A_CURVE:
        curve = _fit_beta(raw, won, window, weight)
        if method == "beta" or _curve_wins(raw, won, lead, window, weight, seed):
            return _with_intercept(curve, raw, won, weight)
    return _with_intercept(line, raw, won, weight)


def _fit_line(raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> Calibrator:
    (slope,), _ = fit_terms(raw[:, None], won, window, weight=weight)
    return Calibrator(slope=float(np.clip(slope, *_SLOPE_RANGE)))


def _fit_beta(raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> Calibrator:
    terms = _beta_terms(raw)
    found, _ = fit_terms(terms, won, window, weight=weight)
    if (found < 0).any():
        # The boundary of a, b >= 0: at most one can be negative, since together they follow the ranking.
        kept = found.argmax()
        (value,), _ = fit_terms(terms[:, [kept]], won, window, weight=weight)
        found = np.where(np.arange(2) == kept, max(float(value), 0.0), 0.0)
    return Calibrator(curve=Curve("beta", tuple(found.tolist())))


def _fit_isotonic(raw: Floats, won: Floats, weight: Floats | None) -> Calibrator:
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression().fit(raw, won, sample_weight=weight)
    least = 1 / (len(raw) + 2)
    values = logit(np.clip(steps.y_thresholds_, least, 1 - least))
    return Calibrator(curve=Curve("isotonic", tuple(values.tolist()), tuple(steps.X_thresholds_.tolist())))


def _curve_wins(raw: Floats, won: Floats, lead: Integers, window: Integers, weight: Floats | None, seed: int) -> bool:
    """Whether the beta curve beats the line on held-out leads by more than a standard error."""
    gain = np.zeros(len(raw))
    for repeat in range(_REPEATS):
        folds = group_folds(lead, won, folds=_FOLDS, seed=seed + repeat)
        for fold in range(_FOLDS):
            out, inside = folds == fold, folds != fold
            w = None if weight is None else weight[inside]
            for sign, fit in ((1, _fit_line), (-1, _fit_beta)):
                found = _with_intercept(fit(raw[inside], won[inside], window[inside], w), raw[inside], won[inside], w)
                gain[out] += sign * line_loss(found.log_odds(raw[out]), won[out])
    by_lead = np.bincount(np.unique(lead, return_inverse=True)[1], weights=gain if weight is None else gain * weight)
    return bool(by_lead.mean() > by_lead.std() / np.sqrt(len(by_lead)))


def _with_intercept(found: Calibrator, raw: Floats, won: Floats, weight: Floats | None) -> Calibrator:
    """Set the intercept so that all rows together are promised as many wins as there were."""
    flat = np.zeros(len(raw), dtype=np.int64)
    _, (intercept,) = fit_terms(np.zeros((len(raw), 0)), won, flat, offset=found.log_odds(raw), weight=weight)
    return found.moved(float(intercept))


def _beta_terms(raw: Floats) -> Floats:
    """``ln p`` and ``-ln(1 - p)`` of raw chances, shape (rows, 2); their sum is the raw log-odds."""
    return np.stack([-np.logaddexp(0, -raw), np.logaddexp(0, raw)], axis=-1)
