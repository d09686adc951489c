"""Simpler ways that the model has to beat, each learned in every round from the rows the model learned from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from mqlml.learning.odoo import OdooLeads, fit_odoo, quintiles

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.learning.present import PresentRule
    from mqlml.learning.windows import Plan, Round

__all__ = ["LADDER", "rate_by_source", "rates_by_points", "simpler_ways", "source_feature"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Learner = Callable[[Flags], Floats]

LADDER = ("base rate", "win rate by source", "present rule", "Odoo's method", "Odoo's method with engagement",
          "logistic regression")  # fmt: skip
"""Rungs from the simplest way up."""

_SOURCE_NAMES = ("source", "lead_source", "leadsource", "utm_source", "utm[source]", "channel", "original_source")
# A level's own rate and the base rate weigh the same at this many rows.
_PRIOR_ROWS = 50.0
_BINS = 20
_LEAST, _MOST = 1e-6, 1 - 1e-6
# Odoo offers fields such as country, state and source; one with more values than there are countries is none of them.
_MOST_LEVELS = 250
_ENGAGEMENT_DAYS = 30


def simpler_ways(table: pa.Table, rows: Rows, plan: Plan, *, present: PresentRule | None) -> dict[str, Floats]:
    """Chances that simpler ways give to the tested rows, by name of the rung.

    Parameters
    ----------
    table : pa.Table
        Features of ``rows``.
    rows : Rows
    plan : Plan
    present : PresentRule or None
        The team's present rule, where one is known.

    Returns
    -------
    dict of str to ndarray of float64, shape (tested rows,)
        In the order of the plan's rounds, one after the other; strictly between 0 and 1.
    """
    ways: dict[str, Learner] = {}
    source = source_feature(table)
    if source is not None:
        ways["win rate by source"] = rate_by_source(table, source, rows)
    if present is not None:
        ways["present rule"] = lambda learned: rates_by_points(present.points, rows.won, learned)
    codes = _coded_fields(table)
    if codes.shape[1]:
        ways["Odoo's method"] = lambda learned: _odoo(codes, rows.won, learned)
    counts = _engagement(table)
    if counts:
        ways["Odoo's method with engagement"] = lambda learned: _odoo(
            np.column_stack([codes, *(quintiles(values, learned) for values in counts)]), rows.won, learned
        )
    return {
        name: np.clip(np.concatenate([learn(_settled(rows, r))[r.test] for r in plan.rounds]), _LEAST, _MOST)
        for name, learn in ways.items()
    }


def _settled(rows: Rows, tested: Round) -> Flags:
    """Rows to learn from whose outcomes were known at the origin; these ways of judging know no weights."""
    settled: Flags = rows.mature if tested.origin is None else rows.known <= tested.origin
    return tested.fit & settled


def source_feature(table: pa.Table) -> str | None:
    """Name of the feature that says in words where a lead came from, where there is one."""
    names = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    by_name = {name.removeprefix("lead.").lower().replace(" ", "_"): name for name in names}
    return next((by_name[name] for name in _SOURCE_NAMES if name in by_name), None)


def rate_by_source(table: pa.Table, name: str, rows: Rows) -> Learner:
    """Win rate of each row's source, smoothed towards the base rate; learned from the rows it is called with."""
    codes = _codes(table[name])
    codes = np.where(codes < 0, codes.max(initial=-1) + 1, codes)

    def learn(learned: Flags) -> Floats:
        return _smoothed(codes[learned], rows.won[learned], int(codes.max(initial=0)) + 1)[codes]

    return learn


def rates_by_points(points: Floats, won: Floats, learned: Flags) -> Floats:
    """Turn points into chances: smoothed win rates of up to 20 bins that never fall as points rise.

    Parameters
    ----------
    points : ndarray of float64, shape (n,)
        Missing points stand below all others.
    won : ndarray of float64, shape (n,)
    learned : ndarray of bool, shape (n,)
        Rows to learn the rates from.

    Returns
    -------
    ndarray of float64, shape (n,)
        Ordered as the points are: within a bin they make a difference too small to matter for the chance.
    """
    points = np.where(np.isfinite(points), points, -np.inf)
    known = points[learned]
    levels = np.unique(known)
    edges = levels if len(levels) <= _BINS else np.unique(np.quantile(known, np.linspace(0, 1, _BINS), method="lower"))
    bins = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, None)
    rate = _smoothed(bins[learned], won[learned], len(edges))
    size = np.bincount(bins[learned], minlength=len(edges)) + 1e-9
    rising = isotonic_regression(rate, weights=size).x
    place = np.searchsorted(np.sort(levels), points) / max(len(levels), 1)
    return expit(logit(np.clip(rising, _LEAST, _MOST))[bins] + 1e-6 * place)  # type: ignore[no-any-return]


def _smoothed(code: Integers, won: Floats, size: int) -> Floats:
    n, wins = np.bincount(code, minlength=size), np.bincount(code, won, size)
    return np.asarray((wins + _PRIOR_ROWS * won.mean()) / (n + _PRIOR_ROWS))


def _odoo(codes: Integers, won: Floats, learned: Flags) -> Floats:
    model = fit_odoo(OdooLeads.plain(codes[learned]), won[learned])
    return model.probability(OdooLeads.plain(codes))


def _coded_fields(table: pa.Table) -> Integers:
    """Codes of the columns that hold words, shape (n, columns); numbers are unknown to Odoo's method."""
    names = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    codes = [_codes(table[name]) for name in names]
    kept = [code for code in codes if code.max(initial=-1) < _MOST_LEVELS]
    return np.column_stack(kept) if kept else np.zeros((table.num_rows, 0), dtype=np.int64)


def _engagement(table: pa.Table) -> list[Floats]:
    """How often each type of event happened in the window nearest to 30 days.

    Total activity is left out: beside its parts it would only count them twice, which this method takes for evidence.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for name in table.column_names:
        event_type, _, measure = name.removeprefix("events.").rpartition(".count_")
        if name.startswith("events.") and measure[:-1].isdigit() and event_type != "any":
            found.setdefault(event_type, []).append((abs(int(measure[:-1]) - _ENGAGEMENT_DAYS), name))
    return [table[min(windows)[1]].to_numpy() for windows in found.values()]


def _codes(column: pa.ChunkedArray) -> Integers:
    """Codes of a column of words, 0 or more; -1 where it is missing."""
    encoded = column.combine_chunks().cast(pa.string()).dictionary_encode()
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]
