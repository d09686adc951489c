"""Intervals that respect repeated leads and accounts: whole groups are drawn again, the same draws for every figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import beta, norm, t

__all__ = ["LEVEL", "Draws", "Interval", "Resampler", "binomial_interval"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEVEL = 0.90
_BOOTSTRAPS = 200
_DRAWS_AT_ONCE = 25


@dataclass(frozen=True)
class Interval:
    """A figure and its 90 % interval (None where it cannot be told)."""

    value: float
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Plain data, not-a-number as None."""
        return {k: None if v is None or not np.isfinite(v) else float(v) for k, v in vars(self).items()}


@dataclass(frozen=True)
class Draws:
    """A figure, and what it is in each redrawn history.

    Figures of the same resampler are paired: their difference or ratio is taken draw by draw.

    Attributes
    ----------
    value : float
    redrawn : ndarray of float64, shape (draws,)
    tail : float
        Share cut off at each end for the 90 % interval, 0..0.05.
    reflected : bool
        For figures that redrawing makes larger than they are: the interval is mirrored at the value (basic bootstrap).
    """

    value: float
    redrawn: Floats
    tail: float = (1 - LEVEL) / 2
    reflected: bool = False

    def __sub__(self, other: Draws) -> Draws:
        return Draws(self.value - other.value, self.redrawn - other.redrawn, self.tail)

    def __truediv__(self, other: Draws) -> Draws:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.redrawn / other.redrawn
        return Draws(self.value / other.value if other.value else float("nan"), ratio, self.tail)

    def skill(self, reference: Draws) -> Draws:
        """How much smaller this loss is than that of a reference, as a share of it."""
        ratio = self / reference
        return Draws(1 - ratio.value, 1 - ratio.redrawn, self.tail)

    def interval(self) -> Interval:
        """Value and 90 % percentile interval."""
        finite = self._finite()
        if finite is None:
            return Interval(self.value, None, None)
        low, high = np.quantile(finite, [self.tail, 1 - self.tail])
        if self.reflected:
            low, high = 2 * self.value - high, 2 * self.value - low
        return Interval(self.value, float(low), float(high))

    def at_least(self, confidence: float) -> float:
        """One-sided lower bound from the spread of the draws; minus infinity where there is none to tell."""
        finite = self._finite()
        if finite is None or not np.isfinite(self.value):
            return -np.inf
        return float(self.value - norm.ppf(confidence) * finite.std(ddof=1))

    def _finite(self) -> Floats | None:
        finite = self.redrawn[np.isfinite(self.redrawn)]
        return finite if len(finite) > 1 and len(finite) >= len(self.redrawn) // 2 else None


class Resampler:
    """Clustered bootstrap: whole accounts are drawn, so that repeated snapshots do not feign certainty.

    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8; weights are Poisson(1) counts
    of each group, the same draws for every figure, so that differences are paired.

    Parameters
    ----------
    group : ndarray of int64, shape (n,)
    seed : int
    draws : int
    winning_groups : int or None
        Groups with a win. Intervals are widened as a t interval is for so few (Hesterberg, 2015, The American
        Statistician 69:371); None leaves them as they are.
    """

    def __init__(
        self, group: Integers, *, seed: int, draws: int = _BOOTSTRAPS, winning_groups: int | None = None
    ) -> None:
        _, self._place = np.unique(group, return_inverse=True)
        generator = np.random.default_rng(seed)
        self._groups = int(self._place.max(initial=0)) + 1
        self._counts = generator.poisson(1.0, size=(draws, self._groups)).astype(np.uint8)
        self.tail = _tail(winning_groups)

    def interval(self, statistic: Callable[[Floats], float]) -> Interval:
        """Value and 90 % percentile interval of any statistic of row weights, shape (n,)."""
        redrawn = [statistic(counts[self._place].astype(np.float64)) for counts in self._counts]
        return Draws(statistic(np.ones(len(self._place))), np.array(redrawn), self.tail).interval()

    def sums(self, columns: Mapping[str, Floats]) -> dict[str, Draws]:
        """Draw the sums of several columns of rows: sums by group, weighted, since that is all a sum needs."""
        names = list(columns)
        totals = np.stack([np.bincount(self._place, columns[k], self._groups) for k in names], axis=1)
        redrawn = np.vstack([part.astype(np.float64) @ totals for part in self._parts()])
        return {k: Draws(float(totals[:, j].sum()), redrawn[:, j], self.tail) for j, k in enumerate(names)}

    def means(self, columns: Mapping[str, Floats]) -> dict[str, Draws]:
        """Draw the means of several columns of rows."""
        sums = self.sums({**columns, "": np.ones(len(self._place))})
        return {k: sums[k] / sums[""] for k in columns}

    def by_cell(self, cell: Integers, column: Floats) -> tuple[Floats, Floats]:
        """Sum a column by cell, in the history itself, shape (1, cells), and redrawn, shape (draws, cells)."""
        shape = int(cell.max(initial=0)) + 1, self._groups
        by_group = sparse.csr_array((column, (cell, self._place)), shape=shape)
        redrawn = np.vstack([(by_group @ part.T.astype(np.float64)).T for part in self._parts()])
        return by_group.sum(axis=1)[None], redrawn

    def _parts(self) -> list[npt.NDArray[np.uint8]]:
        return np.array_split(self._counts, max(len(self._counts) // _DRAWS_AT_ONCE, 1))


def binomial_interval(wins: float, n: float) -> tuple[float, float]:
    """Clopper-Pearson 90 % interval of a rate, 0..1."""
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, wins, n - wins + 1)) if wins > 0 else 0.0
    high = float(beta.ppf(1 - tail, wins + 1, n - wins)) if wins < n else 1.0
    return low, high


def _tail(groups: int | None) -> float:
    """Share to cut off at each end so that a percentile interval is as wide as a t interval of so many groups."""
    usual = (1 - LEVEL) / 2
    if groups is None:
        return usual
    if groups < 2:
        return 0.0
    return float(norm.cdf(t.ppf(usual, groups - 1) * np.sqrt(groups / (groups - 1))))
