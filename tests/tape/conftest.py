"""Histories small enough to read, made from plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mqlml.config import Config
from mqlml.history.contract import HANDOVERS, History
from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet

Row = dict[str, Any]
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
STAGES = pa.schema([("lead_id", pa.string()), ("stage", pa.string()), ("entered_at", NAIVE), ("pipeline", pa.string())])


@dataclass(frozen=True)
class Maker:
    """Makes histories, marks and feature rows; times are microseconds since 1970."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    day: int = 86_400_000_000
    start: int = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

    def history(
        self,
        leads: Sequence[Row],
        *,
        events: Sequence[Row] | pa.Table | None = None,
        changes: Sequence[Row] | None = None,
        stages: Sequence[Row] | None = None,
        attributes: dict[str, Sequence[Any]] | None = None,
    ) -> History:
        """A history whose events, changes and stages replace those of the one made before."""
        relations = {"events": (EVENTS, events), "changes": (CHANGES, changes), "stages": (STAGES, stages)}
        for name, (schema, rows) in relations.items():
            given = rows if isinstance(rows, pa.Table) else table(schema, rows or [])
            self.connection.register(f"given_{name}", given)
            self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM given_{name}")
            self.connection.unregister(f"given_{name}")
        people = pa.table(
            {
                "lead_id": pa.array([r["lead_id"] for r in leads], pa.string()),
                "account_id": pa.array([r.get("account_id") for r in leads], pa.string()),
                "created_at": pa.array([r.get("created_at", self.start) for r in leads], MOMENT),
                "start_at": pa.array([r.get("created_at", self.start) for r in leads], MOMENT),
            }
        )
        order = pc.sort_indices(people["lead_id"])
        columns = {name: column(values) for name, values in (attributes or {"": [None] * len(leads)}).items()}
        return History(
            leads=people.take(order),
            attributes=pa.table(columns).take(order),
            outcomes=pa.table({}),
            handovers=HANDOVERS.empty_table(),
            connection=self.connection,
            tables=frozenset(name for name, (_, rows) in relations.items() if rows is not None),
            accounts=(),
            notes=(),
        )

    def marks(self, *rows: tuple[str, int | None]) -> pa.Table:
        """Marks from (lead, moment)."""
        lead_ids = pa.array([r[0] for r in rows], pa.string())
        return pa.table({"lead_id": lead_ids, "at": pa.array([r[1] for r in rows], MOMENT)})

    def row(self, history: History, features: FeatureSet, *mark: Any) -> Row:
        """The features of one mark."""
        return dict(build_features(history, self.marks(mark), features).to_pylist()[0])

    def config(self, **sections: Any) -> Config:
        """A configuration with the given sections of mqlml.toml."""
        return Config.of({"leads": {"path": "leads.csv"}, "outcomes": {}, "events": {"path": "e.csv"}, **sections})


def table(schema: pa.Schema, rows: Sequence[Row]) -> pa.Table:
    """Rows as a table; what a row does not name is null."""
    return pa.table([pa.array([r.get(f.name) for r in rows], f.type) for f in schema], schema=schema)


def column(values: Sequence[Any]) -> pa.Array:
    """Numbers as float64, text as a dictionary, as a history holds attributes."""
    if any(isinstance(v, float) for v in values):
        return pa.array(values, pa.float64())
    return pa.array(values, pa.string()).dictionary_encode()


@pytest.fixture(scope="session")
def make() -> Maker:
    """The maker of this test run, with one connection."""
    return Maker()
