"""What time does to chances: how much of a recent change in the win rate lasts, and how slopes fare on later leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mqlml.learning.likelihood import NINETY, fit_level, fit_terms, information
from mqlml.learning.shrinkage import between_variance

__all__ = ["Level", "SlopeTest", "follow_level", "later_slope", "time_windows"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Eight windows hold a season and a trend apart without running out of wins; 5 to 10 did about equally well.
_WINDOWS = 8
# Before the history has shown anything, half of a recent change is believed: between "it stays" (right for Bank
# Marketing) and "it goes" (right for Online Retail II). Two pairs of windows outweigh that belief.
_PERSISTENCE, _PAIRS = 0.5, 2.0
# Variance of win rates between windows in log-odds, as on the public sets: changes of about a fifth of the rate.
_USUAL_CHANGE = 0.04
# Slopes on later leads differed from those on held-out leads of the same time by about this much (standard deviation
# over the public sets); a single forward test is assumed to differ as much again.
_USUAL_TURN = 0.15


@dataclass(frozen=True)
class Level:
    """How far the newest window of the history stands from the whole of it, in log-odds, and what is made of it.

    Attributes
    ----------
    newest, low, high : float
        Difference between what was won and what the whole history promises in the newest window, and its 90 % interval.
    persistence : float
        Share of such differences that was still there one horizon later in this history, 0..1.
    applied : float
        What is added to the calibrated log-odds.
    windows : int
        Windows the history was cut into; below 2 nothing is known of drift.
    """

    newest: float = 0.0
    low: float = 0.0
    high: float = 0.0
    persistence: float = _PERSISTENCE
    applied: float = 0.0
    windows: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the summary."""
        return dict(vars(self))


@dataclass(frozen=True)
class SlopeTest:
    """Calibrated log-odds of leads from after a fit, and what became of them.

    Attributes
    ----------
    log_odds, won : ndarray of float64, shape (n,)
    lead : ndarray of int64, shape (n,)
    """

    log_odds: Floats
    won: Floats
    lead: Integers


def time_windows(when: Integers) -> Integers:
    """Cut rows into at most eight windows of about equal size in time order; equal times stay together."""
    edges = np.quantile(when, np.linspace(0, 1, _WINDOWS + 1)[1:-1], method="nearest")
    return np.unique(np.searchsorted(edges, when, side="right"), return_inverse=True)[1]


def follow_level(
    log_odds: Floats,
    won: Floats,
    *,
    when: Integers,
    known: Integers,
    lead: Integers,
    weight: Floats | None = None,
) -> Level:
    """Carry the newest window's win rate forward, as far as the history shows that such changes last.

    An empirical-Bayes forecast of a level with mean reversion: each past window's difference from the windows up to it
    is compared with the same difference in the first window that begins after its labels were known; the regression
    of the second on the first, shrunk to a half, is the share that lasts.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n,)
        Calibrated on all rows together, out of fold.
    won : ndarray of float64, shape (n,)
    when, known : ndarray of int64, shape (n,)
        Position of each row on the time axis, and where on it the label became known.
    lead : ndarray of int64, shape (n,)
        Evidence is counted in leads.
    weight : ndarray of float64, shape (n,), optional
        1 each where absent.
    """
    window = time_windows(when)
    count = int(window.max(initial=0)) + 1
    if count < 2:
        return Level(windows=count)
    found = [window == i for i in range(count)]
    level = np.array([fit_level(log_odds[i], won[i], None if weight is None else weight[i]) for i in found])
    precision = np.array([information(log_odds[i] + o, lead[i]) for i, o in zip(found, level, strict=True)])
    now, later = _pairs(level, precision, found, when, known)
    prior = _PAIRS * _USUAL_CHANGE
    share = float(np.clip(((now * later).sum() + _PERSISTENCE * prior) / ((now**2).sum() + prior), 0, 1))
    believed = precision[-1] / (precision[-1] + 1 / _USUAL_CHANGE)
    newest, spread = float(level[-1]), NINETY / float(np.sqrt(precision[-1]))
    return Level(newest, newest - spread, newest + spread, share, float(share * believed * newest), count)


def later_slope(tests: Sequence[SlopeTest]) -> float:
    """Slope to expect on later leads, from forward tests of calibrations that had a slope of 1 in their own time.

    A random-effects mean (DerSimonian and Laird, 1986, Controlled Clinical Trials 7:177) pulled to 1: single tests
    differ by far more than their standard errors say, so that a few of them must not decide.
    """
    found = [_slope(t) for t in tests]
    if not found:
        return 1.0
    slope, variance = np.array(found).T
    spread = between_variance(slope, variance) if len(slope) > 1 else _USUAL_TURN**2
    w = 1 / (variance + spread)
    prior = 1 / _USUAL_TURN**2
    return float((prior + (w * slope).sum()) / (prior + w.sum()))


def _slope(test: SlopeTest) -> tuple[float, float]:
    """Slope and its variance, counted in leads."""
    part = np.zeros(len(test.won), dtype=np.int64)
    (slope,), (intercept,) = fit_terms(test.log_odds[:, None], test.won, part)
    p = expit(slope * test.log_odds + intercept)
    w = p * (1 - p)
    centred = test.log_odds - np.average(test.log_odds, weights=w)
    independent = len(np.unique(test.lead)) / len(test.lead)
    return float(slope), 1 / max(float((w * centred**2).sum()) * independent, 1e-9)


def _pairs(
    level: Floats, precision: Floats, found: Sequence[npt.NDArray[np.bool_]], when: Integers, known: Integers
) -> tuple[Floats, Floats]:
    """Differences of windows from all up to them, and the same differences once their labels were known."""
    begins = np.array([when[i].min() for i in found])
    now, later = [], []
    for i in range(1, len(level)):
        after = np.flatnonzero(begins >= np.median(known[found[i]]))
        after = after[after > i]
        if len(after):
            usual = np.average(level[: i + 1], weights=precision[: i + 1])
            now.append(level[i] - usual)
            later.append(level[after[0]] - usual)
    return np.array(now), np.array(later)
