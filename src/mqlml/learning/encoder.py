"""Features to one numeric design matrix that both models share (see docs/decisions/003)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from mqlml.learning.constraints import Constraints
from mqlml.learning.parsing import VIEWS, views_of

if TYPE_CHECKING:
    from mqlml.tape.features import Feature

__all__ = ["Column", "Encoder", "fit_encoder", "mask_levels", "without_repeats"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

FREE = Constraints()
_HIDDEN = "\0unseen"
_MAX_LEVELS = 30
# Above this, counts and sums are read on a log scale: ten visits more matter less after a thousand.
_LOG_ABOVE = 10.0
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
    kind : {"value", "missing", "level", "other"}
        The number itself, "not supplied", one level, or every other level.
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
    """

    feature: str
    kind: Literal["value", "missing", "level", "other"]
    level: str | None = None
    log: bool = False
    fill: float = 0.0
    cap: float | None = None
    view: str | None = None


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
            if _is_category(table[name]):
                codes, levels = _categories(table[name])
                known = self.levels(name)
                views = {v: [VIEWS[v](text) for text in levels] for v in {self.columns[j].view for j in places} if v}
                for j in places:
                    column = self.columns[j]
                    matrix[:, j] = _encode_category(column, codes, views.get(column.view or "", levels), known)
            else:
                values = _numbers(table[name])
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
        codes, levels = _categories(table[column.feature])
        return _encode_category(column, codes, levels, self.levels(column.feature)) > 0

    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for j, column in enumerate(self.columns):
            places.setdefault(column.feature, []).append(j)
        return places

    def levels(self, feature: str) -> frozenset[str]:
        """Levels of a feature that have a column of their own."""
        mine = (c for c in self.columns if c.feature == feature and c.view is None)
        return frozenset(c.level for c in mine if c.level is not None)

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain data for the bundle."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_dict(cls, data: Sequence[Mapping[str, Any]]) -> Encoder:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(Column(**column) for column in data))


def fit_encoder(
    table: pa.Table,
    features: Sequence[Feature],
    *,
    lead: npt.NDArray[np.int64],
    min_leads: int,
    constraints: Constraints = FREE,
) -> Encoder:
    """Learn levels, scales and fill values from training features.

    Parameters
    ----------
    table : pa.Table
        Training features.
    features : sequence of Feature
        The features to use, in order.
    lead : ndarray of int64, shape (rows,)
        Lead of each row: a level needs ``min_leads`` distinct leads (rare ones would identify people).
    min_leads : int
        Also the least number of rows that must differ from the rest for a column to be worth keeping.
    constraints : Constraints
        Says which criteria are not used, and how much of one counts.
    """
    columns: list[Column] = []
    for feature in constraints.allowed(features):
        column = table[feature.name]
        if _is_category(column):
            columns += _fit_levels(feature, *_categories(column), lead, min_leads)
        else:
            columns += _fit_number(feature, _numbers(column), lead, min_leads, cap=constraints.cap(feature))
    return Encoder(tuple(columns))


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
        keep[j] = column.kind in ("level", "other") or not (alike[j, :j] & keep[:j]).any()
    columns = tuple(c for c, kept in zip(encoder.columns, keep, strict=True) if kept)
    return Encoder(columns), np.asfortranarray(matrix[:, keep])


def mask_levels(table: pa.Table, encoder: Encoder, *, lead: npt.NDArray[np.int64], seed: int) -> pa.Table:
    """Hide the level of a few random leads behind a never-seen one, per feature, so that "other" is learned."""
    generator = np.random.default_rng(seed)
    for name in dict.fromkeys(c.feature for c in encoder.columns if c.kind == "other"):
        hidden = (generator.random(int(lead.max(initial=0)) + 1) < _MASKED_SHARE)[lead]
        codes, levels = _categories(table[name])
        codes = np.where(hidden & (codes >= 0), len(levels), codes)
        masked = pa.DictionaryArray.from_arrays(
            pa.array(codes, mask=codes < 0), pa.array([*levels, _HIDDEN], pa.string())
        )
        table = table.set_column(table.column_names.index(name), name, masked)
    return table


def _is_category(column: pa.ChunkedArray) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _categories(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Code of each row's level (-1 for none) and the levels."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    codes = pc.fill_null(encoded.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
    return codes, encoded.dictionary.to_pylist()


def _numbers(column: pa.ChunkedArray) -> Floats:
    """Numbers as float64, NaN for everything missing or not finite."""
    values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _fit_number(
    feature: Feature, values: Floats, lead: npt.NDArray[np.int64], min_leads: int, *, cap: float | None
) -> list[Column]:
    values = values if cap is None else np.minimum(values, cap)
    present = values[~np.isnan(values)]
    columns = []
    if len(present) and _spread(present, min_leads):
        log = bool(present.min() >= 0 and present.max() > _LOG_ABOVE)
        scaled = _scaled(present, log=log)
        # "Never" is longer ago than any "last"; any other number that is missing is taken as usual.
        fill = scaled.max() if feature.since else np.median(scaled)
        columns.append(Column(feature.name, "value", log=log, fill=float(fill), cap=cap))
    missing = np.isnan(values)
    if missing.any() and min(_distinct(lead[missing]), _distinct(lead[~missing])) >= min_leads:
        columns.append(Column(feature.name, "missing"))
    return columns


def _fit_levels(
    feature: Feature, codes: Codes, levels: list[str], lead: npt.NDArray[np.int64], min_leads: int
) -> list[Column]:
    missing = codes < 0
    leads = _leads_of(codes, lead, len(levels))
    if (leads > 0).sum() < 2 and not missing.any():
        return []
    name = feature.name
    frequent = _frequent(levels, leads, min_leads)
    columns = [Column(name, "level", level=level) for level in frequent]
    if len(frequent) < (leads > 0).sum():
        # Most values of a text stand for few leads: what they have in common is told by their words.
        met = [level for level, n in zip(levels, leads, strict=True) if n > 0]
        for view in views_of(feature.criterion, met):
            columns += _fit_view(name, view, codes, levels, lead, min_leads)
    columns.append(Column(name, "other"))
    if _distinct(lead[missing]) >= min_leads:
        columns.append(Column(name, "missing"))
    return columns


def _fit_view(
    name: str, view: str, codes: Codes, levels: list[str], lead: npt.NDArray[np.int64], min_leads: int
) -> list[Column]:
    groups, of_level = np.unique([VIEWS[view](level) for level in levels], return_inverse=True)
    grouped = np.r_[of_level, -1].astype(np.int32)[codes]
    frequent = _frequent(groups.tolist(), _leads_of(grouped, lead, len(groups)), min_leads)
    return [Column(name, "level", level=group, view=view) for group in frequent]


def _leads_of(codes: Codes, lead: npt.NDArray[np.int64], levels: int) -> npt.NDArray[np.int64]:
    """Number of leads with each level."""
    there = codes >= 0
    pairs = np.unique(codes[there] + lead[there] * levels)
    return np.bincount(pairs % max(levels, 1), minlength=levels)


def _frequent(levels: Sequence[str], leads: npt.NDArray[np.int64], min_leads: int) -> list[str]:
    # Equal counts are ordered by name, since the order of a dictionary depends on the order of rows.
    found = sorted((-int(n), level) for n, level in zip(leads, levels, strict=True) if n >= min_leads)
    return sorted(level for _, level in found[:_MAX_LEVELS])


def _encode_number(column: Column, values: Floats) -> Floats:
    if column.kind == "missing":
        return np.isnan(values).astype(np.float64)
    counted = values if column.cap is None else np.minimum(values, column.cap)
    return np.nan_to_num(_scaled(counted, log=column.log), nan=column.fill)


def _encode_category(column: Column, codes: Codes, levels: list[str], known: frozenset[str]) -> Floats:
    if column.kind == "missing":
        return (codes < 0).astype(np.float64)
    wanted = [level == column.level if column.kind == "level" else level not in known for level in levels]
    # One more place than levels: code -1 (missing) reads the last one, which is never wanted.
    return np.asarray([*wanted, False], dtype=np.float64)[codes]


def _scaled(values: Floats, *, log: bool) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values)) if log else values


def _spread(values: Floats, least: int) -> bool:
    """Whether enough rows differ from the most common value for the column to tell anything."""
    if len(values) < 2 * least:
        return int(len(values) - np.unique(values, return_counts=True)[1].max()) >= least
    # Where fewer than half of the rows differ, the most common value is the middle one: no need to sort.
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return int((values != middle).sum()) >= least


def _distinct(lead: npt.NDArray[np.int64]) -> int:
    return int(np.count_nonzero(np.bincount(lead)))
