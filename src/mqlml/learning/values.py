"""Columns of a table of features as arrays: numbers, or codes and levels, and which levels enough leads have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["categories", "codes_within", "frequent", "is_category", "leads_of", "numbers", "scaled"]

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def is_category(column: pa.ChunkedArray) -> bool:
    """Whether a column holds texts, as such or as a dictionary."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def categories(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Code of each row's level (-1 for none) and the levels."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    codes = pc.fill_null(encoded.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
    return codes, encoded.dictionary.to_pylist()


def codes_within(named: Sequence[str], codes: Codes, levels: Sequence[str]) -> Integers:
    """Place of each row's level among the named ones, -1 for any other."""
    places = {level: i for i, level in enumerate(named)}
    return np.array([*(places.get(level, -1) for level in levels), -1])[codes]


def numbers(column: pa.ChunkedArray) -> Floats:
    """Numbers as float64, NaN for everything missing or not finite."""
    values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def scaled(values: Floats, *, log: bool) -> Floats:
    """Numbers on the scale of the design matrix."""
    return np.sign(values) * np.log1p(np.abs(values)) if log else values


def leads_of(codes: Codes, lead: Integers, levels: int) -> Integers:
    """Number of leads with each level, shape (levels,)."""
    there = codes >= 0
    pairs = np.unique(codes[there] + lead[there] * levels)
    return np.bincount(pairs % max(levels, 1), minlength=levels)


def frequent(levels: Sequence[str], leads: Integers, least: int) -> list[str]:
    """Levels that at least so many leads have, the most frequent first."""
    # Equal counts are ordered by name, since the order of a dictionary depends on the order of rows.
    found = sorted((-int(n), level) for n, level in zip(leads, levels, strict=True) if n >= least)
    return [level for _, level in found]
