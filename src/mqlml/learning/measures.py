"""The figures of one set of chances, each with what it is in redrawn histories."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mqlml.learning.evaluation import (
    TOP_SHARES,
    calibration_line,
    calibration_lines,
    cells,
    expected_calibration_error,
    losses,
    ranking,
)
from mqlml.learning.resampling import LEVEL, Draws, Resampler

__all__ = ["PLAIN", "accuracy", "measure"]

Floats = npt.NDArray[np.float64]

PLAIN = {
    "log_loss": "how surprising the outcomes were to the chances (lower is better)",
    "log_loss_skill": "share of the base rate's log loss that the chances take away (0 is no better, 1 is perfect)",
    "brier": "mean squared error of the chances (lower is better)",
    "brier_skill": "share of the base rate's squared error that the chances take away (0 is no better, 1 is perfect)",
    "auc": "how often a won lead stood above one that was not (0.5 is chance)",
    "average_precision": "mean win rate above each won lead",
    **{f"lift_{100 * share:.0f}": f"win rate of the top {100 * share:.0f} % against all" for share in TOP_SHARES},
    **{f"top_{100 * share:.0f}": f"share of all wins in the top {100 * share:.0f} %" for share in TOP_SHARES},
    "slope": "calibration slope (1 is perfect; below 1 the chances are too extreme)",
    "intercept": "calibration intercept at the log-odds of the chances (0 is perfect)",
    "observed_over_expected": "won leads for each one promised (1 is perfect)",
    "ece": "mean distance between promised and realised win rate",
}


# Chances are told apart to this many ranks while they are redrawn; the figures themselves are exact.
_CELLS = 1_000
_USUAL_TAIL = (1 - LEVEL) / 2


def measure(won: Floats, p: Floats, resampler: Resampler, *, reference: Floats) -> dict[str, Draws]:
    """Measure chances against outcomes.

    Parameters
    ----------
    won, p : ndarray of float64, shape (n,)
        Outcomes 0 or 1; chances strictly between.
    resampler : Resampler
        Made for the groups of these rows.
    reference : ndarray of float64, shape (n,)
        Chances of the base rate, which skill is measured against.

    Returns
    -------
    dict of str to Draws
        The names of ``PLAIN``, in their order; the calibration error has no draws, since redrawing enlarges it.
    """
    redrawn = _Redrawn(won, p, resampler)
    found = {**resampler.means(losses(won, p)), **redrawn.ranking(), **redrawn.line()}
    base = resampler.means(losses(won, reference))
    found |= {f"{name}_skill": found[name].skill(base[name]) for name in base}
    sums = resampler.sums({"won": won, "promised": p})
    found["observed_over_expected"] = sums["won"] / sums["promised"]
    order = np.argsort(p, kind="stable")
    found["ece"] = Draws(expected_calibration_error(won[order], p[order], np.ones(len(p))), np.zeros(0))
    return {name: found[name] for name in PLAIN}


def accuracy(won: Floats, p: Floats, resampler: Resampler) -> dict[str, Draws]:
    """Measure the losses and everything that the ranking decides."""
    return {**resampler.means(losses(won, p)), **_Redrawn(won, p, resampler).ranking()}


class _Redrawn:
    """Won and all rows by rank of their chance, in the history itself and redrawn."""

    def __init__(self, won: Floats, p: Floats, resampler: Resampler) -> None:
        self._won, self._p, self._tail = won, p, resampler.tail
        exact, cell = np.unique(-p, return_inverse=True)
        if len(exact) > _CELLS:
            rank = np.cumsum(np.bincount(cell)) * _CELLS // (len(p) + 1)
            cell = np.unique(rank, return_inverse=True)[1][cell]
        self._cell = cell
        self._value, self._drawn = zip(*(resampler.by_cell(cell, w) for w in (won, np.ones(len(won)))), strict=True)

    def ranking(self) -> dict[str, Draws]:
        exact = ranking(*cells(self._won, self._p))
        coarse, redrawn = ranking(*self._value), ranking(*self._drawn)
        # What only a few top rows decide jumps from draw to draw, which widens its interval enough.
        tails = {"auc": self._tail, "average_precision": self._tail}
        return {
            name: Draws(float(v[0]), redrawn[name] - coarse[name] + v, tails.get(name, _USUAL_TAIL))
            for name, v in exact.items()
        }

    def line(self) -> dict[str, Draws]:
        exact = calibration_line(self._won, self._p, np.ones(len(self._p)))
        start = exact if np.isfinite(exact[0]) else (0.0, 0.0)
        z = np.bincount(self._cell, logit(self._p)) / np.bincount(self._cell)
        coarse = calibration_lines(z, *self._value, start=start)
        redrawn = calibration_lines(z, *self._drawn, start=start)
        # Redrawn rows repeat, so a line fits them too well: its slope comes out too steep.
        return {
            name: Draws(value, d - c + value, reflected=True)
            for name, value, c, d in zip(("slope", "intercept"), exact, coarse, redrawn, strict=True)
        }
