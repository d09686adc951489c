"""The local engine: DuckDB reads the facts, turns them and the marks into the rows of a tape and streams these."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import EngineError
from mqlml.history.facts import NUMBER
from mqlml.tape import rows
from mqlml.tape.engine import remote_tape
from mqlml.tape.traffic import tape_codes

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.tape.features import FeatureSet

_MEMORY_PER_THREAD = 512 * 2**20


@dataclass(frozen=True)
class TypeCount:
    """How often an event type occurred; how many of its events carried a finite value, an asset, a coarse time."""

    event_type: str
    events: int
    values: int
    assets: int
    whole_minutes: int = 0
    whole_hours: int = 0


@dataclass(frozen=True)
class TapeRows:
    """The rows of a tape as they stream out of DuckDB, in no order.

    Parameters
    ----------
    batches : iterable of RecordBatch
        Columns key, time, kind, lead, type, asset, channel, value, known; batches of events without those in which all
        events have the same (see ``sorting.ABSENT``).
    keys : int
        Keys are 0 to keys - 1.
    levels : dict of str to tuple of str
        For each feature that is a category with a field history, and for the stage, its values by code.
    """

    batches: Iterable[pa.RecordBatch]
    keys: int
    levels: dict[str, tuple[str, ...]]


def count_event_types(history: History, *, until: datetime | None) -> list[TypeCount]:
    """Count the events of known leads by type, strictly before ``until`` in ``recorded_at`` too."""
    remote = remote_tape(history)
    if remote is not None:
        return remote.count_event_types(until)
    if "events" not in history.tables:
        return []
    moment = None if until is None else until.astimezone(UTC).replace(tzinfo=None)
    leads = pa.table({"lead_id": history.leads["lead_id"]})
    with _registered(history.connection, {"tape_known": leads}):
        rows = history.connection.execute(
            """
            SELECT event_type, count(*), count(value) FILTER (isfinite(value)), count(asset),
                   count(*) FILTER (epoch_us(occurred_at) % 60000000 = 0),
                   count(*) FILTER (epoch_us(occurred_at) % 3600000000 = 0)
            FROM events SEMI JOIN tape_known USING (lead_id)
            WHERE event_type IS NOT NULL
              AND ($1 IS NULL OR (occurred_at < $1 AND (recorded_at IS NULL OR recorded_at < $1)))
            GROUP BY event_type
            """,
            [moment],
        ).fetchall()
    return [TypeCount(*row) for row in rows]


def changed_fields(history: History) -> frozenset[str]:
    """Name every field that the field history mentions, at any time."""
    if "changes" not in history.tables:
        return frozenset()
    rows = history.connection.execute("SELECT DISTINCT field FROM changes").fetchall()
    return frozenset(row[0] for row in rows)


def count_events(history: History, lead_ids: pa.ChunkedArray, types: Sequence[str], *, end: int) -> tuple[int, int]:
    """Count the events of some types and their leads, strictly before ``end`` (microseconds UTC)."""
    remote = remote_tape(history)
    if remote is not None:
        return remote.count_events(lead_ids, types, end=end)
    if "events" not in history.tables:
        return 0, 0
    sources = {"tape_known": pa.table({"lead_id": lead_ids}), "tape_types": pa.table({"event_type": pa.array(types)})}
    with _registered(history.connection, sources):
        found = history.connection.execute(
            """
            SELECT count(*), count(DISTINCT lead_id)
            FROM events SEMI JOIN tape_known USING (lead_id) SEMI JOIN tape_types USING (event_type)
            WHERE occurred_at < make_timestamp($1)
            """,
            [end],
        ).fetchall()
    return found[0]


@contextmanager
def tape_rows(history: History, marks: pa.Table, features: FeatureSet, *, batch_rows: int) -> Iterator[TapeRows]:
    """Open the tape of the leads in ``marks``; its tables and settings are gone again when the context ends.

    Parameters
    ----------
    history : History
    marks : pa.Table
        lead_id, time (int64, microseconds UTC), position (int64, the output row); at least one row.
    features : FeatureSet
    batch_rows : int
        Rows of a batch; the result does not depend on it.
    """
    try:
        with _tape(history, marks, features, batch_rows=batch_rows) as tape:
            yield tape
    except duckdb.Error as error:
        hint = "see whether the disk and memory suffice; running again is safe"
        raise EngineError(f"DuckDB failed while reading events: {error}.", hint=hint) from error


@contextmanager
def _tape(history: History, marks: pa.Table, features: FeatureSet, *, batch_rows: int) -> Iterator[TapeRows]:
    connection = history.connection
    sources = {
        "tape_marks": marks,
        "tape_history_leads": history.leads.select(["lead_id", "account_id", "created_at"]),
        "tape_types": type_codes(features),
        "tape_named_assets": codes_of("asset", features.named_assets if features.counts_assets else ()),
        "tape_channels": codes_of("channel", features.channels),
        "tape_fields": _field_codes(features),
        "tape_attributes": _attribute_values(history, features),
    }
    with _bounded(connection), _registered(connection, sources), _temporary(connection):
        connection.execute(rows.leads_table(features))
        end = pc.max(marks["time"]).as_py()
        has_events = bool(features.named_types) and "events" in history.tables
        has_changes = bool(features.history_attributes) or _has_stages(history, features)
        if has_events and features.tells_assets:
            connection.execute(rows.assets_table(features))
        if has_changes:
            connection.execute(_values(history, features))
            connection.execute(rows.LEVELS)
        levels = _levels(connection, features) if has_changes else {}
        keys = connection.execute("SELECT max(key) + 1 FROM tape_leads").fetchall()[0][0]
        queries = _queries(history, features, end=end, has_events=has_events, has_changes=has_changes)
        with closing(_batches(connection, queries, batch_rows)) as batches:
            yield TapeRows(batches, keys, levels)


def _queries(history: History, features: FeatureSet, *, end: int, has_events: bool, has_changes: bool) -> Iterator[str]:
    if has_events:
        late = "SELECT 1 FROM events WHERE recorded_at > occurred_at LIMIT 1"
        columns = rows.event_columns(features, late=bool(history.connection.execute(late).fetchall()))
        query = rows.event_rows(features, end=end, numbered=NUMBER in history.connection.sql("FROM events").columns)
        yield f"SELECT {', '.join(columns)} FROM ({query}) tape({rows.COLUMNS})"
    others = [rows.MARK_ROWS]
    if has_changes:
        others.append(rows.CHANGE_ROWS)
    if features.watches_accounts:
        others.append(rows.created_rows(end=end))
    yield f"SELECT * FROM ({' UNION ALL '.join(others)}) tape({rows.COLUMNS})"


def _batches(
    connection: duckdb.DuckDBPyConnection, queries: Iterable[str], batch_rows: int
) -> Generator[pa.RecordBatch, None, None]:
    for query in queries:
        with connection.sql(query).to_arrow_reader(batch_rows) as reader:  # an open result would block the connection
            yield from reader


def _values(history: History, features: FeatureSet) -> str:
    # A field's value before its first change is what that change replaced; where nothing ever changed it is the value
    # in the leads table. Both ask whether the history says what was replaced: else today's value could stand there.
    known = "changes" in history.tables
    parts = [rows.CHANGED_VALUES, rows.OLD_VALUES, rows.UNCHANGED_VALUES] if known else []
    return rows.values_table(features, parts, with_stages=_has_stages(history, features))


def _has_stages(history: History, features: FeatureSet) -> bool:
    return features.follows_stages and "stages" in history.tables


def _levels(connection: duckdb.DuckDBPyConnection, features: FeatureSet) -> dict[str, tuple[str, ...]]:
    levels: dict[str, tuple[str, ...]] = {}
    fields = [*(f"lead.{attribute.name}" for attribute in features.history_attributes), "stage.current"]
    for place, name in enumerate(fields):
        query = "SELECT value FROM tape_levels WHERE type = ? ORDER BY code"
        levels[name] = tuple(row[0] for row in connection.execute(query, [place]).fetchall())
    return levels


def leads_of(history: History) -> pa.Table:
    """``lead_id``, ``key`` and ``lead`` (rank within the key) of the leads on the tape that is open."""
    return history.connection.sql("SELECT lead_id, key, lead FROM tape_leads").to_arrow_table()


def type_codes(features: FeatureSet) -> pa.Table:
    """Codes of the event types; -1: none of their events is looked at."""
    codes = tape_codes(features)
    return pa.table({"event_type": pa.array(codes.keys(), pa.string()), "code": pa.array(codes.values(), pa.int32())})


def codes_of(name: str, values: Sequence[str]) -> pa.Table:
    """Codes of named values: their places."""
    return pa.table({name: pa.array(values, pa.string()), "code": pa.array(range(len(values)), pa.int32())})


def _field_codes(features: FeatureSet) -> pa.Table:
    fields = features.history_attributes
    return pa.table(
        {
            "field": pa.array([f.name for f in fields], pa.string()),
            "type": pa.array(range(len(fields)), pa.int32()),
            "is_number": pa.array([f.kind == "number" for f in fields], pa.bool_()),
        }
    )


def _attribute_values(history: History, features: FeatureSet) -> pa.Table:
    lead_ids = history.leads["lead_id"]
    parts = [
        pa.table(
            {
                "lead_id": lead_ids,
                "field": pa.array([f.name] * len(lead_ids), pa.string()),
                "value": history.attributes[f.name].cast(pa.string()),
            }
        )
        for f in features.history_attributes
        if f.name in history.attributes.column_names
    ]
    schema = pa.schema([("lead_id", pa.string()), ("field", pa.string()), ("value", pa.string())])
    return pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, sources: dict[str, pa.Table]) -> Iterator[None]:
    try:
        for name, table in sources.items():
            connection.register(name, table)
        yield
    finally:
        for name in sources:
            connection.unregister(name)


@contextmanager
def _temporary(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    try:
        yield
    finally:
        for name in ("tape_leads", "tape_assets", "tape_values", "tape_levels"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")


@contextmanager
def _bounded(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    # DuckDB takes what it may; joins spill before they crowd out everything else on the machine.
    limits = "SELECT parse_formatted_bytes(current_setting('memory_limit')), current_setting('threads')::BIGINT"
    limit, threads = connection.execute(limits).fetchall()[0]
    bound = _MEMORY_PER_THREAD * threads
    if limit <= bound:
        yield
        return
    connection.execute(f"SET memory_limit = '{bound}B'")
    try:
        yield
    finally:
        connection.execute("RESET memory_limit")
