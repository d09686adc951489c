"""Small lead histories in memory, with times in days since the first of January 2024."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from mqlml.config import Config
from mqlml.history.contract import HANDOVERS, UTC_TIME, History
from mqlml.history.outcomes import OUTCOMES
from mqlml.learning.labels import Rows, labelled_rows
from mqlml.learning.moments import DAY
from mqlml.learning.snapshots import Population, population

ZERO = 1_704_067_200_000_000


def t(days: float | None) -> int | None:
    """Microseconds of a day."""
    return None if days is None else ZERO + round(days * DAY)


def _table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    times = {f.name for f in schema if pa.types.is_timestamp(f.type)}
    columns = {
        name: pa.array([t(r.get(name)) if name in times else r.get(name) for r in rows], schema.field(name).type)
        for name in schema.names
    }
    return pa.table(columns, schema=schema)


_LEADS = pa.schema(
    [("lead_id", pa.string()), ("account_id", pa.string()), ("created_at", UTC_TIME), ("start_at", UTC_TIME)]
)
_EVENTS = pa.schema(
    [
        ("lead_id", pa.string()),
        ("occurred_at", pa.timestamp("us")),
        ("recorded_at", pa.timestamp("us")),
        ("event_type", pa.string()),
    ]
)
_STAGES = pa.schema([("lead_id", pa.string()), ("stage", pa.string()), ("entered_at", pa.timestamp("us"))])


@contextmanager
def world(
    leads: Sequence[dict[str, Any]],
    *,
    outcomes: Sequence[dict[str, Any]] = (),
    events: Sequence[dict[str, Any]] = (),
    handovers: Sequence[dict[str, Any]] = (),
    stages: Sequence[dict[str, Any]] = (),
) -> Iterator[History]:
    """A history as reading would give it; leads need ``lead_id`` and ``created_at``, in the order of their ids."""
    people = [{"start_at": lead["created_at"], **lead} for lead in leads]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables = set()
        for name, rows, schema in (("events", events, _EVENTS), ("stages", stages, _STAGES)):
            if rows:
                connection.register(f"{name}_rows", _table([{"event_type": "visit", **r} for r in rows], schema))
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_rows")
                tables.add(name)
        table = _table(people, _LEADS)
        yield History(
            leads=table,
            attributes=table.select([]),
            outcomes=_table(outcomes, OUTCOMES),
            handovers=_table(handovers, HANDOVERS),
            connection=connection,
            tables=frozenset(tables),
            accounts=(),
            notes=(),
        )


def configured(**sections: Any) -> Config:
    """Settings of a world; calls are made by sales, and an episode sleeps after 100 days unless said otherwise."""
    settings: dict[str, Any] = {
        "leads": {"path": "leads.parquet"},
        "outcomes": {"path": "outcomes.parquet"},
        "events": {"path": "events.parquet", "by_sales": ["call"]},
        "stages": {"path": "stages.parquet"},
        "snapshots": {"max_age_days": 100},
    }
    return Config.of({key: settings.get(key, {}) | sections.get(key, {}) for key in {**settings, **sections}})


def seen(history: History, config: Config, day: float) -> Population:
    """The population with what was known strictly before a day."""
    return population(history, config, until=t(day))


def fate(people: Population, day: float) -> dict[str, str]:
    """Fate of every lead at a moment."""
    ids = people.lead_id.to_pylist()
    found = people.fates(ZERO + round(day * DAY))
    parts = [(ids[i], name) for name, flags in found.items() for i in np.flatnonzero(flags)]
    assert len(parts) == len(ids), "every lead is in exactly one part"
    return dict(parts)


CROWD = 24
"""Leads that make a history large enough to learn from."""


def with_crowd(leads: Sequence[dict[str, Any]], outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add leads created on day 0, half of them won on day 30; every outcome of theirs names them alone."""
    names = [f"z{i:02d}" for i in range(CROWD)]
    winners = [{"lead_id": name, "outcome": "won", "decided_at": 30.0} for name in names[::2]]
    return {
        "leads": [*leads, *({"lead_id": name, "created_at": 0.0} for name in names)],
        "outcomes": [*outcomes, *winners],
    }


def labels(history: History, config: Config, day: float) -> tuple[Rows, dict[str, dict[float, float]]]:
    """The labelled rows, and by lead the label of each day."""
    people = seen(history, config, day)
    rows = labelled_rows(people, config, as_of=t(day))
    found: dict[str, dict[float, float]] = {}
    ids = people.lead_id.to_pylist()
    for lead, at, won in zip(rows.lead, rows.at, rows.won, strict=True):
        found.setdefault(ids[lead], {})[(int(at) - ZERO) / DAY] = float(won)
    return rows, found
