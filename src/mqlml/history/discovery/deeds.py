"""Events, changes, stages and hand-overs under the ids of the leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mqlml.history.discovery.people import PERSON, column_sql, listed_sql, no_sql, yes_sql
from mqlml.history.discovery.workshop import KEYED, LEAD, LEADS
from mqlml.history.presets import folded
from mqlml.history.session import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.discovery.looking import Table
    from mqlml.history.discovery.recognising import Part
    from mqlml.history.discovery.workshop import Workshop

__all__ = ["changes_sql", "events", "handovers", "history", "known_columns", "stages"]


def known_columns(table: Table, options: Sequence[str]) -> list[str]:
    """Columns of a table that go by one of several names, in the order of the names."""
    names = {folded(name): name for name in table.columns}
    return [names[folded(option)] for option in options if folded(option) in names]


def changes_sql(shop: Workshop, part: Part) -> str:
    """Select ``lead_id``, ``changed_at``, ``field``, ``value`` and ``old_value``."""
    return (
        f"SELECT {LEAD} AS lead_id, {shop.first_utc(part, part.roles['changed_at'])} AS changed_at, "
        f"{column_sql(part, 'field')} AS field, {column_sql(part, 'value')} AS value, "
        f"{column_sql(part, 'old_value')} AS old_value FROM {listed_sql(part, 'person_ids')} "
        f"JOIN {KEYED} ON {shop.lead_sql(PERSON)}"
    )


def history(shop: Workshop, parts: Sequence[Part], fields: Sequence[str]) -> pa.Table:
    """Changes of the fields that the leads have as columns, under the columns' names."""
    union = " UNION ALL ".join(changes_sql(shop, part) for part in parts)
    names = ", ".join(f"({literal(folded(name))}, {literal(name)})" for name in fields)
    same = "regexp_replace(lower(c.field), '[\\W_]+', '', 'g')"
    return shop.session.table(
        "SELECT c.lead_id, timezone('UTC', c.changed_at) AS changed_at, f.name AS field, c.value, c.old_value "
        f"FROM ({union}) AS c JOIN (VALUES {names}) AS f(key, name) ON f.key = {same} "
        "WHERE c.changed_at IS NOT NULL ORDER BY ALL"
    )


def stages(shop: Workshop, parts: Sequence[Part], status: str | None) -> pa.Table | None:
    """When leads entered stages, by columns that say so and by changes of their status; None where nothing does."""
    leads = shop.leads
    selects = [
        f"SELECT {column_sql(leads, 'id')} AS lead_id, {literal(stage)} AS stage, "
        f"{shop.utc(leads, column, whole_day=True)} AS entered_at FROM {leads.table.raw.relation}"
        for stage, options in leads.layout.stages.items()
        for column in known_columns(leads.table, options)[:1]
    ]
    if status is not None and parts:
        union = " UNION ALL ".join(changes_sql(shop, part) for part in parts)
        selects.append(
            f"SELECT lead_id, value AS stage, changed_at AS entered_at FROM ({union}) "
            f"WHERE lower(field) = lower({literal(status)})"
        )
    if not selects:
        return None
    table = shop.session.table(
        "SELECT DISTINCT lead_id, stage, timezone('UTC', entered_at) AS entered_at "
        f"FROM ({' UNION ALL '.join(selects)}) JOIN {LEADS} USING (lead_id) "
        "WHERE entered_at IS NOT NULL AND stage IS NOT NULL ORDER BY ALL"
    )
    return table if table.num_rows else None


def handovers(shop: Workshop, parts: Sequence[Part]) -> pa.Table | None:
    """When leads went to sales: the time their history tells, else the day that the lead itself names."""
    leads = shop.leads
    column = leads.one("converted_at")
    if column is None:
        return None
    union = " UNION ALL ".join(changes_sql(shop, part) for part in parts)
    told = (
        f"SELECT lead_id, min(changed_at) AS at FROM ({union}) "
        "WHERE lower(field) IN ('leadconverted', 'converted') GROUP BY lead_id"
        if parts
        else "SELECT NULL::VARCHAR AS lead_id, NULL::TIMESTAMP AS at"
    )
    # a date without a time may lie before a lead that was created later on the same day
    at = "CASE WHEN l.at < k.created_at AND l.at + INTERVAL 1 DAY > k.created_at THEN k.created_at ELSE l.at END"
    table = shop.session.table(
        f"SELECT l.lead_id, timezone('UTC', coalesce(t.at, {at})) AS handed_at, 'other' AS by "
        f"FROM (SELECT {column_sql(leads, 'id')} AS lead_id, min({shop.utc(leads, column)}) AS at "
        f"FROM {shop.lead_rows} GROUP BY ALL) AS l JOIN {LEADS} AS k USING (lead_id) "
        f"LEFT JOIN ({told}) AS t USING (lead_id) WHERE l.at IS NOT NULL ORDER BY ALL"
    )
    return table if table.num_rows else None


def events(shop: Workshop, parts: Sequence[Part]) -> pa.Table:
    """What leads did, from all tables of activities; rows of nobody among the leads are counted."""
    union = " UNION ALL ".join(sql for part in parts for sql in _facts(shop, part))
    shop.session.run(f"CREATE OR REPLACE TABLE raw.found_events AS {union}")
    counts = shop.session.one(
        "SELECT count(*) FILTER (lead_id IS NULL) AS strange, "
        "count(*) FILTER (lead_id IS NOT NULL AND occurred_at IS NULL) AS timeless FROM raw.found_events"
    )
    shop.count("activities of nobody among the leads", counts["strange"])
    shop.count("activities without a time", counts["timeless"])
    return shop.session.table(
        "SELECT lead_id, timezone('UTC', occurred_at) AS occurred_at, timezone('UTC', recorded_at) AS recorded_at, "
        "event_type, channel, asset, campaign FROM raw.found_events "
        "WHERE lead_id IS NOT NULL AND occurred_at IS NOT NULL AND event_type IS NOT NULL ORDER BY ALL"
    )


def _facts(shop: Workshop, part: Part) -> Iterator[str]:
    """A select for each event that a row of the table tells."""
    types = [f"nullif(trim({quoted(name)}::VARCHAR), '')" for name in part.roles.get("event_type", ())]
    usual = f"coalesce({', '.join([*types, literal(part.layout.fallback_type or part.table.stem)])})"
    if not part.layout.facts:
        yield _select(shop, part, usual, part.roles["occurred_at"])
    for fact in part.layout.facts:
        if times := known_columns(part.table, fact.occurred_at):
            told = _select(shop, part, literal(fact.event_type), times)
            yield f"SELECT * FROM ({told}) WHERE occurred_at IS NOT NULL"


def _select(shop: Workshop, part: Part, event_type: str, times: Sequence[str]) -> str:
    recorded = part.one("recorded_at")
    return (
        f"SELECT {LEAD} AS lead_id, {shop.first_utc(part, times)} AS occurred_at, "
        f"{shop.utc(part, recorded)} AS recorded_at, {event_type} AS event_type, "
        f"{column_sql(part, 'channel')} AS channel, {column_sql(part, 'asset')} AS asset, "
        f"{column_sql(part, 'campaign')} AS campaign FROM {listed_sql(part, 'person_ids')} "
        f"LEFT JOIN {KEYED} ON {shop.lead_sql(PERSON)} "
        f"WHERE NOT {yes_sql(part, 'deleted')} AND NOT {no_sql(part, 'happened')}"
    )
