"""Outcomes made of deals, of columns of the leads, or of changes of their status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mqlml.history.columns import number_sql
from mqlml.history.discovery.deeds import changes_sql
from mqlml.history.discovery.people import PERSON, canonical_sql, column_sql, listed_sql, yes_sql
from mqlml.history.discovery.workshop import KEYED, LEAD, LEADS
from mqlml.history.session import literal, literals, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.discovery.recognising import Part
    from mqlml.history.discovery.words import Sorted
    from mqlml.history.discovery.workshop import Workshop

__all__ = ["customers", "lost_by_status", "outcomes_of_deals", "outcomes_of_leads"]

_EARLY = "decided_at < created_at"


def outcomes_of_deals(shop: Workshop, deals: Part, sorted_: Sorted | None) -> pa.Table:
    """One row for each lead of each deal: won, lost, or still open since it was opened.

    Parameters
    ----------
    shop : Workshop
        Counts the deals that are left out.
    deals : Part
    sorted_ : Sorted or None
        What the stages say; None where columns say whether a deal was won and closed.
    """
    value = number_sql(column_sql(deals, "value"), decimal=deals.table.source.decimal)
    shop.session.run(f"CREATE OR REPLACE TABLE raw.deal_people AS {_people_of(shop, deals)}")
    shop.session.run(
        f"CREATE OR REPLACE TABLE raw.deals AS SELECT {column_sql(deals, 'id')} AS deal, "
        f"{_outcome_sql(deals, sorted_)} AS outcome, {shop.utc(deals, deals.one('closed_at'))} AS closed_at, "
        f"{shop.utc(deals, deals.one('created_at'))} AS opened_at, {value} AS value, "
        f"{column_sql(deals, 'lost_reason')} AS lost_reason, {column_sql(deals, 'pipeline')} AS pipeline "
        f"FROM {deals.table.raw.relation} WHERE NOT {yes_sql(deals, 'deleted')}"
    )
    _join_leads(shop)
    return shop.session.table(
        "SELECT lead_id, outcome, timezone('UTC', decided_at) AS decided_at, timezone('UTC', opened_at) AS opened_at, "
        "value, lost_reason, pipeline, opportunity_id, is_primary FROM raw.decided "
        f"WHERE NOT coalesce({_EARLY}, false) AND (outcome IS NOT NULL OR opened_at IS NOT NULL) ORDER BY ALL"
    )


def _join_leads(shop: Workshop) -> None:
    """Join deals to leads; those closed before their lead was there, and those of nobody, are counted."""
    key = canonical_sql("deal", short=shop.short)
    shop.session.run(
        f"CREATE OR REPLACE TABLE raw.decided AS SELECT l.lead_id, d.outcome, "
        # a date without a time is that day, not its first moment
        "CASE WHEN d.outcome IS NULL THEN NULL WHEN d.closed_at < l.created_at AND "
        "d.closed_at + INTERVAL 1 DAY > l.created_at THEN l.created_at ELSE d.closed_at END AS decided_at, "
        "d.opened_at, d.value, CASE WHEN d.outcome = 'lost' THEN d.lost_reason END AS lost_reason, d.pipeline, "
        "d.deal AS opportunity_id, bool_or(r.is_primary) AS is_primary, l.created_at "
        f"FROM (SELECT *, {key} AS key FROM raw.deals) AS d JOIN raw.deal_people AS r ON r.key = d.key "
        f"JOIN {KEYED} ON {shop.lead_sql('r.person')} JOIN {LEADS} AS l ON l.lead_id = {LEAD} GROUP BY ALL"
    )
    counts = shop.session.one(
        f"SELECT count(*) FILTER ({_EARLY}) AS early, (SELECT count(*) FROM raw.deals WHERE deal NOT IN "
        "(SELECT opportunity_id FROM raw.decided)) AS strange FROM raw.decided"
    )
    shop.count("deals closed before their lead was created", counts["early"])
    shop.count("deals of nobody among the leads", counts["strange"])


def _people_of(shop: Workshop, deals: Part) -> str:
    """Every way in which the folder says whose deal a deal is."""
    leads, parts = shop.leads, []
    if leads.one("deal_id") is not None:
        parts.append(
            f"SELECT {column_sql(leads, 'deal_id')} AS deal, {column_sql(leads, 'id')} AS person, true AS is_primary "
            f"FROM {leads.table.raw.relation}"
        )
    for part in shop.found.of("deal_people"):
        rows = f"{listed_sql(part, 'person_ids')} WHERE NOT {yes_sql(part, 'deleted')}"
        parts += [
            f"SELECT {column_sql(part, 'deal_id')} AS deal, {PERSON} AS person, "
            f"{yes_sql(part, 'is_primary')} AS is_primary FROM {rows}"
        ]
    if "person_ids" in deals.roles:
        rows = listed_sql(deals, "person_ids")
        parts.append(f"SELECT {column_sql(deals, 'id')} AS deal, {PERSON} AS person, false AS is_primary FROM {rows}")
    key = canonical_sql("deal", short=shop.short)
    return f"SELECT {key} AS key, person, is_primary FROM ({' UNION ALL '.join(parts)}) WHERE deal IS NOT NULL"


def _outcome_sql(deals: Part, sorted_: Sorted | None) -> str:
    if sorted_ is None:
        closed = yes_sql(deals, "closed") if deals.one("closed") is not None else "false"
        return f"CASE WHEN {yes_sql(deals, 'won')} THEN 'won' WHEN {closed} THEN 'lost' END"
    cases = [
        f"WHEN {column_sql(deals, 'stage')} IN ({literals(list(words))}) THEN '{label}'"
        for words, label in ((sorted_.won, "won"), (sorted_.lost, "lost"))
        if words
    ]
    return f"CASE {' '.join(cases)} END"


def outcomes_of_leads(shop: Workshop, column: str, sorted_: Sorted, roles: Mapping[str, str | None]) -> pa.Table:
    """Rows of the leads that are decided, where their column also holds words of open leads."""
    leads = shop.leads
    words = [*sorted_.won, *sorted_.lost, *sorted_.ignore]
    text = {role: "NULL::VARCHAR" if name is None else f"{quoted(name)}::VARCHAR" for role, name in roles.items()}
    value = number_sql(f"trim({text['value']})", decimal=leads.table.source.decimal)
    said = f"trim({quoted(column)}::VARCHAR)"
    return shop.session.table(
        f"SELECT {column_sql(leads, 'id')} AS lead_id, {said} AS outcome, "
        f"timezone('UTC', {shop.utc(leads, roles['decided_at'])}) AS decided_at, "
        f"timezone('UTC', {shop.utc(leads, roles['opened_at'])}) AS opened_at, {value} AS value, "
        f"{text['lost_reason']} AS lost_reason, {text['pipeline']} AS pipeline FROM {shop.lead_rows} "
        f"AND {said} IN ({literals(words)}) ORDER BY ALL"
    )


def customers(shop: Workshop, column: str) -> pa.Table:
    """Wins of leads that only say when they became customers."""
    at = shop.utc(shop.leads, column)
    return shop.session.table(
        f"SELECT {column_sql(shop.leads, 'id')} AS lead_id, 'won' AS outcome, timezone('UTC', {at}) AS decided_at "
        f"FROM {shop.lead_rows} AND ({at}) IS NOT NULL ORDER BY ALL"
    )


def lost_by_status(shop: Workshop, status: str, words: Sequence[str]) -> pa.Table:
    """Losses that a history of changes dates: leads whose status still says so, and when it last became so."""
    said = f"trim({quoted(status)}::VARCHAR)"
    union = " UNION ALL ".join(changes_sql(shop, part) for part in shop.found.of("changes"))
    return shop.session.table(
        f"SELECT c.lead_id, 'lost' AS outcome, timezone('UTC', max(c.changed_at)) AS decided_at FROM ({union}) AS c "
        f"JOIN (SELECT {column_sql(shop.leads, 'id')} AS lead_id, {said} AS said FROM {shop.lead_rows}) AS l "
        f"ON l.lead_id = c.lead_id AND l.said = c.value WHERE lower(c.field) = lower({literal(status)}) "
        f"AND l.said IN ({literals(list(words))}) GROUP BY ALL ORDER BY ALL"
    )
