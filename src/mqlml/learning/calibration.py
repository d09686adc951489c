"""Calibration of raw log-odds: an intercept, an affine map pulled towards the identity, or a monotone curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mqlml.learning.curves import Curve, Fit, bent_at, fit_beta, fit_isotonic
from mqlml.learning.likelihood import fit_terms, line_loss
from mqlml.learning.windows import group_folds

__all__ = ["Calibrator", "Curve", "Method", "fit_calibrator"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Method = Literal["auto", "intercept", "affine", "bent", "beta", "isotonic"]

# With fewer winning leads than this a slope is noise; see Van Calster et al. (2019), BMC Medicine 17:230.
_WINS_FOR_A_SLOPE = 50
# Winning leads that a curve needs: a bend can be told from noise with fewer (docs/decisions/026).
_WINS_FOR_A_BEND, _WINS_FOR_BETA = 100, 1_000
# An isotonic step on fewer rows promises certainty it does not have.
_WINS_FOR_STEPS, _ROWS_FOR_STEPS = 2_000, 10_000
_SLOPE_RANGE = (0.1, 3.0)
_FOLDS, _REPEATS = 5, 2


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
        """Rung of the ladder: ``line``, ``bent``, ``beta`` or ``isotonic``."""
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
    method : {"auto", "intercept", "affine", "bent", "beta", "isotonic"}
        ``auto``: an intercept below 50 winning leads, else an affine map; a line that bends (from 100 winning leads on)
        or a beta curve (from 1,000 on) where it wins in repeated cross-validation by more than a standard error. A
        method that needs more leads than there are falls back to an affine map.
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
    if method == "isotonic" and wins >= _WINS_FOR_STEPS and len(raw) >= _ROWS_FOR_STEPS:
        return Calibrator(curve=fit_isotonic(raw, won, weight))
    curve = _curve(raw, won, lead, window, weight, method=method, wins=wins, seed=seed)
    found = _fit_line(raw, won, window, weight) if curve is None else Calibrator(curve=curve)
    return _with_intercept(found, raw, won, weight)


def _curve(
    raw: Floats,
    won: Floats,
    lead: Integers,
    window: Integers,
    weight: Floats | None,
    *,
    method: Method,
    wins: int,
    seed: int,
) -> Curve | None:
    """The curve that is asked for, or that wins; None where a line has to do."""
    ways: list[Fit] = []
    if method in ("auto", "bent") and wins >= _WINS_FOR_A_BEND:
        ways.append(bent_at(raw, won, window, weight))
    if method in ("auto", "beta") and wins >= _WINS_FOR_BETA:
        ways.append(fit_beta)
    if method == "auto" and ways:
        return _best_curve(raw, won, lead, window, weight, seed=seed, fits=ways)
    return ways[0](raw, won, window, weight) if ways else None


def _fit_line(raw: Floats, won: Floats, window: Integers, weight: Floats | None) -> Calibrator:
    (slope,), _ = fit_terms(raw[:, None], won, window, weight=weight)
    return Calibrator(slope=float(np.clip(slope, *_SLOPE_RANGE)))


def _best_curve(
    raw: Floats,
    won: Floats,
    lead: Integers,
    window: Integers,
    weight: Floats | None,
    *,
    seed: int,
    fits: Sequence[Fit],
) -> Curve | None:
    """The curve that gains most on held-out leads, if it beats the line there by more than a standard error."""
    rows = _Rows(raw, won, np.unique(lead, return_inverse=True)[1], window, weight)
    everywhere = np.ones(len(raw), dtype=bool)
    # What does not even fit its own rows better needs no cross-validation, which takes ten times as long.
    fits = [fit for fit in fits if _surely(rows, rows.gain(fit, everywhere, everywhere)) > 0]
    gains = [np.zeros(len(raw)) for _ in fits]
    for repeat in range(_REPEATS if fits else 0):
        folds = group_folds(lead, won, folds=_FOLDS, seed=seed + repeat)
        for fold in range(_FOLDS):
            out = folds == fold
            for fit, gain in zip(fits, gains, strict=True):
                gain[out] += rows.gain(fit, ~out, out)
    sure = [_surely(rows, gain) for gain in gains]
    best = int(np.argmax(sure)) if sure else 0
    return fits[best](raw, won, window, weight) if sure and sure[best] > 0 else None


class _Rows(NamedTuple):
    """What a calibration learns from; leads are numbered from 0."""

    raw: Floats
    won: Floats
    lead: Integers
    window: Integers
    weight: Floats | None

    def gain(self, fit: Fit, inside: Flags, out: Flags) -> Floats:
        """By how much a curve beats the line in log loss on the rows ``out``, both fitted on the rows ``inside``."""
        told = self.raw[inside], self.won[inside], self.window[inside]
        weight = None if self.weight is None else self.weight[inside]
        line, curve = (
            line_loss(_with_intercept(way, told[0], told[1], weight).log_odds(self.raw[out]), self.won[out])
            for way in (_fit_line(*told, weight), Calibrator(curve=fit(*told, weight)))
        )
        return line - curve


def _surely(rows: _Rows, gain: Floats) -> float:
    """The mean gain of a lead, less a standard error."""
    by_lead = np.bincount(rows.lead, weights=gain if rows.weight is None else gain * rows.weight)
    return float(by_lead.mean() - by_lead.std() / np.sqrt(len(by_lead)))


def _with_intercept(found: Calibrator, raw: Floats, won: Floats, weight: Floats | None) -> Calibrator:
    """Set the intercept so that all rows together are promised as many wins as there were."""
    flat = np.zeros(len(raw), dtype=np.int64)
    _, (intercept,) = fit_terms(np.zeros((len(raw), 0)), won, flat, offset=found.log_odds(raw), weight=weight)
    return found.moved(float(intercept))
