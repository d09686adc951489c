"""What a workflow needs of an engine, and what a tape played elsewhere offers; the local engine is the default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.history.contract import RemoteEvents
from mqlml.history.reading import read_history

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.history.kept import Kept
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.local import TypeCount
    from mqlml.tape.traffic import Tally

__all__ = ["Engine", "LocalEngine", "Played", "RemoteTape", "remote_tape"]

Kinds = Mapping[str, Literal["number", "category"]]


class Engine(Protocol):
    """Where events are read and tapes are played."""

    def open(self, config: Config, *, kinds: Kinds | None = None) -> History:
        """Read a history as ``read_history`` does; everything asked of it later is done by this engine."""


@dataclass(frozen=True)
class LocalEngine:
    """DuckDB on this machine.

    Parameters
    ----------
    kept : Kept, optional
        Events that earlier runs have read.
    """

    kept: Kept | None = None

    def open(self, config: Config, *, kinds: Kinds | None = None) -> History:
        """Read a history."""
        return read_history(config, kinds=kinds, kept=self.kept)


@dataclass(frozen=True)
class Played:
    """Rows that the kernel wrote, in any order.

    Parameters
    ----------
    parts : iterator of (ndarray of int64, shape (n,); ndarray of float64, shape (recipe width, n))
        Positions of the marks, and a column for each.
    levels : dict of str to tuple of str
        Values of the categories with a field history, by code.
    """

    parts: Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
    levels: dict[str, tuple[str, ...]]


class Use(NamedTuple):
    """How often an asset or channel was used, and when first and last, in microseconds."""

    events: int
    first: int
    last: int


class RemoteTape(RemoteEvents, Protocol):
    """Events that an engine keeps elsewhere, and the tapes it makes of them."""

    def count_event_types(self, until: datetime | None) -> list[TypeCount]:
        """Count the events of known leads by type, as ``tape.local`` does."""

    def count_names(self, column: str, *, until: datetime | None, without: Sequence[str]) -> dict[str, Use]:
        """Count the events of known leads by the asset or channel they name, those of some event types left out."""

    def count_events(self, lead_ids: pa.ChunkedArray, types: Sequence[str], *, end: int) -> tuple[int, int]:
        """Count the events of some types and their leads, strictly before ``end`` (microseconds)."""

    def play(self, history: History, marks: pa.Table, features: FeatureSet, *, tally: Tally | None) -> Played:
        """Play the tape of the leads in ``marks`` (lead_id, time, position; see ``tape.local.tape_rows``)."""

    def apply(
        self,
        history: History,
        marks: pa.Table,
        features: FeatureSet,
        function: Callable[[pa.Table], pa.Table],
        schema: pa.Schema,
        *,
        tally: Tally | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Compute the feature table of dated ``marks`` in parts and apply a function to each where it was made.

        Parameters
        ----------
        history : History
        marks : pa.Table
            lead_id and at, as for ``build_features``; no ``at`` is null.
        features : FeatureSet
        function : callable
            Takes a feature table and gives a table of ``schema``, row for row; it travels to other machines.
        schema : pa.Schema
        tally : Tally, optional
            Counts what the rules against machine traffic changed.

        Yields
        ------
        RecordBatch
            Rows in the order of ``marks``.
        """


def remote_tape(history: History) -> RemoteTape | None:
    """The engine that keeps a history's events elsewhere; None where they are here."""
    return cast("RemoteTape | None", history.remote)
