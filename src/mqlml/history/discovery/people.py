"""Whose ids belong to which lead: merged records, contacts that leads became, and people of other systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mqlml.history.columns import text_sql
from mqlml.history.session import Session, literal, quoted

if TYPE_CHECKING:
    from mqlml.history.discovery.recognising import Part, Recognised

__all__ = [
    "PEOPLE",
    "PERSON",
    "canonical_sql",
    "column_sql",
    "leads_where",
    "link_people",
    "listed_sql",
    "no_sql",
    "yes_sql",
]

PEOPLE = "raw.people"
"""Relation ``other`` (an id as it is written), ``key`` (the form in which ids are compared), ``lead_id``."""

PERSON = '"mqlml:person"'
"""Column of a relation with one row for each id that a cell lists."""

YES = "('true', 'yes', 'ja', 't', 'y', '1')"
_LONGEST_CHAIN = 20


def column_sql(part: Part, role: str) -> str:
    """The best column of a role as trimmed text, null where there is none."""
    name = part.one(role)
    return "NULL::VARCHAR" if name is None else f"trim({text_sql(name, part.table.raw.columns[name])})"


def yes_sql(part: Part, role: str) -> str:
    """Whether a column says yes."""
    return f"coalesce(lower({column_sql(part, role)}) IN {YES}, false)"


def no_sql(part: Part, role: str) -> str:
    """Whether a column exists and does not say yes."""
    return "false" if part.one(role) is None else f"NOT {yes_sql(part, role)}"


def canonical_sql(sql: str, *, short: bool) -> str:
    """The form in which ids are compared: where a system shortens its ids, their first 15 characters."""
    return (
        f"CASE WHEN regexp_full_match({sql}, '[A-Za-z0-9]{{18}}') THEN left({sql}, 15) ELSE {sql} END" if short else sql
    )


def listed_sql(part: Part, role: str) -> str:
    """Rows of one id each, ``PERSON`` beside the table's own columns, from cells that may list several."""
    names = part.roles.get(role, ())
    texts = [f"trim({text_sql(name, part.table.raw.columns[name])})" for name in names]
    both = (
        f"concat_ws(';', {', '.join(texts)})"
        if role in ("other_ids", "merged_ids")
        else f"coalesce({', '.join(texts)})"
    )
    cells = f"regexp_split_to_array({both}, '[;,|]\\s*')"
    # merged ids may stand with their time, as 123:1690000000000
    one = "split_part(cell, ':', 1)" if role == "merged_ids" else "cell"
    return (
        f"(SELECT * EXCLUDE (cell), trim({one}) AS {PERSON} "
        f"FROM (SELECT *, unnest({cells}) AS cell FROM {part.table.raw.relation}) WHERE trim(cell) <> '')"
    )


def leads_where(part: Part) -> str | None:
    """The condition under which a row of the leads is a lead of its own: neither merged into another nor deleted."""
    conditions = []
    if (merged := part.one("merged_into")) is not None:
        blank = "" if part.table.raw.is_text else f" OR trim({quoted(merged)}::VARCHAR) = ''"
        conditions.append(f"({quoted(merged)} IS NULL{blank})" if blank else f"{quoted(merged)} IS NULL")
    if (deleted := part.one("deleted")) is not None:
        profile = part.table.columns[deleted]
        numbers = profile.numbers == profile.filled > 0
        said = (
            f"coalesce({quoted(deleted)} = 1, false)"
            if numbers
            else f"lower(coalesce({quoted(deleted)}::VARCHAR, '')) IN {YES}"
        )
        conditions.append(f"NOT {said}")
    return " AND ".join(conditions) or None


def link_people(session: Session, found: Recognised, *, since: str, match_email: bool) -> dict[str, int]:
    """Make the relation ``PEOPLE``: every known id of a person and the lead it belongs to.

    Where several leads became one contact, the contact's events are those of the lead that came first: what a lead
    did moves to the contact as it is converted.

    Parameters
    ----------
    session : Session
    found : Recognised
        With leads.
    since : str
        When a lead was created, as SQL over their relation.
    match_email : bool
        Also take people with the same e-mail address for the same person.

    Returns
    -------
    dict of str to int
        Ids linked to a lead, by how they were found; "unlinked" are ids of people who are no leads.
    """
    leads = found.leads
    assert leads is not None
    short = any(part.layout.short_ids for part in (leads, *found.of("people"), *found.of("contacts")))
    own = column_sql(leads, "id")
    where = leads_where(leads) or "true"
    session.run(
        f"CREATE OR REPLACE TABLE {PEOPLE} AS SELECT lead_id AS other, {canonical_sql('lead_id', short=short)} AS key, "
        f"min(lead_id) OVER (PARTITION BY {canonical_sql('lead_id', short=short)}) AS lead_id FROM "
        f"(SELECT DISTINCT {own} AS lead_id FROM {leads.table.raw.relation} WHERE {where}) WHERE lead_id IS NOT NULL"
    )
    session.run(
        "CREATE OR REPLACE TABLE raw.edges (how VARCHAR, rank INTEGER, other VARCHAR, target VARCHAR, since VARCHAR)"
    )
    for rank, (how, sql) in enumerate(_edges(found, own=own, since=since, match_email=match_email)):
        session.run(
            f"INSERT INTO raw.edges SELECT {literal(how)}, {rank}, trim(other), trim(target), since::VARCHAR "
            f"FROM ({sql}) "
            "WHERE trim(other) <> '' AND trim(target) <> ''"
        )
    return _follow(session, short=short)


def _edges(found: Recognised, *, own: str, since: str, match_email: bool) -> Iterator[tuple[str, str]]:
    leads = found.leads
    assert leads is not None
    for part in (leads, *found.of("people"), *found.of("contacts")):
        relation, here = part.table.raw.relation, column_sql(part, "id")
        if part.one("merged_into") is not None:
            yield (
                "merged",
                f"SELECT {here} AS other, {column_sql(part, 'merged_into')} AS target, NULL AS since FROM {relation}",
            )
        if part.one("merged_ids") is not None:
            yield (
                "merged",
                f"SELECT {PERSON} AS other, {here} AS target, NULL AS since FROM {listed_sql(part, 'merged_ids')}",
            )
    if "other_ids" in leads.roles:
        yield (
            "converted",
            f"SELECT {PERSON} AS other, {own} AS target, {since} AS since FROM {listed_sql(leads, 'other_ids')}",
        )
    for part in found.of("people"):
        if "other_ids" in part.roles:
            rows = listed_sql(part, "other_ids")
            yield (
                "other system",
                f"SELECT {column_sql(part, 'id')} AS other, {PERSON} AS target, NULL AS since FROM {rows}",
            )
    if match_email and leads.one("email") is not None:
        mail = f"lower({column_sql(leads, 'email')})"
        everyone = leads.table.raw.relation
        first = f"SELECT {mail} AS mail, arg_min({own}, ({since}, {own})) AS lead FROM {everyone} GROUP BY 1"
        for part in (*found.of("people"), *found.of("contacts")):
            if part.one("email") is not None:
                theirs = f"lower({column_sql(part, 'email')})"
                yield (
                    "e-mail",
                    f"SELECT {column_sql(part, 'id')} AS other, lead AS target, NULL AS since "
                    f"FROM {part.table.raw.relation} JOIN ({first}) AS f ON f.mail = {theirs}",
                )


def _follow(session: Session, *, short: bool) -> dict[str, int]:
    """Follow every id to its lead, the surest way first."""
    key, target = canonical_sql("other", short=short), canonical_sql("target", short=short)
    session.run(
        f"CREATE OR REPLACE TABLE raw.steps AS SELECT how, other, {key} AS key, {target} AS target, rank, since "
        f"FROM raw.edges WHERE {key} <> {target} AND {key} NOT IN (SELECT key FROM {PEOPLE})"
    )
    for _ in range(_LONGEST_CHAIN):
        before = session.one(f"SELECT count(*) AS n FROM {PEOPLE}")["n"]
        session.run(
            f"INSERT INTO {PEOPLE} SELECT other, s.key, p.lead_id FROM raw.steps AS s "
            f"JOIN (SELECT DISTINCT key, lead_id FROM {PEOPLE}) AS p ON p.key = s.target "
            f"WHERE s.key NOT IN (SELECT key FROM {PEOPLE}) "
            "QUALIFY row_number() OVER (PARTITION BY s.key ORDER BY s.rank, s.since NULLS LAST, p.lead_id) = 1"
        )
        if session.one(f"SELECT count(*) AS n FROM {PEOPLE}")["n"] == before:
            break
    rows = session.rows(
        "SELECT how, count(*) AS n FROM (SELECT DISTINCT how, key FROM raw.steps WHERE key IN "
        f"(SELECT key FROM {PEOPLE})) GROUP BY ALL ORDER BY how"
    )
    found = {row["how"]: row["n"] for row in rows}
    lost = session.one(f"SELECT count(DISTINCT key) AS n FROM raw.steps WHERE key NOT IN (SELECT key FROM {PEOPLE})")[
        "n"
    ]
    return found | ({"unlinked": lost} if lost else {})
