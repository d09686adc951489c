"""Matured scores: what was promised against what came of it; pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from scipy.stats import binom, norm

from mqlml.decision.followup import first_of_each
from mqlml.learning.evaluation import calibration_line, calibration_lines, realised_rate
from mqlml.learning.resampling import Draws, Resampler, binomial_interval
from mqlml.operation.monitoring import Measured, missing, percent

__all__ = ["Matured", "control_leads", "level", "mql_win_rate", "next_week", "slope"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FEWEST_EXPECTED, _FEWEST_CONTROL = 10.0, 20
# Smaller differences from 1 change no decision.
_LEVEL, _SLOPE = 0.15, 0.25
_CELLS = 500


@dataclass(frozen=True)
class Matured:
    """Scores whose horizon is over, sorted by lead, then moment; arrays of shape (n,).

    Attributes
    ----------
    lead, group : ndarray of int64
        Lead and account.
    at : ndarray of int64
        Moment of the score, in microseconds.
    p, won : ndarray of float64
        Chance, and 1 where won within the horizon of the moment.
    mql, control : ndarray of bool
    """

    lead: Integers
    group: Integers
    at: Integers
    p: Floats
    won: Floats
    mql: Flags
    control: Flags

    def where(self, flags: Flags) -> Matured:
        """Those for which ``flags`` is true."""
        return Matured(**{name: values[flags] for name, values in vars(self).items()})

    def __len__(self) -> int:
        return len(self.p)


def mql_win_rate(scores: Matured, *, promised: Mapping[str, float | None] | None, seed: int) -> Measured:
    """MON-01: each lead when it first became an MQL, against its chance then.

    Parameters
    ----------
    scores : Matured
    promised : mapping or None
        ``value``, ``low`` and ``high`` of the win rate that the policy promised; its error counts too.
    seed : int
    """
    chosen = scores.where(first_of_each(scores.lead, scores.mql))
    expected = float(chosen.p.sum())
    if expected < _FEWEST_EXPECTED:
        n = f"{len(chosen):,} MQLs whose horizon is over, with {expected:.1f} wins to expect"
        return missing("MON-01", f"Needs scores of past weeks whose horizon is over (--scores): {n}, 10 are needed.")
    rate = realised_rate(chosen.won, np.ones(len(chosen)), len(chosen), Resampler(chosen.group, seed=seed))
    promise = expected / len(chosen)
    goal = None if promised is None else promised.get("value")
    said = "" if goal is None else f"; the policy promised {percent(goal)}"
    sentence = (
        f"Of {len(chosen):,} MQLs whose horizon is over {percent(rate['won'])} were won (likely "
        f"{percent(rate['low'])} to {percent(rate['high'])}); their chances said {percent(promise)}{said}."
    )
    return Measured(
        "MON-01",
        sentence,
        _level_p(chosen, _relative_error(promised)),
        large=_differs(chosen.won.sum() / expected),
        figures={"mqls": len(chosen), "win_rate": rate, "chances": promise, "promised": promised},
    )


def level(scores: Matured, *, tested: Mapping[str, float | None] | None, seed: int) -> Measured:
    """MON-02: wins for each one that the chances of all leads promised.

    Parameters
    ----------
    scores : Matured
    tested : mapping or None
        The same figure in the test at training, with its interval: the chances are known no better than that.
    seed : int
    """
    expected = float(scores.p.sum())
    if expected < _FEWEST_EXPECTED:
        return missing("MON-02", "Needs scores of past weeks whose horizon is over, with at least 10 wins to expect.")
    sums = Resampler(scores.group, seed=seed).sums({"won": scores.won, "p": scores.p})
    ratio = (sums["won"] / sums["p"]).interval()
    sentence = (
        f"{ratio.value:.2f} leads were won for each one that the chances promised"
        f"{_likely(ratio.low, ratio.high)}; {len(scores):,} scores, {scores.won.sum():,.0f} of them followed by a win."
    )
    p = _level_p(scores, _relative_error(tested))
    figures = {"observed_over_expected": ratio.to_dict(), "scores": len(scores), "won": float(scores.won.sum())}
    return Measured("MON-02", sentence, p, large=_differs(ratio.value), figures=figures)


def slope(scores: Matured, *, tested: Mapping[str, float | None] | None, seed: int) -> Measured:
    """MON-03: calibration slope, 1 where high and low chances are as far apart as the outcomes."""
    wins = float(min(scores.won.sum(), (1 - scores.won).sum()))
    if wins < _FEWEST_EXPECTED or len(np.unique(scores.p)) < 3:
        return missing("MON-03", "Needs scores of past weeks whose horizon is over, at least 10 followed by a win.")
    draws = _slopes(scores, seed)
    found = draws.interval()
    error = float(np.nanstd(draws.redrawn, ddof=1))
    z = (draws.value - 1) / np.hypot(error, _error(tested))
    what = "too extreme" if draws.value < 1 else "not spread enough"
    sentence = f"Calibration slope {found.value:.2f}{_likely(found.low, found.high)}; 1 is perfect" + (
        f", the chances are {what}." if abs(draws.value - 1) > _SLOPE else "."
    )
    p = float(2 * norm.sf(abs(z)))
    return Measured(
        "MON-03", sentence, p, large=abs(draws.value - 1) > _SLOPE, figures={"slope": found.to_dict()}
    )  # fmt: skip


def control_leads(scores: Matured, *, per_week: int) -> Measured:
    """MON-04: leads below the line that were handed over on purpose, and what that says of those that were not."""
    on_list = np.unique(scores.lead[scores.mql | scores.control])
    below = scores.where(~np.isin(scores.lead, on_list))
    first = below.where(first_of_each(below.lead, np.ones(len(below), dtype=bool)))
    drawn = scores.where(first_of_each(scores.lead, scores.control))
    lost = f"{int(first.won.sum()):,} of {len(first):,} leads that were never handed over were won all the same"
    figures: dict[str, Any] = {"control": len(drawn), "below": len(first), "below_won": int(first.won.sum())}
    if len(drawn) < _FEWEST_CONTROL:
        why = "" if per_week else "; set [policy] control_per_week"
        what = f"Needs {_FEWEST_CONTROL} control leads whose horizon is over, there are {len(drawn)}{why}. {lost}."
        return Measured("MON-04", what, measured=False, figures=figures)
    won, n, promise = int(drawn.won.sum()), len(drawn), float(drawn.p.mean())
    low, high = binomial_interval(won, n)
    p = min(1.0, 2 * min(float(binom.cdf(won, n, promise)), float(binom.sf(won - 1, n, promise))))
    sentence = (
        f"{won} of {n} control leads were won ({percent(won / n)}, likely {percent(low)} to {percent(high)}); their "
        f"chances said {percent(promise)}. For {len(first):,} leads below the line that is about "
        f"{won / n * len(first):,.0f} wins if they were handed over (likely {low * len(first):,.0f} to "
        f"{high * len(first):,.0f}). {lost}."
    )
    figures |= {"won": won, "low": low, "high": high, "chances": promise}
    return Measured("MON-04", sentence, p, large=_differs(won / n / promise), figures=figures)


def next_week(chances: Floats, *, usual: float | None, ratio: float | None) -> Measured:
    """MON-17: win rate to expect of MQLs now.

    Parameters
    ----------
    chances : ndarray of float64, shape (n,)
        Of today's MQLs.
    usual : float or None
        MQLs of a usual week, for the range.
    ratio : float or None
        Wins for each promised one in matured scores, where they differ for certain.
    """
    if not len(chances):
        return missing("MON-17", "No lead is an MQL today.")
    mean = float(chances.mean())
    n = max(round(usual or len(chances)), 1)
    low, high = (float(binom.ppf(q, n, mean)) / n for q in (0.05, 0.95))
    sentence = f"{percent(mean)} of MQLs like today's are to be won; of {n} in a week {low * n:.0f} to {high * n:.0f}."
    if ratio is not None:
        sentence += f" As the chances have been off, rather {percent(min(mean * ratio, 1.0))}."
    return Measured("MON-17", sentence, figures={"mean_chance": mean, "mqls": len(chances), "ratio": ratio})


def _level_p(scores: Matured, error: float) -> float:
    """Two-sided p-value of sum(won) = sum(p): a score test with sums by account, and the error of the promise."""
    _, place = np.unique(scores.group, return_inverse=True)
    by_group = np.bincount(place, scores.won - scores.p)
    variance = max(float((by_group**2).sum()), float((scores.p * (1 - scores.p)).sum()))
    z = float(by_group.sum()) / np.sqrt(variance + (error * float(scores.p.sum())) ** 2)
    return float(2 * norm.sf(abs(z)))


def _slopes(scores: Matured, seed: int) -> Draws:
    """The slope, and in redrawn histories; chances are told apart to 500 ranks while they are redrawn."""
    value, base = calibration_line(scores.won, scores.p, np.ones(len(scores)))
    order = np.argsort(scores.p, kind="stable")
    cell = np.empty(len(order), dtype=np.int64)
    cell[order] = np.arange(len(order)) * min(_CELLS, len(order)) // len(order)
    resampler = Resampler(scores.group, seed=seed)
    z = np.bincount(cell, logit(scores.p)) / np.bincount(cell)
    good, rows = (resampler.by_cell(cell, column)[1] for column in (scores.won, np.ones(len(scores))))
    redrawn, _ = calibration_lines(z, good, rows, start=(value, base))
    return Draws(value, redrawn)


def _relative_error(found: Mapping[str, float | None] | None) -> float:
    """Standard error of a figure as a share of it, from its 90 % interval; 0 where that is unknown."""
    value = None if found is None else found.get("value")
    return _error(found) / value if value else 0.0


def _error(found: Mapping[str, float | None] | None) -> float:
    low, high = (None, None) if found is None else (found.get("low"), found.get("high"))
    return 0.0 if low is None or high is None else (high - low) / (2 * 1.645)


def _differs(ratio: float) -> bool:
    return bool(abs(np.log(max(ratio, 1e-9))) > -np.log(1 - _LEVEL))


def _likely(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (likely {low:.2f} to {high:.2f})"
