"""Write the feature table to a file while it is made, in memory that does not grow with its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.history.writing import ROWS_PER_GROUP, table_writer
from mqlml.tape.build import feature_table, known_at_creation, play_marks
from mqlml.tape.recipe import recipe_of
from mqlml.tape.state import Float64, Int64

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.history.contract import History
    from mqlml.tape.features import FeatureSet

_NUMBERS_PER_GROUP = 8 * 2**20


def write_features(
    history: History,
    marks: pa.Table,
    features: FeatureSet,
    path: Path,
    *,
    threads: int | None = None,
    batch_rows: int = 131_072,
) -> int:
    """Compute one row of features for every mark, as ``build_features`` does, and write the rows to a file.

    Parameters
    ----------
    history : History
    marks : pa.Table
        lead_id (string, leads of the history) and at (timestamp[us, UTC]; null: only attributes known at creation).
    features : FeatureSet
    path : Path
        Ends in ``.parquet`` or ``.csv``; appears whole or not at all.
    threads : int, optional
        Threads that sort and play; None takes all processors. The bytes do not depend on it.
    batch_rows : int
        Rows that the engine hands over at a time; the bytes do not depend on it.

    Returns
    -------
    int
        Rows written, in the order of the tape: by account (or lead, without one), then time, lead and place among the
        marks; those without a time last.

    Raises
    ------
    ValueError
        A mark names a lead that the history does not have.
    DataRefused
        The leads table lacks an attribute that is asked for, or holds text where numbers are asked for.
    UsageError
        Another suffix.
    EngineError
        DuckDB or the disk failed; what stood at ``path`` is untouched.
    """
    known = known_at_creation(history, marks, features)
    recipe = recipe_of(features)
    rows = _rows_per_group(recipe.width)
    with play_marks(history, known, features, recipe, threads=threads, batch_rows=batch_rows) as done:
        schema = feature_table(features, known.slice(0, 0), np.empty((recipe.width, 0)), done.levels).schema
        with table_writer(path, schema, rows_per_group=rows) as add:
            for position, columns in _groups(done.parts, _unplayed(known, recipe.width), recipe.width, rows):
                add(feature_table(features, known.take(pa.array(position)), columns, done.levels))
    return len(known)


def _rows_per_group(width: int) -> int:
    """Rows of a row group: fewer where they are long, so that a group fits into memory several times."""
    return max(1024, min(ROWS_PER_GROUP, _NUMBERS_PER_GROUP // max(width, 1)))


def _unplayed(known: pa.Table, width: int) -> Int64:
    """The rows that no tape has: those without a time, or all where the features need none."""
    unplayed = pc.is_null(known["at"]).to_numpy() if width else np.ones(known.num_rows, bool)
    return np.flatnonzero(unplayed)


def _groups(
    parts: Iterable[tuple[Int64, Float64]], unplayed: Int64, width: int, rows: int
) -> Iterator[tuple[Int64, Float64]]:
    """Cut parts of any size into groups of exactly ``rows`` rows, then the rows that nobody played."""
    position, values, filled = _free(width, rows)
    for places, columns in parts:
        at = 0
        while at < places.size:
            take = min(rows - filled, places.size - at)
            position[filled : filled + take] = places[at : at + take]
            values[:, filled : filled + take] = columns[:, at : at + take]
            filled, at = filled + take, at + take
            if filled == rows:
                yield position, values
                position, values, filled = _free(width, rows)
    while filled or unplayed.size:
        take = min(rows - filled, unplayed.size)
        position[filled : filled + take], unplayed = unplayed[:take], unplayed[take:]
        values[:, filled : filled + take] = np.nan
        yield position[: filled + take], values[:, : filled + take]
        position, values, filled = _free(width, rows)


def _free(width: int, rows: int) -> tuple[Int64, Float64, int]:
    """Memory for another group, none of it filled: the group before is still being written."""
    return np.empty(rows, np.int64), np.empty((width, rows)), 0
