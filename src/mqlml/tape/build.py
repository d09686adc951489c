"""Turn a history and marks into the feature table: cut the tape at key borders, play it, put rows back in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused, Problem
from mqlml.tape.columns import OTHER
from mqlml.tape.pace import TRACKING_LEVELS, TRACKING_NAME
from mqlml.tape.playing import Played, played
from mqlml.tape.recipe import Recipe, recipe_of
from mqlml.tape.state import DAY_US, Float64, Tape

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.tape.columns import Feature
    from mqlml.tape.features import Attribute, FeatureSet

Levels = dict[str, tuple[str, ...]]
"""For each category with a field history, and for the stage, its values by code."""

_MOMENT = pa.timestamp("us", tz="UTC")
_NO = ("false", "no", "0", "n", "f")
_TYPES = {
    "key": "i4",
    "time": "i8",
    "kind": "i1",
    "lead": "i8",
    "type": "i4",
    "asset": "i8",
    "channel": "i4",
    "value": "f8",
    "known": "i8",
}


def build_features(
    history: History, marks: pa.Table, features: FeatureSet, *, threads: int | None = None, batch_rows: int = 131_072
) -> pa.Table:
    """Compute one row of features for every mark, from facts strictly before it.

    Parameters
    ----------
    history : History
    marks : pa.Table
        lead_id (string, leads of the history) and at (timestamp[us, UTC]). Where ``at`` is null only attributes known
        at creation are filled.
    features : FeatureSet
    threads : int, optional
        Threads that sort and play; None takes all processors. The result does not depend on it.
    batch_rows : int
        Rows that the engine hands over at a time; the result does not depend on it.

    Returns
    -------
    pa.Table
        lead_id, at, then one column a feature in the feature set's order, rows in the order of ``marks``:
        float64 (NaN: never, or not supplied) or dictionary<int32, string> (null: not supplied).

    Raises
    ------
    ValueError
        A mark names a lead that the history does not have.
    DataRefused
        The leads table lacks an attribute that is asked for, or holds text where numbers are asked for.
    """
    known = known_at_creation(history, marks, features)
    recipe = recipe_of(features)
    values = np.full((recipe.width, len(marks)), np.nan)
    with play_marks(history, known, features, recipe, threads=threads, batch_rows=batch_rows) as done:
        for position, columns in done.parts:
            values[:, position] = columns
        return feature_table(features, known, values, done.levels)


def known_at_creation(history: History, marks: pa.Table, features: FeatureSet) -> pa.Table:
    """What a mark's row holds that no event can change.

    Returns
    -------
    pa.Table
        lead_id, at, the age, the features that are attributes known at creation, and the column that says whose events
        can be seen, where the features ask for it; rows in the order of ``marks``.

    Raises
    ------
    ValueError
        A mark names a lead that the history does not have.
    DataRefused
        The leads table lacks an attribute that is asked for, or holds text where numbers are asked for.
    """
    leads = _lead_rows(history, marks)
    _check_attributes(history, features)
    at = marks["at"].cast(_MOMENT)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"lead_id": marks["lead_id"], "at": at}
    for feature, place in features.placed:
        if place is None:
            columns[feature.name] = _unplayed(feature, history, at, features, leads)
        elif feature.name == TRACKING_NAME and features.tracked is not None:
            columns[feature.name] = history.attributes[features.tracked].take(leads)
    return pa.table(columns)


def feature_table(features: FeatureSet, known: pa.Table, values: Float64, levels: Levels) -> pa.Table:
    """Put together what was known at creation and what the kernel wrote.

    Parameters
    ----------
    features : FeatureSet
    known : pa.Table
        As ``known_at_creation`` gives it, or some of its rows.
    values : ndarray of float64, shape (recipe width, rows)
        What the kernel wrote, a row of ``known`` a column.
    levels : dict of str to tuple of str
        For each category with a field history, and for the stage, its values by code.

    Returns
    -------
    pa.Table
        As ``build_features`` gives it.
    """
    names = {**_levels(features), **levels}
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"lead_id": known["lead_id"], "at": known["at"]}
    rows = iter(values)
    for feature, place in features.placed:
        if place is None:
            columns[feature.name] = _compact(known[feature.name])
            continue
        numbers = next(rows)
        if feature.name == TRACKING_NAME and features.tracked is not None:
            numbers = _told_tracking(numbers, known[feature.name])
        columns[feature.name] = _as_of(numbers, feature, names)
    return pa.table(columns)


@contextmanager
def play_marks(
    history: History, known: pa.Table, features: FeatureSet, recipe: Recipe, *, threads: int | None, batch_rows: int
) -> Iterator[Played]:
    """Play the marks of ``known`` (see ``known_at_creation``) that have a time; their positions are rows of it."""
    position = np.flatnonzero(pc.is_valid(known["at"]).to_numpy())
    if not recipe.width or not position.size:
        yield Played(iter(()), {})
        return
    dated = known.select(["lead_id", "at"]).take(pa.array(position))
    marks = pa.table({"lead_id": dated["lead_id"], "time": dated["at"].cast(pa.int64()), "position": position})
    threads = threads or os.cpu_count() or 1
    with played(history, marks, features, recipe, threads=threads, batch_rows=batch_rows) as done:
        yield done


def whole_keys(batches: Iterable[pa.RecordBatch]) -> Iterator[Tape]:
    """Cut a stream of tape rows so that no key continues in the next tape.

    Parameters
    ----------
    batches : iterable of RecordBatch
        Rows of a tape in order; a batch may cut a key in two.

    Yields
    ------
    Tape
        Not empty; arrays are copies that the kernel may keep.
    """
    kept: list[Tape] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        tape = _columns(batch)
        border = int(np.searchsorted(tape.key, tape.key[-1]))
        if border or (kept and kept[-1].key[-1] != tape.key[0]):
            whole = [*kept, _rows(tape, 0, border)]
            yield _joined(whole)
            kept = []
        kept.append(_rows(tape, border, tape.key.size))
    if kept:
        yield _joined(kept)


def _columns(batch: pa.RecordBatch) -> Tape:
    return Tape(**{name: batch[name].to_numpy(zero_copy_only=False) for name in _TYPES})


def _rows(tape: Tape, start: int, end: int) -> Tape:
    return Tape._make(column[start:end] for column in tape)


def _joined(tapes: list[Tape]) -> Tape:
    # Copies always, with fixed types: the kernel then compiles once, whatever memory Arrow handed over.
    return Tape(
        **{name: np.concatenate([getattr(t, name) for t in tapes], dtype=dtype) for name, dtype in _TYPES.items()}
    )


def _levels(features: FeatureSet) -> dict[str, tuple[str, ...]]:
    """The names behind the codes that do not depend on the history."""
    types, channels = (*features.event_types, OTHER), (*features.channels, OTHER)
    ends = {f"journey.{end}_type": types for end in ("first", "last")}
    ends |= {f"journey.{end}_channel": channels for end in ("first", "last")}
    return {**ends, TRACKING_NAME: TRACKING_LEVELS}


def _lead_rows(history: History, marks: pa.Table) -> pa.Array:
    rows = pc.index_in(marks["lead_id"], value_set=history.leads["lead_id"].combine_chunks())
    if rows.null_count:
        first = marks["lead_id"].filter(pc.is_null(rows))[0].as_py()
        message = f"{rows.null_count} of {len(rows)} marks name a lead that is not in the history, first {first!r}"
        raise ValueError(message)
    return rows


def _check_attributes(history: History, features: FeatureSet) -> None:
    problems = [_problem(a, history.attributes) for a in features.attributes if a.source == "creation"]
    problems.append(_untold(features, history.attributes))
    found = [problem for problem in problems if problem is not None]
    if found:
        raise DataRefused(found)


def _problem(attribute: Attribute, table: pa.Table) -> Problem | None:
    fix = "supply the column as it was at training, or train again without it"
    if attribute.name not in table.column_names:
        what = "the features need this column and it is not there"
        return Problem("missing-column", "leads", what, fix, column=attribute.name)
    column = table[attribute.name]
    if attribute.kind == "number" and not pa.types.is_floating(column.type) and column.null_count < len(column):
        what = "the features need numbers and the column holds text"
        return Problem("not-a-number", "leads", what, fix, column=attribute.name)
    return None


def _untold(features: FeatureSet, table: pa.Table) -> Problem | None:
    """Whether the column that says who can be tracked is needed and missing."""
    asked = any(feature.name == TRACKING_NAME for feature in features.features)
    if features.tracked is None or not asked or features.tracked in table.column_names:
        return None
    what = "[events] tracked names this column and it is not there"
    fix = "supply it as text or number, do not exclude it, or remove [events] tracked and train again"
    return Problem("missing-column", "leads", what, fix, column=features.tracked)


def _unplayed(
    feature: Feature, history: History, at: pa.ChunkedArray, features: FeatureSet, leads: pa.ChunkedArray
) -> pa.Array:
    """What the leads table alone tells."""
    if feature.family == "age":
        return pa.array(_age_days(history, at, leads))
    attribute = next(a for a in features.attributes if a.name == feature.criterion)
    return _at_creation(history.attributes[attribute.name], attribute, leads)


def _at_creation(column: pa.ChunkedArray, attribute: Attribute, leads: pa.ChunkedArray) -> pa.Array:
    if attribute.kind == "category":
        codes = _dictionary(column)
        return _category(codes.indices.take(leads.combine_chunks()), codes.dictionary)
    if not pa.types.is_floating(column.type):
        return pa.array(np.full(len(leads), np.nan))
    return pa.array(column.take(leads).fill_null(np.nan).to_numpy())


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    text = column.combine_chunks().cast(pa.string())
    return text.dictionary_encode()


def _as_of(values: npt.NDArray[np.float64], feature: Feature, levels: dict[str, tuple[str, ...]]) -> pa.Array:
    if feature.kind == "number":
        return pa.array(values)
    missing = np.isnan(values)
    codes = pa.array(np.where(missing, 0, values).astype(np.int32), mask=missing)
    return _category(codes, pa.array(levels.get(feature.name, ()), pa.string()))


def _told_tracking(codes: npt.NDArray[np.float64], told: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Correct what events let suppose by what a column tells of each lead: its events can be seen, or cannot."""
    if pa.types.is_floating(told.type):
        no = pc.equal(told, 0.0)
    else:
        text = pc.utf8_lower(pc.utf8_trim_whitespace(told.cast(pa.string())))
        no = pc.is_in(text, value_set=pa.array(_NO))
    known = pc.is_valid(told).to_numpy()
    untracked, silent = (TRACKING_LEVELS.index(level) for level in ("untracked", "silent"))
    corrected = np.where(known & (codes == untracked), silent, codes)
    cannot = known & pc.fill_null(no, False).to_numpy()  # noqa: FBT003 - as pyarrow has it
    return np.where(cannot & ~np.isnan(codes), untracked, corrected)


def _compact(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if not pa.types.is_dictionary(column.type):
        return column
    array = column.combine_chunks()
    return _category(array.indices, array.dictionary)


def _category(codes: pa.Array, dictionary: pa.Array) -> pa.Array:
    # Only levels that occur, in order: what a column looks like must not depend on values of other leads or moments.
    used = pc.unique(codes.drop_null())
    names = dictionary.take(used)
    order = pc.sort_indices(names)
    place = np.zeros(max(len(dictionary), 1), dtype=np.int32)
    place[used.take(order).to_numpy()] = np.arange(len(used), dtype=np.int32)
    missing = pc.is_null(codes).to_numpy(zero_copy_only=False)
    renamed = pa.array(place[codes.fill_null(0).to_numpy()], mask=missing)
    return pa.DictionaryArray.from_arrays(renamed, names.take(order))


def _age_days(history: History, at: pa.ChunkedArray, leads: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    created = history.leads["created_at"].cast(_MOMENT).take(leads)
    elapsed = pc.subtract(at.cast(pa.int64()), created.cast(pa.int64()))
    days: npt.NDArray[np.float64] = elapsed.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy() / DAY_US
    return days
