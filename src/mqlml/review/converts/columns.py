"""What columns of the leads tell: win rate by source and campaign, and what each column is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.learning.evaluation import ranking
from mqlml.learning.odoo import quintiles
from mqlml.learning.resampling import Draws, Resampler
from mqlml.learning.snapshots import thin
from mqlml.review.converts.rates import rates, told_rows

if TYPE_CHECKING:
    from mqlml.review.converts.judged import Judged
    from mqlml.tape.features import Feature

__all__ = ["column_codes", "level_table", "named_column", "worth_of_columns"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_ROWS = 12
_MOST_COLUMNS = 15
_FOLDS = 5
# So many leads tell what a column is worth; more would only take longer.
_MOST_LEADS = 50_000
# A level's own rate and the rate of all weigh the same at this many leads.
_PRIOR_LEADS = 50.0
_NOT_STATED = "not stated"


def named_column(table: pa.Table, names: Sequence[str]) -> str | None:
    """First column of words among ``names`` (as ``lead.NAME``, in whatever case), or None."""
    words = {
        name.removeprefix("lead.").lower().replace(" ", "_"): name
        for name in table.column_names
        if pa.types.is_dictionary(table.schema.field(name).type)
    }
    return next((words[name] for name in names if name in words), None)


def column_codes(column: pa.ChunkedArray, *, least: int) -> tuple[tuple[str, ...], Integers, int]:
    """Number the levels of a column of words.

    Parameters
    ----------
    column : pa.ChunkedArray of dictionary
        One row a lead.
    least : int
        Leads that a level needs to be told: rarer ones could point to a person.

    Returns
    -------
    tuple of (tuple of str, ndarray of int64, int)
        Levels by number of leads; the code of each row, -1 not stated and -2 a rarer level; rarer levels.
    """
    array = column.combine_chunks()
    coded = array.cast(pa.string()).dictionary_encode()
    names = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    order = sorted((k for k in range(len(names)) if counts[k] >= least), key=lambda k: (-counts[k], names[k]))
    place = np.full(len(names) + 1, -2)
    place[order] = np.arange(len(order))
    place[-1] = -1
    return tuple(names[k] for k in order), place[codes], len(names) - len(order)


def level_table(column: pa.ChunkedArray, judged: Judged, *, least: int, overall: float | None) -> dict[str, Any]:
    """Win rate by level of a column; the levels of most leads are told, the rest summed up."""
    names, codes, rare = column_codes(column, least=least)
    told = min(len(names), _MOST_ROWS)
    place = np.where(codes >= told, told, np.where(codes == -1, told + 1, np.where(codes == -2, told, codes)))
    found = rates(place, judged.won, judged.group, codes=told + 2)
    shown, figures = [*names[:told]], found[:told]
    if found[told + 1]["leads"] >= least:
        shown, figures = [*shown, _NOT_STATED], [*figures, found[told + 1]]
    hidden = len(names) - told + rare
    rest = {"names": hidden, **found[told]} if hidden and found[told]["leads"] >= least else None
    return {"rows": told_rows(shown, figures, overall), "rest": rest, "least": least}


def worth_of_columns(
    table: pa.Table, features: Sequence[Feature], judged: Judged, *, least: int, seed: int
) -> dict[str, Any] | None:
    """What each column alone tells about winning.

    Rates by level (numbers by fifths) are learned without the accounts they are then tried on, so that a column of many
    levels does not look good by itself.

    Parameters
    ----------
    table : pa.Table
        One row a judged lead, a column a feature.
    features : sequence of Feature
        Those of family "attribute".
    judged : Judged
    least : int
        Leads that must have the column, and lack it, for their win rate to be told.
    seed : int

    Returns
    -------
    dict or None
        ``leads`` looked at (at most 50,000, drawn by account) and ``rows``: ``name``, ``filled`` (share of leads,
        0..1), ``win_rate`` and its ends with it, ``without``, and
        ``auc`` (value, low, high: 0.5 tells nothing); best first. ``more``: columns beyond those. None without any, or
        where all leads ended alike.
    """
    kept, _ = thin(judged.group, max_rows=_MOST_LEADS, seed=seed)
    table, judged = table.filter(pa.array(kept)), judged.where(kept)
    if not features or not 0 < judged.won.sum() < len(judged):
        return None
    resampler = Resampler(judged.group, seed=seed, winning_groups=len(np.unique(judged.group[judged.won > 0])))
    folds = _folds(judged.group, seed)
    found = [_worth(feature, table[feature.name], judged, folds, resampler, least) for feature in features]
    told = sorted((row for row in found if row is not None), key=lambda row: (-row["auc"]["low"], row["name"]))
    if not told:
        return None
    return {"leads": len(judged), "rows": told[:_MOST_COLUMNS], "more": max(len(told) - _MOST_COLUMNS, 0)}


def _worth(
    feature: Feature, column: pa.ChunkedArray, judged: Judged, folds: Integers, resampler: Resampler, least: int
) -> dict[str, Any] | None:
    values = _values(column)
    filled = (values >= 0) if values.dtype == np.int64 else np.isfinite(values)
    if filled.sum() < least:
        return None
    having, lacking = rates(np.where(filled, 0, 1), judged.won, judged.group, codes=2)
    nothing = dict.fromkeys(("win_rate", "low", "high"))
    without = lacking if lacking["leads"] >= least else nothing
    chance = _learned(values, judged.won, folds)
    return {
        "name": feature.criterion,
        "filled": float(filled.mean()),
        **{key: having[key] for key in ("leads", "win_rate", "low", "high")},
        "without": {key: without[key] for key in nothing},
        "auc": _auc(chance, judged.won, resampler),
    }


def _values(column: pa.ChunkedArray) -> Any:
    """Codes of words (-1 for none), or numbers (NaN for none)."""
    if not pa.types.is_dictionary(column.type):
        return column.to_numpy()
    coded = column.combine_chunks().cast(pa.string()).dictionary_encode()
    return pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _folds(group: Integers, seed: int) -> Integers:
    """Put whole accounts into parts."""
    _, place = np.unique(group, return_inverse=True)
    return np.random.default_rng(seed).integers(0, _FOLDS, int(place.max(initial=0)) + 1)[place]


def _learned(values: Any, won: Floats, folds: Integers) -> Floats:
    """Smoothed win rate of each row's level among the other accounts, relative to all of these."""
    chance = np.empty(len(won))
    for fold in range(_FOLDS):
        known, tried = folds != fold, folds == fold
        code = values if values.dtype == np.int64 else quintiles(values, known)
        code = np.where(code < 0, code.max(initial=-1) + 1, code)
        size = int(code.max(initial=0)) + 1
        n, wins = np.bincount(code[known], minlength=size), np.bincount(code[known], won[known], size)
        rate = won[known].mean() if known.any() else 0.0
        # Against the fold's own rate: else rates of different folds would rank its rows against each other.
        chance[tried] = ((wins + _PRIOR_LEADS * rate) / (n + _PRIOR_LEADS) - rate)[code][tried]
    return chance


def _auc(chance: Floats, won: Floats, resampler: Resampler) -> dict[str, Any]:
    _, cell = np.unique(-chance, return_inverse=True)
    good, good_drawn = resampler.by_cell(cell, won)
    rows, rows_drawn = resampler.by_cell(cell, np.ones(len(won)))
    value, drawn = ranking(good, rows)["auc"], ranking(good_drawn, rows_drawn)["auc"]
    return Draws(float(value[0]), drawn, resampler.tail).interval().to_dict()
