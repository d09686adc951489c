"""Simpler rules that the model has to beat: win rates by one column, smoothed towards the base rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.learning.windows import Plan

__all__ = ["rate_by_source", "source_feature"]

Floats = npt.NDArray[np.float64]

_SOURCE_NAMES = ("source", "lead_source", "leadsource", "utm_source", "utm[source]", "channel", "original_source")
# A level's own rate and the base rate weigh the same at this many rows.
_PRIOR_ROWS = 50.0


def source_feature(table: pa.Table) -> str | None:
    """Name of the feature that says where a lead came from, where there is one."""
    by_name = {name.removeprefix("lead.").lower().replace(" ", "_"): name for name in table.column_names}
    return next((by_name[name] for name in _SOURCE_NAMES if name in by_name), None)


def rate_by_source(table: pa.Table, name: str, rows: Rows, plan: Plan, row: npt.NDArray[np.int64]) -> Floats:
    """Win rate of each row's source, learned in each round of the plan from the rows it learned from.

    Returns
    -------
    ndarray of float64, shape of ``row``
        In the order of ``row``, which concatenates the rounds.
    """
    encoded = table[name].combine_chunks().cast(pa.string()).dictionary_encode()
    codes = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    chances = []
    for r in plan.rounds:
        then = rows.seen_from(r.origin).where(r.fit)
        base = then.base_rate
        size = len(encoded.dictionary) + 1
        n = np.bincount(codes[r.fit], weights=then.weight, minlength=size)
        wins = np.bincount(codes[r.fit], weights=then.weight * then.won, minlength=size)
        rate = (wins + _PRIOR_ROWS * base) / (n + _PRIOR_ROWS)
        chances.append(rate[codes[r.test]])
    found: Floats = np.clip(np.concatenate(chances), 1e-6, 1 - 1e-6)
    assert len(found) == len(row)
    return found
