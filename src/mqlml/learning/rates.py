"""Columns of many levels as one number: how much more or less often the leads of each level were won.

Target encoding (Micci-Barreca, 2001, SIGKDD Explorations 3:27), with two cautions. What levels differ by is shrunk as
far as chance alone would explain it; scikit-learn's ``TargetEncoder(smooth="auto")`` compares with the variance of the
outcome, which hardly shrinks a rate at all. And while learning no account is told by its own outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mqlml.learning.shrinkage import between_variance
from mqlml.learning.windows import group_folds

__all__ = ["Evidence", "RatedLevels", "level_rates"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FOLDS = 5
_LEAST = 1e-4


@dataclass(frozen=True)
class Evidence:
    """What became of the rows learned from.

    Attributes
    ----------
    won : ndarray of float64, shape (rows,)
    group : ndarray of int64, shape (rows,)
        Account of each row: all its rows count as one observation.
    weight : ndarray of float64, shape (rows,), optional
        1 each where absent.
    """

    won: Floats
    group: Integers
    weight: Floats | None = None

    @cached_property
    def weights(self) -> Floats:
        """Weight of each row."""
        return np.ones(len(self.won)) if self.weight is None else self.weight


def level_rates(code: Integers, levels: int, evidence: Evidence) -> Floats:
    """By how much the log-odds of each level differ from those of all rows with a level, shrunk to 0.

    Parameters
    ----------
    code : ndarray of int64, shape (rows,)
        Level of each row, -1 for none.
    levels : int
    evidence : Evidence

    Returns
    -------
    ndarray of float64, shape (levels,)
        0 for a level without rows, and for all where levels differ by no more than chance.
    """
    return _shrunk(_counted(code, levels, evidence, np.ones(len(code), dtype=bool)))


@dataclass(frozen=True)
class RatedLevels:
    """The level of each row in every column of the design matrix that holds rates.

    Attributes
    ----------
    codes : mapping of int to ndarray of int64, shape (rows,)
        By place of the column; -1 where the level has no rate.
    evidence : Evidence
    seed : int
        Deals the accounts into folds.
    """

    codes: Mapping[int, Integers]
    evidence: Evidence
    seed: int = 0

    def told(self, matrix: Floats, out: Flags | None = None) -> Floats:
        """Return a copy of the design matrix with the rates of :meth:`columns`; the matrix itself without any."""
        found = matrix.copy(order="F") if self.codes else matrix
        for place, rates in self.columns(out).items():
            found[:, place] = rates
        return found

    def columns(self, out: Flags | None = None) -> dict[int, Floats]:
        """Rates for learning, by place: of each row from other accounts only.

        Parameters
        ----------
        out : ndarray of bool, shape (rows,), optional
            Rows, whole accounts of them, whose outcomes nothing may be learned from; they are told by all others.
        """
        inside = np.ones(len(self._fold), dtype=bool) if out is None else ~out
        return {place: self._column(code, inside) for place, code in self.codes.items()}

    def _column(self, code: Integers, inside: Flags) -> Floats:
        levels = int(code.max(initial=-1)) + 1
        whole = _counted(code, levels, self.evidence, inside)
        found = _read(_shrunk(whole), code)
        for fold in range(_FOLDS):
            mine = inside & (self._fold == fold)
            found[mine] = _read(_shrunk(whole - _counted(code, levels, self.evidence, mine)), code[mine])
        return found

    @cached_property
    def _fold(self) -> Integers:
        return group_folds(self.evidence.group, self.evidence.won, folds=_FOLDS, seed=self.seed)


def _counted(code: Integers, levels: int, evidence: Evidence, chosen: Flags) -> Floats:
    """Weight of won rows, weight of rows and number of accounts by level, of the chosen rows; shape (3, levels)."""
    rows = np.flatnonzero(chosen & (code >= 0))
    level, weight = code[rows], evidence.weights[rows]
    _, first = np.unique(evidence.group[rows] * levels + level, return_index=True)
    wins, seen = (np.bincount(level, w, levels) for w in (weight * evidence.won[rows], weight))
    return np.stack([wins, seen, np.bincount(level[first], minlength=levels)]).astype(np.float64)


def _shrunk(counts: Floats) -> Floats:
    won, seen, accounts = counts
    found = np.zeros(len(won))
    there = accounts > 0.5
    if not there.any():
        return found
    usual = float(np.clip(won.sum() / seen.sum(), _LEAST, 1 - _LEAST))
    # The error that a level would have if it were like all others: that of its own rate is 0 where nothing was won.
    error = usual * (1 - usual) / accounts[there]
    rate = won[there] / seen[there]
    spread = between_variance(rate, error)
    believed = usual + spread / (spread + error) * (rate - usual)
    found[there] = logit(np.clip(believed, _LEAST, 1 - _LEAST)) - logit(usual)
    return found


def _read(rates: Floats, code: Integers) -> Floats:
    return np.r_[rates, 0.0][code]  # type: ignore[no-any-return]
