"""What the design matrix is made of, learned from training features: levels, scales, fill values, rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.constraints import Constraints
from mqlml.learning.encoder import Column, Encoder
from mqlml.learning.parsing import VIEWS, views_of
from mqlml.learning.rates import Evidence, level_rates
from mqlml.learning.values import categories, codes_within, frequent, is_category, leads_of, numbers, scaled

if TYPE_CHECKING:
    from mqlml.tape.features import Feature

__all__ = ["fit_encoder"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

_FREE = Constraints()
_MAX_LEVELS = 30
# Above this, counts and sums are read on a log scale: ten visits more matter less after a thousand.
_LOG_ABOVE = 10.0


def fit_encoder(
    table: pa.Table,
    features: Sequence[Feature],
    *,
    lead: npt.NDArray[np.int64],
    min_leads: int,
    constraints: Constraints = _FREE,
    evidence: Evidence | None = None,
    segment: str | None = None,
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
    evidence : Evidence, optional
        What became of the rows: a category of more than 30 frequent levels is then read as how often its levels are
        won (docs/decisions/021).
    segment : str, optional
        Feature whose levels are to have columns of their own in any case.
    """
    columns: list[Column] = []
    for feature in constraints.allowed(features):
        column = table[feature.name]
        if is_category(column):
            columns += _fit_levels(feature, *categories(column), lead, min_leads, evidence, segment)
        else:
            columns += _fit_number(feature, numbers(column), lead, min_leads, cap=constraints.cap(feature))
    return Encoder(tuple(columns))


def _fit_number(
    feature: Feature, values: Floats, lead: npt.NDArray[np.int64], min_leads: int, *, cap: float | None
) -> list[Column]:
    values = values if cap is None else np.minimum(values, cap)
    present = values[~np.isnan(values)]
    columns = []
    if len(present) and _spread(present, min_leads):
        log = bool(present.min() >= 0 and present.max() > _LOG_ABOVE)
        read = scaled(present, log=log)
        # "Never" is longer ago than any "last"; any other number that is missing is taken as usual.
        fill = read.max() if feature.since else np.median(read)
        columns.append(Column(feature.name, "value", log=log, fill=float(fill), cap=cap))
    missing = np.isnan(values)
    if missing.any() and min(_distinct(lead[missing]), _distinct(lead[~missing])) >= min_leads:
        columns.append(Column(feature.name, "missing"))
    return columns


def _fit_levels(
    feature: Feature,
    codes: Codes,
    levels: list[str],
    lead: npt.NDArray[np.int64],
    min_leads: int,
    evidence: Evidence | None,
    segment: str | None,
) -> list[Column]:
    missing = codes < 0
    leads = leads_of(codes, lead, len(levels))
    if (leads > 0).sum() < 2 and not missing.any():
        return []
    name = feature.name
    named = frequent(levels, leads, min_leads)
    many = evidence is not None and len(named) > _MAX_LEVELS
    columns = [] if many and name != segment else _named(name, named)
    if evidence is not None and many:
        columns.append(_fit_rates(name, named, codes, levels, evidence))
    if min(len(named), _MAX_LEVELS) < (leads > 0).sum():
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
    return _named(name, frequent(groups.tolist(), leads_of(grouped, lead, len(groups)), min_leads), view=view)


def _named(name: str, levels: list[str], *, view: str | None = None) -> list[Column]:
    """One column for each of the most frequent levels."""
    return [Column(name, "level", level=level, view=view) for level in sorted(levels[:_MAX_LEVELS])]


def _fit_rates(name: str, named: list[str], codes: Codes, levels: list[str], evidence: Evidence) -> Column:
    """One column for how often each level is won; all the same where levels differ by no more than chance."""
    rates = level_rates(codes_within(named, codes, levels), len(named), evidence)
    return Column(name, "rate", rates=dict(sorted(zip(named, rates.tolist(), strict=True))))


def _spread(values: Floats, least: int) -> bool:
    """Whether enough rows differ from the most common value for the column to tell anything."""
    if len(values) < 2 * least:
        return int(len(values) - np.unique(values, return_counts=True)[1].max()) >= least
    # Where fewer than half of the rows differ, the most common value is the middle one: no need to sort.
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return int((values != middle).sum()) >= least


def _distinct(lead: npt.NDArray[np.int64]) -> int:
    return int(np.count_nonzero(np.bincount(lead)))
