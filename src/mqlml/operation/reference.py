"""What the leads looked like at training, kept in the bundle: shares by value, and how they swing by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.learning.moments import DAY

__all__ = ["REFERENCE", "SCORE", "Cells", "frozen_reference", "moving", "numbers_cells", "swing"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

REFERENCE = "reference.json"
"""Part of a bundle: this module's summary of the leads that were learned from."""
SCORE = "chance"
"""Name under which the chances stand among the features."""

# A season is in it, and the world of years ago is not.
_DAYS, _MOST_MOMENTS, _FEWEST_MOMENTS, _FEWEST_LEADS = 365, 53, 8, 20
_TENTHS = np.linspace(0.1, 0.9, 9)
# A quantile or level that fewer leads stand behind could tell of a person.
_FEWEST_BEHIND = 20


@dataclass(frozen=True)
class Cells:
    """One feature of many leads as cells: tenths of the numbers or levels, one for rare values, one for none.

    Attributes
    ----------
    kind : {"number", "category"}
    bounds : tuple of float, or of str
        Ascending upper bounds (a value equal to one lies below it), or the levels with a cell of their own.
    """

    kind: str
    bounds: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The cells in words, ``rare or new`` and ``not supplied`` last."""
        if self.kind == "category":
            return (*self.bounds, "rare or new", "not supplied")
        if not self.bounds:
            return ("any number", "rare or new", "not supplied")
        said = [f"{b:.4g}" for b in self.bounds]
        between = [f"above {a} to {b}" for a, b in pairwise(said)]
        return (f"up to {said[0]}", *between, f"above {said[-1]}", "rare or new", "not supplied")

    def of(self, column: pa.ChunkedArray) -> Integers:
        """Cell of each value, shape (rows,)."""
        if self.kind == "category":
            place = pc.index_in(column.cast(pa.string()), value_set=pa.array(self.bounds, pa.string()))
            rare = len(self.bounds)
            code = np.asarray(pc.fill_null(place, rare).to_numpy(), dtype=np.int64)
            return np.where(np.asarray(column.is_null()), rare + 1, code)
        return numbers_cells(self.bounds, _floats(column))


def numbers_cells(bounds: Sequence[float], values: Floats) -> Integers:
    """Cell of each number, not-a-number last, shape (rows,)."""
    code = np.searchsorted(np.asarray(bounds, dtype=float), values, side="left").astype(np.int64)
    return np.where(np.isnan(values), len(bounds) + 2, code)


def frozen_reference(
    table: pa.Table,
    *,
    at: Integers,
    lead: Integers,
    features: Sequence[str],
    chances: Callable[[pa.Table], Floats],
    event_types: Mapping[str, int],
    min_level_count: int,
) -> dict[str, Any] | None:
    """Summarise the last year of snapshots: shares, never rows, and nothing that few leads stand behind.

    Parameters
    ----------
    table : pa.Table
        Features of n snapshots.
    at, lead : ndarray of int64, shape (n,)
        Moment in microseconds, and index of the lead.
    features : sequence of str
        Columns to summarise.
    chances : callable
        Gives the chances of the shipped model: those of tests come from several models and lie elsewhere.
    event_types : mapping of str to int
        Events by type, as known at training.
    min_level_count : int
        Leads from which a level has a cell of its own; at least 20 are asked for.

    Returns
    -------
    dict or None
        Plain data for the bundle; None in a history without dates or with fewer than 8 moments of 20 leads.
    """
    chosen = _newest_year(at)
    if not len(chosen):
        return None
    few = max(min_level_count, _FEWEST_BEHIND)
    rows, moments = table.take(pa.array(chosen)), at[chosen]
    found = {}
    for name in features:
        cells = _cells(rows[name], lead[chosen], few)
        summary = _summary(cells, cells.of(rows[name]), moments)
        if summary is not None:
            found[name] = summary
    p = chances(rows)
    cells = _number_cells(p)
    kept = {name: n for name, n in event_types.items() if n >= few}
    return {
        "few": few,
        "leads": len(np.unique(lead[chosen])),
        "moments": len(np.unique(moments)),
        "from": int(moments.min()),
        "to": int(moments.max()),
        "features": found,
        SCORE: _summary(cells, numbers_cells(cells.bounds, p), moments),
        "event_types": kept,
        "rare_events": int(sum(event_types.values()) - sum(kept.values())),
    }


def swing(counts: Floats) -> dict[str, float]:
    """How far cross-sections of the same world lie from their mean, by Pearson's statistic.

    A scaled chi-square (Satterthwaite 1946, Biometrics Bulletin 2:110): leads that stay from week to week, colleagues
    and common shocks such as a newsletter all make shares swing more, and in fewer directions, than single leads
    drawn by lot would.

    Parameters
    ----------
    counts : ndarray of float64, shape (moments, cells)

    Returns
    -------
    dict
        ``mean`` and ``df`` of the statistic and ``independent``, so many moments of their own it rests on.
    """
    shares = counts.sum(axis=0) / counts.sum()
    there = shares > 0
    found = np.array([moving(row, shares) for row in counts])
    free = max(int(there.sum()) - 1, 1)
    independent = _independent(found)
    # The moments are part of their own mean: as far from that of a world they do not belong to they would lie farther.
    mean = max(float(found.mean()) * (1 + 1 / independent) / (1 - 1 / independent), float(free))
    spread = float(found.var(ddof=1)) if len(found) > 1 else 0.0
    directions = free if spread <= 0 else float(np.clip(2 * found.mean() ** 2 / spread, 1, free))
    return {"mean": mean, "df": directions, "independent": independent}


def moving(counts: Floats, shares: Floats) -> float:
    """Pearson's statistic of a cross-section, shape (cells,), against shares of all.

    At least one lead is expected in each cell (Cochran 1954, Biometrics 10:417): a single one cannot weigh much.
    """
    expected = counts.sum() * shares
    return float(((counts - expected) ** 2 / np.maximum(expected, 1.0)).sum())


def _newest_year(at: Integers) -> Integers:
    """Rows of at most 53 moments of the last year that have 20 leads, spread evenly."""
    if not len(at) or abs(at.max()) >= 2**61:
        return np.zeros(0, dtype=np.int64)
    moments, count = np.unique(at, return_counts=True)
    moments = moments[(count >= _FEWEST_LEADS) & (moments > at.max() - _DAYS * DAY)]
    if len(moments) < _FEWEST_MOMENTS:
        return np.zeros(0, dtype=np.int64)
    even = np.unique(np.linspace(0, len(moments) - 1, min(len(moments), _MOST_MOMENTS)).round().astype(int))
    return np.flatnonzero(np.isin(at, moments[even]))


def _cells(column: pa.ChunkedArray, lead: Integers, few: int) -> Cells:
    if pa.types.is_floating(column.type):
        return _number_cells(_floats(column))
    levels = pa.table({"level": column.cast(pa.string()), "lead": lead}).group_by("level")
    counted = levels.aggregate([("lead", "count_distinct")]).to_pylist()
    kept = sorted(row["level"] for row in counted if row["level"] is not None and row["lead_count_distinct"] >= few)
    return Cells("category", tuple(kept))


def _number_cells(values: Floats) -> Cells:
    known = values[np.isfinite(values)]
    if len(known) < _FEWEST_BEHIND * (len(_TENTHS) + 1):
        return Cells("number", ())
    # Three digits say where a tenth ends, and not what a lead's value was.
    bounds = {float(f"{b:.3g}") for b in np.quantile(known, _TENTHS)}
    return Cells("number", tuple(b for b in sorted(bounds) if b < known.max()))


def _summary(cells: Cells, code: Integers, moment: Integers) -> dict[str, Any] | None:
    when, place = np.unique(moment, return_inverse=True)
    if len(when) < _FEWEST_MOMENTS:
        return None
    k = len(cells.names)
    counts = np.bincount(place * k + code, minlength=len(when) * k).reshape(len(when), k).astype(float)
    shares = counts.sum(axis=0) / counts.sum()
    usual = float(np.median(counts.sum(axis=1)))
    return {
        "kind": cells.kind,
        "bounds": list(cells.bounds),
        "shares": shares.tolist(),
        "leads": usual,
        **swing(counts),
    }


def _independent(found: Floats) -> float:
    """Moments that say something of their own, from the likeness of neighbours (first-order autocorrelation)."""
    n = len(found)
    around = found - found.mean()
    square = float((around**2).sum())
    like = float((around[1:] * around[:-1]).sum()) / square if square > 0 else 0.0
    like = float(np.clip(like + 2 / n, 0.0, 0.9))  # the estimate is biased downwards by about as much
    return max(n * (1 - like) / (1 + like), 3.0)


def _floats(column: pa.ChunkedArray) -> Floats:
    values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)
