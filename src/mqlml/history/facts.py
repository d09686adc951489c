"""What happened to leads: events, changes of their attributes, stages, hand-overs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mqlml.history.columns import Field, map_source
from mqlml.history.contract import HANDOVERS, TableAccount
from mqlml.history.identities import account_small, distinct_sql, read_small
from mqlml.history.leads import STATUS, UNKNOWN, USED
from mqlml.history.outcomes import link_sql, no_overlap
from mqlml.history.session import quoted
from mqlml.history.typed import FAULT, Typed, set_faults_aside, tell_flags, type_table

if TYPE_CHECKING:
    from mqlml.config import Config, Source
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

EVENTS = (
    Field("lead_id", "id", required=True),
    Field("occurred_at", "time", required=True, whole_day=True),
    Field("recorded_at", "time", whole_day=True),
    Field("event_type", "text", required=True),
    Field("value", "number"),
    Field("channel", "text"),
    Field("asset", "text"),
    Field("campaign", "text"),
)
CHANGES = (
    Field("lead_id", "id", required=True),
    Field("changed_at", "time", required=True, whole_day=True),
    Field("field", "text", required=True),
    Field("value", "text"),
    Field("old_value", "text"),
)
STAGES = (
    Field("lead_id", "id", required=True),
    Field("stage", "text", required=True),
    Field("entered_at", "time", required=True, whole_day=True),
    Field("pipeline", "text"),
)
HANDED = (
    Field("lead_id", "id", required=True),
    Field("handed_at", "time", required=True),
    Field("by", "text"),
    Field("recipient", "text"),
    Field("accepted_at", "time"),
    Field("rejected_at", "time"),
    Field("reason", "text"),
    Field("first_touch_at", "time"),
    Field("policy_version", "text"),
)
SPEND = (
    Field("campaign", "text", required=True),
    Field("period_start", "time", required=True),
    Field("cost", "number", required=True),
)
HANDED_BY = ("policy", "control", "rule", "override", "other")


@dataclass(frozen=True)
class Circumstances:
    """What the tables of facts share: whether ids are linked or suppressed, and the zone of naive times."""

    linked: bool
    suppressed: bool
    timezone: str | None


def read_facts(
    session: Session, findings: Findings, raw: Raw, *, source: Source, fields: Sequence[Field], table: str, time: str,
    around: Circumstances,
) -> bool:  # fmt: skip
    """Check a table of facts in one scan and make it a relation of the session: a view, or a table for CSV.

    Returns
    -------
    bool
        Whether the relation exists now.
    """
    mapped = map_source(findings, raw, source, fields)
    if mapped is None:
        return False
    typed = type_table(session, findings, mapped, fields, table=table, source=source, timezone=around.timezone)
    if typed is None:
        return False
    if raw.is_text:
        rows = f"raw.{quoted(f'{table}_rows')}"
        session.run(f"CREATE TABLE {rows} AS {typed.sql}")
        typed = typed.over(rows)
    linked = typed
    if around.linked:
        linked = Typed(table, raw, f"SELECT * FROM {link_sql(typed.sql, time=time)}", typed.columns, typed.faults, typed.flags)
    groups = _scan(session, linked, time=time, by_type=table == "events")
    clean = _account(session, findings, linked, groups, source=source)
    _tell(findings, linked, groups, source=source)
    constants = ["has_old_value"] if table == "changes" else []
    has_old = str(mapped.columns.get("old_value") is not None).lower()
    columns = ", ".join([*map(quoted, typed.columns), *(f"{has_old} AS {name}" for name in constants)])
    good = [] if clean else [f"{quoted(FAULT)} IS NULL"]
    if around.suppressed:
        good.append("lead_id NOT IN (SELECT lead_id FROM raw.suppressed)")
    where = f" WHERE {' AND '.join(good)}" if good else ""
    made = "TABLE" if raw.is_text else "VIEW"
    session.run(f"CREATE {made} {quoted(table)} AS SELECT {columns} FROM ({linked.sql}){where}")
    return True


def _scan(session: Session, typed: Typed, *, time: str, by_type: bool) -> list[dict[str, Any]]:
    """Everything to be told about a table of facts, in one pass over it."""
    kind = "event_type" if by_type else "NULL"
    return session.rows(
        f"SELECT t.{quoted(FAULT)} AS fault, coalesce(k.status, {UNKNOWN}) AS status, {kind} AS kind, t.lead_id IS NULL AS blank, "
        f"count(*) AS n, min(t.{quoted(time)}) AS first, max(t.{quoted(time)}) AS last, "
        f"count(*) FILTER (t.{quoted(time)} < k.created_at) AS early{typed.flag_counts()} "
        f"FROM ({typed.sql}) AS t LEFT JOIN raw.known AS k ON k.lead_id = t.lead_id GROUP BY ALL"
    )


def _account(
    session: Session, findings: Findings, typed: Typed, groups: list[dict[str, Any]], *, source: Source
) -> bool:
    """Account for every row; True when no row is faulty."""
    raw = typed.raw
    faults: dict[int, int] = {}
    skipped: dict[str, int] = {}
    used = 0
    for group in groups:
        if group["fault"] is not None and (group["blank"] or group["status"] == USED):
            faults[group["fault"]] = faults.get(group["fault"], 0) + group["n"]
        elif group["status"] != USED:
            reason = STATUS[group["status"]]
            skipped[reason] = skipped.get(reason, 0) + group["n"]
        else:
            used += group["n"]
    only = f"lead_id IS NULL OR lead_id IN (SELECT lead_id FROM raw.known WHERE status = {USED})"
    faults = dict(sorted(faults.items()))
    quarantined = set_faults_aside(session, findings, typed, faults, share=source.max_quarantined_share, only=only)
    findings.accounts.append(TableAccount(typed.table, raw.file, raw.rows_in, used, quarantined, dict(sorted(skipped.items()))))
    _refuse_strangers(findings, raw, skipped.get(STATUS[UNKNOWN], 0), source)
    return all(group["fault"] is None for group in groups)


def _refuse_strangers(findings: Findings, raw: Raw, unknown: int, source: Source) -> None:
    share = getattr(source, "max_unknown_share", None)
    if raw.rows_in and unknown == raw.rows_in:
        no_overlap(findings, raw)
    elif share is not None and unknown > share * raw.rows_in:
        findings.problem(
            "unknown-leads", raw.file, f"they belong to leads that are not in the leads file (at most {share:.0%} may)",
            f"check the ids, add [links], or raise [{raw.section}] max_unknown_share", count=unknown, total=raw.rows_in,
        )  # fmt: skip
    elif unknown:
        findings.note(f"{raw.file}: {unknown:,} of {raw.rows_in:,} rows belong to leads that are not in the leads file.")


def _tell(findings: Findings, typed: Typed, groups: list[dict[str, Any]], *, source: Source) -> None:
    raw = typed.raw
    tell_flags(findings, typed, [sum(g[f"flag{i}"] for g in groups) for i in range(len(typed.flags))])
    if not raw.rows_in:
        findings.note(f"{raw.file} has no rows.")
    early = sum(g["early"] for g in groups if g["status"] == USED and g["fault"] is None)
    if early:
        findings.note(f"{raw.file}: {early:,} rows lie before their lead was created; they count, as anonymous visits do.")
    if typed.table == "events":
        types = {g["kind"] for g in groups}
        for name in (*getattr(source, "by_sales", ()), *getattr(source, "use", ())):
            if name not in types and raw.rows_in:
                findings.note(f"{raw.file}: no event has the type '{name}' that [events] by_sales or use names.")


def read_handovers(
    session: Session, findings: Findings, raw: Raw, *, source: Source, around: Circumstances
) -> pa.Table | None:
    """Read the hand-overs into Arrow, sorted by lead and time; None when the file cannot be used."""
    made = read_facts(
        session, findings, raw, source=source, fields=HANDED, table="handovers", time="handed_at", around=around
    )
    if not made:
        return None
    words = ", ".join(f"'{word}'" for word in HANDED_BY)
    other = session.one(f'SELECT count(*) AS n FROM handovers WHERE "by" NOT IN ({words})')["n"]
    if other:
        findings.note(f"{raw.file}: {other:,} hand-overs were made by something else than {', '.join(HANDED_BY)}; they count as 'other'.")
    columns = ", ".join(f'CASE WHEN "by" IN ({words}) OR "by" IS NULL THEN "by" ELSE \'other\' END AS "by"' if name == "by" else quoted(name) for name in HANDOVERS.names)
    table = session.table(
        f"SELECT {columns} FROM handovers WHERE lead_id IN (SELECT lead_id FROM raw.known WHERE status = {USED}) ORDER BY lead_id, handed_at, {', '.join(map(quoted, HANDOVERS.names[2:]))}"
    )
    return table.cast(HANDOVERS).combine_chunks()


def read_spend(session: Session, findings: Findings, raw: Raw, *, source: Source, timezone: str | None) -> bool:
    """Make ``spend(campaign, period_start, cost)``."""
    typed = read_small(session, findings, raw, source=source, fields=SPEND, table="spend", timezone=timezone)
    if typed is None:
        return False
    account_small(session, findings, typed, source=source)
    session.run(f"CREATE TABLE spend AS {distinct_sql(typed)} ORDER BY ALL")
    return True
