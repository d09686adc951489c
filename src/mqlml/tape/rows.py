"""The rows of a tape as SQL: one query each for marks, events, changes and creations; and the codes they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.columns import number_of_id_sql
from mqlml.tape.state import BEGINNING_US, CHANGE, CREATED, EVENT, FIRST_VALUE, MARK, SKIPPED

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet

COLUMNS = "key, time, kind, lead, type, asset, channel, value, known"

LEVELS = """
CREATE TEMP TABLE tape_levels AS
SELECT type, value, (row_number() OVER (PARTITION BY type ORDER BY value) - 1)::DOUBLE AS code
FROM (SELECT DISTINCT type, value FROM tape_values WHERE NOT is_number AND value IS NOT NULL)
"""

MARK_ROWS = f"""
SELECT key, time, {MARK}::TINYINT, lead, -1::INTEGER, position, -1::INTEGER, 0::DOUBLE, time
FROM tape_marks JOIN tape_leads USING (lead_id)
"""

CHANGE_ROWS = f"""
SELECT v.key, v.time, {CHANGE}::TINYINT, v.lead, v.type, CASE WHEN v.is_first THEN {FIRST_VALUE} ELSE -1 END::BIGINT,
       -1::INTEGER, coalesce(v.number, l.code), v.time
FROM tape_values v LEFT JOIN tape_levels l ON NOT v.is_number AND l.type = v.type AND l.value = v.value
"""


def leads_table(features: FeatureSet) -> str:
    """The leads on the tape with their key and rank: those with marks, and all of their accounts where these count."""
    marked = "lead_id IN (SELECT lead_id FROM tape_marks)"
    there = f"{marked} OR account_id IN (SELECT account_id FROM tape_history_leads WHERE {marked})"
    return f"""
    CREATE TEMP TABLE tape_leads AS
    SELECT lead_id, {number_of_id_sql("lead_id")} AS lead_number, is_alone, created, is_marked,
           (dense_rank() OVER (ORDER BY is_alone, name) - 1)::INTEGER AS key,
           (row_number() OVER (PARTITION BY is_alone, name ORDER BY lead_id) - 1)::INTEGER AS lead
    FROM (SELECT lead_id, account_id IS NULL AS is_alone, coalesce(account_id, lead_id) AS name,
                 epoch_us(created_at) AS created, {marked} AS is_marked
          FROM tape_history_leads WHERE {there if features.watches_accounts else marked})
    """


def assets_table(features: FeatureSet) -> str:
    """The code of each asset: the named ones by their place, then every other one in order."""
    named = len(features.named_assets) if features.counts_assets else 0
    return f"""
    CREATE TEMP TABLE tape_assets AS
    SELECT asset, coalesce(n.code, {named} - 1 + row_number() OVER (PARTITION BY n.code IS NULL ORDER BY asset)) AS code
    FROM (SELECT DISTINCT asset FROM events WHERE asset IS NOT NULL) LEFT JOIN tape_named_assets n USING (asset)
    """


def values_table(features: FeatureSet, parts: list[str], *, with_stages: bool) -> str:
    """The values of the fields that have a history, and the stages as one more field.

    Parameters
    ----------
    features : FeatureSet
    parts : list of str
        Queries for lead_id, field, time and value (text).
    with_stages : bool
    """
    if not parts:
        parts = ["SELECT lead_id, field, 0::BIGINT AS time, value FROM tape_attributes WHERE false"]
    stages = f"""
    UNION ALL
    SELECT l.key, l.lead, {len(features.history_attributes)}::INTEGER, false, epoch_us(s.entered_at), s.stage, NULL,
           false
    FROM stages s JOIN tape_leads l ON l.lead_id = s.lead_id AND l.is_marked
    """
    return f"""
    CREATE TEMP TABLE tape_values AS
    SELECT l.key, l.lead, f.type, f.is_number, v.time, v.value,
           CASE WHEN f.is_number AND isfinite(v.number) THEN v.number END AS number,
           v.time <= coalesce(l.created, {BEGINNING_US}) AS is_first
    FROM (SELECT *, TRY_CAST(value AS DOUBLE) AS number FROM ({" UNION ALL ".join(parts)})) v
    JOIN tape_fields f ON f.field = v.field
    JOIN tape_leads l ON l.lead_id = v.lead_id AND l.is_marked
    {stages if with_stages else ""}
    """


CHANGED_VALUES = "SELECT lead_id, field, epoch_us(changed_at) AS time, value FROM changes"

OLD_VALUES = f"""
SELECT lead_id, field, {BEGINNING_US}::BIGINT, old_value FROM changes WHERE has_old_value
QUALIFY row_number() OVER (PARTITION BY lead_id, field
    ORDER BY changed_at, value NULLS FIRST, old_value NULLS FIRST) = 1
"""

UNCHANGED_VALUES = f"""
SELECT lead_id, field, {BEGINNING_US}::BIGINT, value
FROM tape_attributes ANTI JOIN changes USING (lead_id, field)
WHERE field IN (SELECT DISTINCT field FROM changes WHERE has_old_value)
"""


def event_columns(features: FeatureSet, *, late: bool) -> tuple[str, ...]:
    """The columns that ``event_rows`` fills; in the others every event has the same, which need not be carried along.

    Parameters
    ----------
    features : FeatureSet
    late : bool
        Whether any event was recorded later than it happened.
    """
    filled = {
        "kind": features.knows_agents,
        "asset": features.tells_assets,
        "channel": features.uses_channels,
        "value": bool(features.valued_types),
        "known": late,
    }
    return ("key", "time", "lead", "type", *(name for name, is_filled in filled.items() if is_filled))


def event_rows(features: FeatureSet, *, end: int, numbered: bool) -> str:
    """What the leads did before ``end`` (microseconds); a fact is never known before it happened.

    Where the ids of the events are ``numbered`` (whole numbers in their file) leads are found by number.
    """
    lead = "lead_number" if numbered else "lead_id"
    asset = "coalesce(a.code, -1)::BIGINT" if features.tells_assets else "-1::BIGINT"
    assets = "LEFT JOIN tape_assets a ON a.asset = e.asset" if features.tells_assets else ""
    beyond = f"CASE WHEN e.channel IS NULL THEN -1 ELSE {len(features.channels)} END"
    channel = f"coalesce(c.code, {beyond})::INTEGER" if features.uses_channels else "-1::INTEGER"
    channels = "LEFT JOIN tape_channels c ON c.channel = e.channel" if features.uses_channels else ""
    return f"""
    SELECT l.key, epoch_us(e.occurred_at), {_event_kind(features)}::TINYINT, l.lead,
           coalesce(t.code, {len(features.event_types)})::INTEGER, {asset}, {channel},
           CASE WHEN isfinite(e.value) THEN e.value ELSE 0 END,
           epoch_us(greatest(e.recorded_at, e.occurred_at))
    FROM events e JOIN tape_leads l ON l.{lead} = e.{lead}
    LEFT JOIN tape_types t ON t.event_type = e.event_type {assets} {channels}
    WHERE e.occurred_at < make_timestamp({end}) AND coalesce(t.code, 0) >= 0
    """


def _event_kind(features: FeatureSet) -> str:
    if features.traffic is None or not features.knows_agents:
        return str(EVENT)
    pattern = features.traffic.agent_pattern.replace("'", "''")
    return f"CASE WHEN regexp_matches(e.agent, '{pattern}', 'i') THEN {SKIPPED} ELSE {EVENT} END"


def created_rows(*, end: int) -> str:
    """When the leads of accounts were created, before ``end`` (microseconds)."""
    return f"""
    SELECT key, created, {CREATED}::TINYINT, lead, -1::INTEGER, -1::BIGINT, -1::INTEGER, 0::DOUBLE, created
    FROM tape_leads WHERE NOT is_alone AND created < {end}
    """
