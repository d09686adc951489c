"""Histories small enough to read, made from plain rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from mqlml.history.contract import HANDOVERS, History

DAY = 86_400_000_000
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
MOMENT = pa.timestamp("us", tz="UTC")
NAIVE = pa.timestamp("us")

EVENTS = pa.schema(
    [
        ("lead_id", pa.string()),
        ("occurred_at", NAIVE),
        ("recorded_at", NAIVE),
        ("event_type", pa.string()),
        ("value", pa.float64()),
        ("channel", pa.string()),
        ("asset", pa.string()),
        ("campaign", pa.string()),
    ]
)
CHANGES = pa.schema(
    [
        ("lead_id", pa.string()),
        ("changed_at", NAIVE),
        ("field", pa.string()),
        ("value", pa.string()),
        ("old_value", pa.string()),
        ("has_old_value", pa.bool_()),
    ]
)

Row = dict[str, Any]


def table(schema: pa.Schema, rows: Sequence[Row]) -> pa.Table:
    """Rows as a table; what a row does not name is null."""
    return pa.table([pa.array([r.get(f.name) for r in rows], f.type) for f in schema], schema=schema)


def make_history(
    leads: Sequence[Row],
    *,
    events: Sequence[Row] | None = None,
    changes: Sequence[Row] | None = None,
    attributes: pa.Table | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> History:
    """A history from rows; times are microseconds since 1970."""
    connection = connection or duckdb.connect()
    relations = {"events": (EVENTS, events), "changes": (CHANGES, changes)}
    for name, (schema, rows) in relations.items():
        if rows is not None:
            connection.register(f"given_{name}", table(schema, rows))
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM given_{name}")
            connection.unregister(f"given_{name}")
    columns = {
        "lead_id": pa.array([r["lead_id"] for r in leads], pa.string()),
        "account_id": pa.array([r.get("account_id") for r in leads], pa.string()),
        "created_at": pa.array([r.get("created_at", START) for r in leads], MOMENT),
    }
    people = pa.table({**columns, "start_at": columns["created_at"]})
    order = pa.compute.sort_indices(people["lead_id"])
    attributes = pa.table({"": pa.nulls(len(leads))}).select([]) if attributes is None else attributes.take(order)
    outcomes = pa.schema([("lead_id", pa.string()), ("outcome", pa.string()), ("decided_at", MOMENT)])
    return History(
        leads=people.take(order),
        attributes=attributes,
        outcomes=outcomes.empty_table(),
        handovers=HANDOVERS.empty_table(),
        connection=connection,
        tables=frozenset(name for name, (_, rows) in relations.items() if rows is not None),
        accounts=(),
        notes=(),
    )


def make_marks(rows: Sequence[tuple[str, int | None]]) -> pa.Table:
    """Marks from (lead, microseconds)."""
    return pa.table(
        {"lead_id": pa.array([r[0] for r in rows], pa.string()), "at": pa.array([r[1] for r in rows], MOMENT)}
    )


@pytest.fixture
def settings() -> Callable[..., Any]:
    """A configuration from sections of mqlml.toml."""
    from mqlml.config import Config

    def make(**sections: Any) -> Any:
        return Config.of({"leads": {"path": "leads.csv"}, "outcomes": {}, **sections})

    return make
