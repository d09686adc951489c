"""What runs on the executors: sorted rows in, features out, or whatever a function makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml import __version__
from mqlml.errors import EngineError
from mqlml.tape.build import Levels, feature_table
from mqlml.tape.machines import rules_of
from mqlml.tape.playing import play_keys, tape_of
from mqlml.tape.recipe import recipe_of
from mqlml.tape.state import Float64, Int64

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet

__all__ = ["Applying", "Playing", "whole_tables"]

_BEFORE = (("position", pa.int64()), ("counts", pa.list_(pa.int64())))

# Leads that a function sees at a time: enough to pay for its own preparations, few enough to be held in memory.
_ROWS_AT_A_TIME = 16_384


@dataclass(frozen=True)
class Playing:
    """Plays sorted rows of whole keys.

    Yields ``position``, ``counts`` (in the first row of each stretch of keys what the rules against machine traffic
    left out of it, else null) and a column for each number that the kernel writes.

    Parameters
    ----------
    features : FeatureSet
    version : str
        Of mqlml where this was made: another one here could compute something else.
    """

    features: FeatureSet
    version: str = __version__

    @cached_property
    def schema(self) -> pa.Schema:
        """Of what is yielded."""
        return pa.schema([*_BEFORE, *((f"f{i}", pa.float64()) for i in range(recipe_of(self.features).width))])

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Play one partition."""
        for _, position, values, counts in played(batches, self.features, self.version):
            columns = [position, told(counts, position.size), *np.ascontiguousarray(values)]
            yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=self.schema)


@dataclass(frozen=True)
class Applying:
    """Plays sorted rows, makes the feature table of their marks and applies a function to it, some leads at a time.

    Parameters
    ----------
    features : FeatureSet
    levels : dict of str to tuple of str
    known : pa.Schema
        Names and types of the fields of ``side`` in each mark: what was known at creation.
    function : callable
    result : pa.Schema
        Of what the function gives.
    version : str
    """

    features: FeatureSet
    levels: Levels
    known: pa.Schema
    function: Callable[[pa.Table], pa.Table]
    result: pa.Schema
    version: str = __version__

    @cached_property
    def schema(self) -> pa.Schema:
        """``position`` and ``counts`` as in ``Playing``, then what the function gives."""
        return pa.schema([*_BEFORE, *((field.name, field.type) for field in self.result)])

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Play one partition."""
        waiting: list[_Stretch] = []
        for table, position, values, counts in played(batches, self.features, self.version):
            waiting.append(_Stretch(position, values, counts, self._known(table)))
            if sum(stretch.position.size for stretch in waiting) >= _ROWS_AT_A_TIME:
                yield from self._applied(waiting)
                waiting = []
        if waiting:
            yield from self._applied(waiting)

    def _known(self, table: pa.Table) -> pa.Table:
        """The rows of the marks; they are on the tape in the order in which the kernel writes theirs."""
        side = table["side"].drop_null().combine_chunks()
        return pa.Table.from_arrays(side.flatten(), names=self.known.names).cast(self.known)

    def _applied(self, waiting: list[_Stretch]) -> Iterator[pa.RecordBatch]:
        known = pa.concat_tables([stretch.known for stretch in waiting])
        values = np.concatenate([stretch.values for stretch in waiting], axis=1)
        made = self.function(feature_table(self.features, known, values, self.levels))
        position = pa.array(np.concatenate([stretch.position for stretch in waiting]))
        counts = pa.concat_arrays([told(stretch.counts, stretch.position.size) for stretch in waiting])
        whole = pa.Table.from_arrays([position, counts, *made.columns], names=self.schema.names).cast(self.schema)
        yield from whole.combine_chunks().to_batches()


class _Stretch(NamedTuple):
    position: Int64
    values: Float64
    counts: Int64 | None
    known: pa.Table


def played(
    batches: Iterable[pa.RecordBatch], features: FeatureSet, version: str
) -> Iterator[tuple[pa.Table, Int64, Float64, Int64 | None]]:
    """Play one partition: for each stretch of whole keys with marks its rows, and what ``play_keys`` gives for them."""
    check_version(version)
    recipe, rules = recipe_of(features), rules_of(features)
    for table in whole_tables(batches):
        position, values, counts = play_keys(tape_of(with_assets(table).to_batches()), recipe=recipe, rules=rules)
        if position.size:
            yield table, position, values, counts


def told(counts: Int64 | None, rows: int) -> pa.Array:
    """Counts as the first of some rows, which have none else."""
    first = None if counts is None else counts.ravel().tolist()
    return pa.array([first, *[None] * (rows - 1)], pa.list_(pa.int64()))


def whole_tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut a stream of rows so that no key continues in the next table.

    Parameters
    ----------
    batches : iterable of RecordBatch
        Rows in order; a batch may cut a key in two.

    Yields
    ------
    Table
        Not empty.
    """
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        key = batch["key"].to_numpy()
        border = int(np.searchsorted(key, key[-1]))
        if border or (kept and kept[-1]["key"][-1].as_py() != key[0]):
            yield pa.Table.from_batches([*kept, batch.slice(0, border)])
            kept = []
        kept.append(batch.slice(border))
    if kept:
        yield pa.Table.from_batches(kept)


def with_assets(table: pa.Table) -> pa.Table:
    """Give each asset that has no code of its own one that tells it from the others of these rows."""
    codes = pc.dictionary_encode(table["name"].combine_chunks()).indices.cast(pa.int64())
    asset = pc.coalesce(pc.add(table["asset"], codes), table["asset"])
    return table.set_column(table.schema.get_field_index("asset"), "asset", asset)


def check_version(expected: str) -> None:
    """Refuse to compute with another mqlml than the one that asked.

    Raises
    ------
    EngineError
    """
    if __version__ != expected:
        raise EngineError(
            f"mqlml {__version__} is installed on this executor, {expected} where the run was started.",
            hint="install the same version on both",
        )
