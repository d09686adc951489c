"""What a history is once it has been read and checked: the tables, their accounts and what to know about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import duckdb

UTC_TIME = pa.timestamp("us", tz="UTC")
"""Every moment of a history: microseconds, UTC."""

HANDOVERS = pa.schema(
    [
        ("lead_id", pa.string()),
        ("handed_at", UTC_TIME),
        ("by", pa.string()),
        ("recipient", pa.string()),
        ("accepted_at", UTC_TIME),
        ("rejected_at", UTC_TIME),
        ("reason", pa.string()),
        ("first_touch_at", UTC_TIME),
        ("policy_version", pa.string()),
    ]
)

SIGNS = pa.schema([("lead", pa.int64()), ("known", pa.int64())])
"""Signs of life: places of leads, and microseconds UTC."""

TOUCHED = pa.schema(
    [
        ("kind", pa.string()),
        ("lead", pa.int64()),
        ("name", pa.string()),
        ("times", pa.int64()),
        ("first", pa.int64()),
        ("last", pa.int64()),
    ]
)
"""Events of a lead by name of one kind: how many, and microseconds UTC of the first and last."""

QUARANTINE = pa.schema(
    [
        ("table", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)


@dataclass(frozen=True)
class TableAccount:
    """Where the rows of one table went: ``rows_in == used + quarantined + sum(skipped.values())``.

    Parameters
    ----------
    table, file : str
        The contract table and the user's file.
    rows_in, used, quarantined : int
        Rows of the file, rows that count, rows set aside because they cannot be used.
    skipped : mapping of str to int
        Rows left out by a rule, by reason.
    """

    table: str
    file: str
    rows_in: int
    used: int
    quarantined: int
    skipped: Mapping[str, int] = field(default_factory=dict)


class RemoteEvents(Protocol):
    """Events that an engine keeps elsewhere, cleaned."""

    def type_counts(self, until: datetime | None) -> dict[str, int]:
        """Count events by type as ``History.event_type_counts`` does."""

    def signs_of_life(self, spans: pa.Table, *, until: int, without: Sequence[str]) -> pa.RecordBatchReader:
        """Find the events that ``history.queries.signs_of_life`` asks for: schema ``SIGNS``, in any order."""

    def touches(self, seen: pa.Table, *, without: Sequence[str]) -> pa.RecordBatchReader:
        """Sum up the events that ``history.touches.read_touches`` asks for: schema ``TOUCHED``, in any order."""


@dataclass(frozen=True)
class History:
    """A lead history, typed and checked; nothing is filtered by as-of yet.

    Parameters
    ----------
    leads : pa.Table
        ``lead_id`` (string, unique), ``account_id`` (string, null where none), ``created_at`` (UTC microseconds,
        all null in a history without dates), ``start_at`` (first moment worth looking) and, with ``[leads] order``,
        ``order`` (float64), with ``[policy] present_dates`` ``marked_at`` (when the lead was marked an MQL, null
        where it was not); sorted by ``lead_id``.
    attributes : pa.Table
        The remaining columns of the leads, row for row as ``leads``, under the user's own names: text as
        dictionary<int32, string>, numbers as float64 without NaN or infinity.
    outcomes : pa.Table
        ``lead_id``, ``outcome`` ("won", "lost" or "ignored"; null: an opportunity that is still open), ``decided_at``
        and ``opened_at`` (creation of the opportunity; null where unknown), ``value``, ``lost_reason``, ``pipeline``,
        ``opportunity_id``, ``is_primary``; several rows a lead are episodes; sorted by lead and time.
    handovers : pa.Table
        Schema ``HANDOVERS``, sorted by lead and time; empty when not configured.
    connection : duckdb.DuckDBPyConnection
        Holds the relations named in ``tables``; session in UTC, no access to files other than the history's own.
    tables : frozenset of str
        Which of "events", "changes", "stages", "links" and "spend" are in ``connection``.
    accounts : tuple of TableAccount
        One for each table that was read.
    notes : tuple of str
        Plain sentences for every output.
    quarantine : pa.Table
        Schema ``QUARANTINE``: rows set aside, with their row, line (CSV) and raw content.
    remote : RemoteEvents or None
        The events, where an engine keeps them; ``tables`` then does not name them.

    Examples
    --------
    >>> with read_history(config) as history:  # doctest: +SKIP
    ...     history.leads.num_rows
    """

    leads: pa.Table
    attributes: pa.Table
    outcomes: pa.Table
    handovers: pa.Table
    connection: duckdb.DuckDBPyConnection
    tables: frozenset[str]
    accounts: tuple[TableAccount, ...]
    notes: tuple[str, ...]
    quarantine: pa.Table = field(default_factory=QUARANTINE.empty_table)
    cleanup: Callable[[], object] = field(default=lambda: None, repr=False, compare=False)
    remote: RemoteEvents | None = field(default=None, repr=False, compare=False)

    @property
    def has_events(self) -> bool:
        """Whether there is a table of events, here or elsewhere."""
        return self.remote is not None or "events" in self.tables

    @property
    def has_dates(self) -> bool:
        """Whether the leads have a moment of creation at all."""
        return bool(self.leads.num_rows > self.leads["created_at"].null_count)

    def event_type_counts(self, until: datetime | None = None) -> dict[str, int]:
        """Count the events of each type that are known strictly before a moment.

        Parameters
        ----------
        until : datetime or None
            An aware moment; None counts all events.

        Returns
        -------
        dict of str to int
            Most frequent first, ties by name; empty when the history has no events.
        """
        if self.remote is not None:
            return self.remote.type_counts(until)
        if "events" not in self.tables:
            return {}
        moment = None if until is None else until.astimezone(UTC).replace(tzinfo=None)
        rows = self.connection.execute(
            """
            SELECT event_type, count(*) FROM events
            WHERE $until IS NULL OR (occurred_at < $until AND (recorded_at IS NULL OR recorded_at < $until))
            GROUP BY event_type ORDER BY count(*) DESC, event_type
            """,
            {"until": moment},
        ).fetchall()
        return dict(rows)

    def stage_entries(self, stage: str) -> pa.Table:
        """When leads entered a stage: ``lead_id`` and ``at``; empty where no lead did or there are no stages."""
        empty = pa.table({"lead_id": pa.array([], pa.string()), "at": pa.array([], UTC_TIME)})
        if "stages" not in self.tables:
            return empty
        query = "SELECT lead_id, entered_at FROM stages WHERE stage = ? AND entered_at IS NOT NULL ORDER BY ALL"
        rows = self.connection.execute(query, [stage]).fetchall()
        moments = pa.array([at for _, at in rows], pa.timestamp("us")).cast(UTC_TIME)
        return pa.table({"lead_id": pa.array([lead for lead, _ in rows], pa.string()), "at": moments})

    def close(self) -> None:
        """Close the connection and remove its temporary files."""
        self.connection.close()
        self.cleanup()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
