"""What runs on the executors: sorted rows in, features out, or whatever a function makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml import __version__
from mqlml.errors import EngineError
from mqlml.tape.build import Levels, feature_table, play_whole

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet

__all__ = ["Applying", "Playing", "whole_tables"]

# Leads that a function sees at a time: enough to pay for its own preparations, few enough to be held in memory.
_ROWS_AT_A_TIME = 16_384


@dataclass(frozen=True)
class Playing:
    """Plays sorted rows of whole keys; yields ``position`` and a column for each number that the kernel writes.

    Parameters
    ----------
    features : FeatureSet
    schema : pa.Schema
        Of what is yielded.
    version : str
        Of mqlml where this was made: another one here could compute something else.
    """

    features: FeatureSet
    schema: pa.Schema
    version: str = __version__

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Play one partition."""
        check_version(self.version)
        for table in whole_tables(batches):
            position, values = play_whole(with_assets(table), self.features)
            if position.size:
                yield pa.RecordBatch.from_arrays([pa.array(position), *map(pa.array, values)], schema=self.schema)


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
    schema : pa.Schema
        ``position``, then what the function gives.
    version : str
    """

    features: FeatureSet
    levels: Levels
    known: pa.Schema
    function: Callable[[pa.Table], pa.Table]
    schema: pa.Schema
    version: str = __version__

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Play one partition."""
        check_version(self.version)
        waiting: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], pa.Table]] = []
        rows = 0
        for table in whole_tables(batches):
            position, values = play_whole(with_assets(table), self.features)
            waiting.append((position, values, self._known(table)))
            rows += position.size
            if rows >= _ROWS_AT_A_TIME:
                yield from self._applied(waiting)
                waiting, rows = [], 0
        if rows:
            yield from self._applied(waiting)

    def _known(self, table: pa.Table) -> pa.Table:
        """The rows of the marks; they are on the tape in the order in which the kernel writes theirs."""
        side = table["side"].drop_null().combine_chunks()
        return pa.Table.from_arrays(side.flatten(), names=self.known.names).cast(self.known)

    def _applied(
        self, waiting: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], pa.Table]]
    ) -> Iterator[pa.RecordBatch]:
        positions, values, known = zip(*waiting, strict=True)
        table = feature_table(self.features, pa.concat_tables(known), np.concatenate(values, axis=1), self.levels)
        made = self.function(table)
        position = pa.array(np.concatenate(positions))
        whole = pa.Table.from_arrays([position, *made.columns], names=self.schema.names).cast(self.schema)
        yield from whole.combine_chunks().to_batches()


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
