"""Reasons for the trees: exact path-dependent TreeSHAP of bagged LightGBM models, for many rows at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mqlml.review.treetables import Tables, fill
from mqlml.review.treetext import Forest, parse_forest

__all__ = ["TreeEnsemble"]

Floats = npt.NDArray[np.float64]

# Rows of one pass over all tables: enough to pay for reading them, few enough for a column to stay in the cache.
_BLOCK = 2048


@dataclass(frozen=True)
class TreeEnsemble:
    """Bagged trees, ready to be explained.

    Attributes
    ----------
    columns : int
        Columns of the matrix.
    """

    columns: int
    _forest: Forest = field(repr=False)

    @classmethod
    def parse(cls, texts: Sequence[str], columns: int) -> TreeEnsemble:
        """Read LightGBM model texts.

        Parameters
        ----------
        texts : sequence of str
            One a bag, at least one; the ensemble is their mean in raw scores.
        columns : int
            Columns of the matrix the models were trained on.

        Raises
        ------
        ValueError
            If a text is damaged, or is not a model of one raw score with constant leaves and numeric splits over
            ``columns`` columns.
        """
        return cls(columns, parse_forest(texts, columns))

    @property
    def base(self) -> float:
        """Expected raw score: the mean over bags of the leaves weighed by training rows."""
        return self._forest.base

    def contributions(self, matrix: Floats, *, threads: int | None = None) -> Floats:
        """SHAP values of every row, equal to the mean over bags of LightGBM's ``predict(pred_contrib=True)``.

        Path-dependent TreeSHAP (Lundberg et al., 2020, Nature Machine Intelligence 2:56-67).

        Parameters
        ----------
        matrix : ndarray of float64, shape (rows, columns)
            In the order of the columns the models were trained on; NaN where missing. Fortran order spares a copy.
        threads : int, optional
            Changes nothing but the time taken; as many as the process may use when not given (``OMP_NUM_THREADS``,
            which Spark sets for its workers, else every core).

        Returns
        -------
        ndarray of float64, shape (rows, columns + 1), Fortran order
            Log-odds; the last column is the base. Rows sum to the raw score.

        Raises
        ------
        ValueError
            If the matrix has another number of columns.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.columns:
            raise ValueError(f"matrix has shape {matrix.shape}, expected (rows, {self.columns})")
        across = np.ascontiguousarray(matrix.T, dtype=np.float64)
        out = np.zeros((self.columns + 1, len(matrix)))
        out[-1] = self.base
        tables = self._tables
        first = range(0, len(matrix), _BLOCK)
        last = [min(start + _BLOCK, len(matrix)) for start in first]
        with ThreadPoolExecutor(_threads() if threads is None else threads) as pool:
            # Every block is a slice of `out` of its own; a list, so that an error of a thread comes out here.
            list(pool.map(lambda start, end: tables.add(across, start, end, out), first, last))
        return out.T

    @cached_property
    def _tables(self) -> Tables:
        return fill(self._forest)


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(cores, int(allowed)) if allowed.isdigit() and int(allowed) else cores
