"""One attribute of every lead, read once for all checks of the leak audit: numbers in bins, texts as levels."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mqlml.history.discovery.words import name_words

__all__ = ["Column", "Flags", "Floats", "Ints", "Partition", "number_column", "read_column"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_BINS = 20
_NO_TEXT = pa.array([], pa.string()).dictionary_encode()
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")


@dataclass(frozen=True)
class Partition:
    """The leads sorted into levels by one column: ``codes`` (n,) into ``labels``; level 0 is "without a value"."""

    codes: Ints
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """One attribute of every lead, read once for all checks.

    ``values`` (n,) are floats, for text the codes of ``main``, with NaN for missing. ``main`` are its values (text) or
    at most 20 bins (numbers); ``filled`` tells missing from not; ``sign`` (numbers) missing, below, at and above 0;
    ``days`` (n,) since 1970 where text holds ISO dates.
    """

    name: str
    numeric: bool
    values: Floats
    main: Partition
    filled: Partition
    distinct: int
    sign: Partition | None = None
    days: Floats | None = None

    @property
    def words(self) -> frozenset[str]:
        """Lower-case words of the name, from ``snake_case``, ``camelCase`` or text with spaces."""
        return name_words(self.name)

    @property
    def missing(self) -> Flags:
        """(n,) leads without a value."""
        return np.isnan(self.values)


def read_column(name: str, data: pa.ChunkedArray) -> Column:
    """Read one attribute; text that is not a number becomes levels in order of their codes."""
    kind = data.type.value_type if pa.types.is_dictionary(data.type) else data.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        dense = data.cast(kind) if pa.types.is_dictionary(data.type) else data
        return number_column(name, dense.cast(pa.float64()).to_numpy())
    return _text_column(name, data)


def number_column(name: str, values: Floats) -> Column:
    """Read a column of numbers (n,), NaN for missing; infinite counts as missing."""
    values = np.where(np.isfinite(values), values, np.nan)
    missing = np.isnan(values)
    present = np.unique(values[~missing])
    cut_at = present
    if len(present) > _BINS:
        inner = np.quantile(values[~missing], np.linspace(0, 1, _BINS + 1)[1:-1], method="inverted_cdf")
        cut_at = np.unique(np.append(inner, present[-1]))
    codes = np.where(missing, 0, np.searchsorted(cut_at, np.nan_to_num(values)) + 1)
    labels = ("without a value", *_bin_labels(cut_at, exact=len(present) <= _BINS))
    sign = np.where(missing, 0, np.nan_to_num(np.sign(values)) + 2)
    signs = Partition(sign.astype(np.int64), ("without a value", "below 0", "equal to 0", "above 0"))
    main = Partition(codes.astype(np.int64), labels)
    return Column(
        name, numeric=True, values=values, main=main, filled=_filled(missing), distinct=len(present), sign=signs
    )


def _bin_labels(edges: Floats, *, exact: bool) -> list[str]:
    if exact:
        return [f"equal to {edge:,.6g}" for edge in edges]
    lower = [f"above {edge:,.6g}" for edge in edges[:-1]]
    return [f"up to {edges[0]:,.6g}", *(f"{a} and up to {b:,.6g}" for a, b in zip(lower, edges[1:], strict=True))]


def _filled(missing: Flags) -> Partition:
    return Partition((~missing).astype(np.int64), ("without a value", "with a value"))


def _text_column(name: str, data: pa.ChunkedArray) -> Column:
    is_coded = pa.types.is_dictionary(data.type)
    plain = data.cast(pa.dictionary(pa.int32(), pa.string()) if is_coded else pa.string())
    encoded = pa.concat_arrays(pc.dictionary_encode(plain).unify_dictionaries().chunks or [_NO_TEXT])
    codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False) + 1
    labels = ("", *(str(label) for label in encoded.dictionary.to_pylist()))
    blank = np.array([not label.strip() for label in labels])
    codes = np.where(blank[codes], 0, codes)
    used = np.unique(codes[codes > 0])
    values = np.where(codes > 0, codes.astype(np.float64), np.nan)
    main = Partition(codes, ("without a value", *labels[1:]))
    return Column(
        name,
        numeric=False,
        values=values,
        main=main,
        filled=_filled(codes == 0),
        distinct=len(used),
        days=_days(main, used),
    )


def _days(partition: Partition, used: Ints) -> Floats | None:
    """Days since 1970 (n,) where at least 95 % of the ``used`` levels are ISO dates."""
    dated = [code for code in used.tolist() if _DATE.fullmatch(partition.labels[code])]
    if len(dated) < 0.95 * max(len(used), 1):
        return None
    days = np.full(len(partition.labels), np.nan)
    for code in dated:
        with contextlib.suppress(ValueError):
            days[code] = date.fromisoformat(partition.labels[code][:10]).toordinal() - date(1970, 1, 1).toordinal()
    return np.asarray(days[partition.codes])
