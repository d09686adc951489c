"""What the families ask: who is asked about when (``asked``), and what was known of the lead then (``seen``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tape.oracle.words import among, array, text

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet


def prepare(history: Any, marks: pa.Table, features: FeatureSet) -> None:
    """Make the relations that every family reads."""
    connection = history.connection
    people = history.leads.select(["lead_id", "account_id", "created_at"])
    for column in history.attributes.column_names:
        if column:
            people = people.append_column(column, history.attributes[column])
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("given_people", people)
    connection.register("given_marks", marks.append_column("row", pa.array(range(marks.num_rows), pa.int64())))
    for name, query in {
        "people": "SELECT * REPLACE (created_at::TIMESTAMP AS created_at) FROM given_people",
        "asked": 'SELECT row, lead_id, "at"::TIMESTAMP AS moment FROM given_marks',
        "facts": facts(features),
        "seen": SEEN,
    }.items():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
    connection.unregister("given_people")
    connection.unregister("given_marks")


def facts(features: FeatureSet) -> str:
    """Every event that is looked at, with the hour on the wall clock and its place among all events.

    Events of one moment stand in the order of the vocabularies: types as named and then all others; no asset, assets
    as named and then all others by name; no channel, channels as named and then all others.
    """
    local = f"timezone({text(features.zone)}, timezone('UTC', occurred_at))"
    types, assets, channels = (list(v) for v in (features.event_types, features.named_assets, features.channels))
    return f"""
        SELECT *, {local} AS local_time, {local}::DATE AS local_day,
               row_number() OVER (ORDER BY occurred_at,
                   coalesce(list_position({array(types)}, event_type), {len(types) + 1}),
                   coalesce(list_position({array(assets)}, asset), {len(assets) + 1}) * (asset IS NOT NULL)::INT,
                   CASE WHEN NOT {among("asset", assets)} THEN asset END NULLS FIRST,
                   coalesce(list_position({array(channels)}, channel), {len(channels) + 1}) * (channel IS NOT NULL)::INT
               ) AS place
        FROM (SELECT lead_id, occurred_at, greatest(occurred_at, coalesce(recorded_at, occurred_at)) AS known_at,
                     event_type, asset, channel, CASE WHEN isfinite(value) THEN value ELSE 0 END AS value
              FROM events WHERE NOT {among("event_type", features.dropped_types)})
    """


SEEN = """
    SELECT row, moment, facts.*,
           lag(occurred_at) OVER (PARTITION BY row ORDER BY place) AS previous_at,
           row_number() OVER (PARTITION BY row, asset ORDER BY place) AS use_of_asset
    FROM asked JOIN facts ON facts.lead_id = asked.lead_id AND occurred_at < moment AND known_at < moment
"""
