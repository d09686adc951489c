"""Whose facts are whose: merged and foreign ids, and people who asked to be left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.columns import Field, map_source
from mqlml.history.contract import TableAccount
from mqlml.history.layers import FAULT
from mqlml.history.session import quoted
from mqlml.history.setaside import count_faults, set_faults_aside, tell_stored_flags
from mqlml.history.typed import Typed, type_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqlml.config import Links, Source, Suppress
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

_LINKS = (Field("other_id", "id", required=True), Field("lead_id", "id", required=True), Field("valid_from", "time"))
_SUPPRESS = (Field("lead_id", "id", required=True),)
_LONGEST_CHAIN = 20


def read_small(
    session: Session,
    findings: Findings,
    raw: Raw,
    *,
    source: Source,
    fields: Sequence[Field],
    table: str,
    timezone: str | None,
) -> Typed | None:
    """Load a table that concerns no single lead into ``raw.<table>_rows``.

    Returns
    -------
    Typed or None
        Reads the stored rows, faulty ones included; None when the file cannot be used.
    """
    mapped = map_source(findings, raw, source, fields)
    if mapped is None:
        return None
    typed = type_table(session, findings, mapped, fields, table=table, source=source, timezone=timezone)
    if typed is None:
        return None
    relation = f"raw.{quoted(f'{table}_rows')}"
    session.run(f"CREATE TABLE {relation} AS {typed.sql}")
    return typed.over(relation)


def account_small(session: Session, findings: Findings, typed: Typed, *, source: Source) -> None:
    """Account for a table in which every good row is used, apart from repetitions."""
    raw = typed.raw
    tell_stored_flags(session, findings, typed)
    faults = count_faults(session, typed)
    quarantined = set_faults_aside(session, findings, typed, faults, share=source.max_quarantined_share)
    used = session.one(f"SELECT count(*) AS n FROM ({distinct_sql(typed)})")["n"]
    twice = raw.rows_in - quarantined - used
    skipped = {"duplicate": twice} if twice else {}
    findings.accounts.append(TableAccount(typed.table, raw.file, raw.rows_in, used, quarantined, skipped))


def distinct_sql(typed: Typed) -> str:
    """Select the good rows of a stored table, each once."""
    columns = ", ".join(quoted(c) for c in typed.columns)
    return f"SELECT DISTINCT {columns} FROM ({typed.sql}) WHERE {quoted(FAULT)} IS NULL"


def link_sql(sql: str, *, time: str) -> str:
    """Replace merged and foreign ids by the lead they belong to from ``valid_from`` on."""
    holds = f"l.lead_id IS NOT NULL AND (l.valid_from IS NULL OR t.{quoted(time)} >= l.valid_from)"
    return (
        f"(SELECT t.* REPLACE (CASE WHEN {holds} THEN l.lead_id ELSE t.lead_id END AS lead_id) "
        f"FROM ({sql}) AS t LEFT JOIN links AS l ON l.other_id = t.lead_id)"
    )


def no_overlap(findings: Findings, raw: Raw) -> None:
    """Refuse a file none of whose ids is a lead."""
    what = "none of its lead ids occurs among the leads"
    fix = f"check [{raw.section}] lead_id, and that both files come from the same system"
    findings.problem("no-overlap", raw.file, what, fix, count=raw.rows_in, total=raw.rows_in)


def read_links(session: Session, findings: Findings, raw: Raw, *, source: Links, timezone: str | None) -> bool:
    """Make ``links(other_id, lead_id, valid_from)``: one row per id, chains of merges followed to their end."""
    typed = read_small(session, findings, raw, source=source, fields=_LINKS, table="links", timezone=timezone)
    if typed is None:
        return False
    account_small(session, findings, typed, source=source)
    session.run(f"CREATE TABLE links AS SELECT * FROM ({distinct_sql(typed)}) WHERE other_id <> lead_id ORDER BY ALL")
    several = session.one("SELECT count(*) - count(DISTINCT other_id) AS n FROM links")["n"]
    if several:
        what = "an id belongs to several leads or has several dates"
        place = {"column": source.other_id, "count": several, "total": raw.rows_in}
        findings.problem("link-conflict", raw.file, what, "keep one row per id", **place)
        return False
    return _follow_chains(session, findings, raw)


def _follow_chains(session: Session, findings: Findings, raw: Raw) -> bool:
    step = (
        "UPDATE links SET lead_id = further.lead_id, valid_from = greatest(links.valid_from, further.valid_from) "
        "FROM links AS further WHERE further.other_id = links.lead_id"
    )
    open_ends = "SELECT count(*) AS n FROM links AS a JOIN links AS b ON b.other_id = a.lead_id"
    for _ in range(_LONGEST_CHAIN):
        if not session.one(open_ends)["n"]:
            return True
        session.run(step)
    findings.problem("link-cycle", raw.file, "ids are merged in a circle", "let every chain of merges end at one lead")
    return False


def read_suppressed(
    session: Session,
    findings: Findings,
    raw: Raw | None,
    *,
    source: Suppress | None,
    timezone: str | None,
    linked: bool,
) -> bool:
    """Make ``raw.suppressed(lead_id)``, merged ids included; True when it has rows."""
    session.run("CREATE TABLE raw.suppressed (lead_id VARCHAR)")
    if raw is None or source is None:
        return False
    typed = read_small(session, findings, raw, source=source, fields=_SUPPRESS, table="suppress", timezone=timezone)
    if typed is None:
        return False
    account_small(session, findings, typed, source=source)
    session.run(f"INSERT INTO raw.suppressed {distinct_sql(typed)}")
    if linked:
        session.run(
            "INSERT INTO raw.suppressed SELECT DISTINCT lead_id FROM links "
            "WHERE other_id IN (FROM raw.suppressed) AND lead_id NOT IN (FROM raw.suppressed)"
        )
    return bool(session.one("SELECT count(*) AS n FROM raw.suppressed")["n"])
