"""Features to one numeric design matrix that both models share (see docs/decisions/003)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits

from mqlml.learning.parsing import VIEWS
from mqlml.learning.rates import Evidence, RatedLevels
from mqlml.learning.values import categories, codes_within, is_category, numbers, scaled

__all__ = ["Column", "Encoder", "mask_levels", "without_repeats"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

_HIDDEN = "\0unseen"
# Share of leads whose level is hidden while learning, so that "a level never seen" is something the model has met.
_MASKED_SHARE = 0.03
# Counts over windows that hold the same events, or "missing" of columns filled by the same form, are one column.
_SAME = 0.999


@dataclass(frozen=True)
class Column:
    """One column of the design matrix.

    Attributes
    ----------
    feature : str
        Name of the feature it comes from.
    kind : {"value", "missing", "level", "rate", "other"}
        The number itself, "not supplied", one level, how often the level is won, or every other level.
    level : str or None
        For kind ``level``.
    log : bool
        Whether the number is read as ``sign(x) * log(1 + |x|)``.
    fill : float
        Stands in for a missing number, on the scale of the matrix.
    cap : float or None
        A greater number counts as this one.
    view : str or None
        For kind ``level``: the level is a group that `mqlml.learning.parsing` makes of the text.
    rates : mapping of str to float
        For kind ``rate``: what each level is read as (see `mqlml.learning.rates`); any other is 0.
    """

    feature: str
    kind: Literal["value", "missing", "level", "rate", "other"]
    level: str | None = None
    log: bool = False
    fill: float = 0.0
    cap: float | None = None
    view: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Encoder:
    """Turns a table of features into a matrix; columns are found by name, never by position."""

    columns: tuple[Column, ...]

    def transform(self, table: pa.Table) -> Floats:
        """Encode features.

        Parameters
        ----------
        table : pa.Table
            Holds every feature that the columns name; others are not looked at.

        Returns
        -------
        ndarray of float64, shape (rows, columns), Fortran order
            All finite.
        """
        matrix = np.empty((table.num_rows, len(self.columns)), order="F")
        for name, places in self._places().items():
            if is_category(table[name]):
                codes, levels = categories(table[name])
                known = self.levels(name)
                views = {v: [VIEWS[v](text) for text in levels] for v in {self.columns[j].view for j in places} if v}
                for j in places:
                    column = self.columns[j]
                    matrix[:, j] = _encode_category(column, codes, views.get(column.view or "", levels), known)
            else:
                values = numbers(table[name])
                for j in places:
                    matrix[:, j] = _encode_number(self.columns[j], values)
        return matrix

    def unseen(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Rows with a level that is none of the encoder's own (rare at training, or new), shape (rows,)."""
        found = np.zeros(table.num_rows, dtype=bool)
        for column in self.columns:
            if column.kind == "other":
                found |= self._other(column, table)
        return found

    def without_others(self, table: pa.Table) -> tuple[str, ...]:
        """Categorical features all of whose levels in this table have a column of their own."""
        return tuple(c.feature for c in self.columns if c.kind == "other" and not self._other(c, table).any())

    def other_place(self, feature: str) -> int:
        """Place of the column that stands for levels without one of their own."""
        return next(j for j, c in enumerate(self.columns) if c.feature == feature and c.kind == "other")

    def _other(self, column: Column, table: pa.Table) -> npt.NDArray[np.bool_]:
        codes, levels = categories(table[column.feature])
        return _encode_category(column, codes, levels, self.levels(column.feature)) > 0

    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for j, column in enumerate(self.columns):
            places.setdefault(column.feature, []).append(j)
        return places

    def levels(self, feature: str) -> frozenset[str]:
        """Levels of a feature that have a column, or a rate, of their own."""
        mine = [c for c in self.columns if c.feature == feature and c.view is None]
        return frozenset({c.level for c in mine if c.level is not None}.union(*(c.rates for c in mine)))

    def rated(self, table: pa.Table, evidence: Evidence, *, seed: int) -> RatedLevels:
        """Levels of training rows in the columns that hold rates; there no row may be told by its own outcome."""
        codes = {
            j: codes_within(list(column.rates), *categories(table[column.feature]))
            for j, column in enumerate(self.columns)
            if column.kind == "rate"
        }
        return RatedLevels(codes, evidence, seed)

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain data for the bundle."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_dict(cls, data: Sequence[Mapping[str, Any]]) -> Encoder:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(Column(**column) for column in data))


def without_repeats(encoder: Encoder, matrix: Floats) -> tuple[Encoder, Floats]:
    """Drop columns that say what an earlier one says (correlation above 0.999), found on training rows.

    Parameters
    ----------
    encoder : Encoder
    matrix : ndarray of float64, shape (rows, columns)
        Training rows, as the encoder makes them.

    Returns
    -------
    tuple of (Encoder, ndarray of float64, shape (rows, kept columns))
        Levels are all kept: what is "other" depends on them.
    """
    spread = matrix.std(axis=0)
    scaled = ((matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, np.inf)).astype(np.float32, order="C")
    with threadpool_limits(1, "blas"):
        alike = np.abs(scaled.T @ scaled) > _SAME * len(matrix)
    keep = np.ones(len(encoder.columns), dtype=bool)
    for j, column in enumerate(encoder.columns):
        keep[j] = column.kind in ("level", "rate", "other") or not (alike[j, :j] & keep[:j]).any()
    columns = tuple(c for c, kept in zip(encoder.columns, keep, strict=True) if kept)
    return Encoder(columns), np.asfortranarray(matrix[:, keep])


def mask_levels(table: pa.Table, encoder: Encoder, *, lead: npt.NDArray[np.int64], seed: int) -> pa.Table:
    """Hide the level of a few random leads behind a never-seen one, per feature, so that "other" is learned."""
    generator = np.random.default_rng(seed)
    for name in dict.fromkeys(c.feature for c in encoder.columns if c.kind == "other"):
        hidden = (generator.random(int(lead.max(initial=0)) + 1) < _MASKED_SHARE)[lead]
        codes, levels = categories(table[name])
        codes = np.where(hidden & (codes >= 0), len(levels), codes)
        masked = pa.DictionaryArray.from_arrays(
            pa.array(codes, mask=codes < 0), pa.array([*levels, _HIDDEN], pa.string())
        )
        table = table.set_column(table.column_names.index(name), name, masked)
    return table


def _encode_number(column: Column, values: Floats) -> Floats:
    if column.kind == "missing":
        return np.isnan(values).astype(np.float64)
    counted = values if column.cap is None else np.minimum(values, column.cap)
    return np.nan_to_num(scaled(counted, log=column.log), nan=column.fill)


def _encode_category(column: Column, codes: Codes, levels: list[str], known: frozenset[str]) -> Floats:
    if column.kind == "missing":
        return (codes < 0).astype(np.float64)
    if column.kind == "rate":
        return np.array([*(column.rates.get(level, 0.0) for level in levels), 0.0])[codes]
    wanted = [level == column.level if column.kind == "level" else level not in known for level in levels]
    # One more place than levels: code -1 (missing) reads the last one, which is never wanted.
    return np.asarray([*wanted, False], dtype=np.float64)[codes]
