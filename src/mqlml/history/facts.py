"""What happened to leads: events, changes of their attributes, stages, hand-overs; and what campaigns cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mqlml.history.columns import Field, Mapped, is_whole, map_source
from mqlml.history.contract import HANDOVERS, TableAccount
from mqlml.history.findings import Fault
from mqlml.history.identities import account_small, distinct_sql, link_sql, no_overlap, read_small
from mqlml.history.layers import FAULT
from mqlml.history.leads import STATUS, UNKNOWN, USED
from mqlml.history.session import literals, quoted
from mqlml.history.setaside import set_faults_aside, tell_flags
from mqlml.history.typed import Typed, type_table

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.config import Source, Spend
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
    Field("agent", "text", within="machines"),
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
NUMBER = "lead_number"
"""Column of a relation of facts whose file holds the ids of leads as whole numbers: that number."""
HANDED_BY = ("policy", "control", "rule", "override", "other")


@dataclass(frozen=True)
class Circumstances:
    """What the tables of facts share: whether ids are linked or suppressed, and the zone of naive times."""

    has_links: bool
    suppressed: bool
    timezone: str | None

    def linked(self, typed: Typed, time: str) -> Typed:
        """Read a typed table under the ids its rows belong to."""
        return replace(typed, sql=f"SELECT * FROM {link_sql(typed.sql, time=time)}") if self.has_links else typed


def read_facts(
    session: Session,
    findings: Findings,
    raw: Raw,
    *,
    source: Source,
    fields: Sequence[Field],
    table: str,
    time: str,
    around: Circumstances,
) -> bool:
    """Check a table of facts in one scan and make it a relation of the session: a view, or a table for CSV.

    Rows that repeat another one exactly all count: without an id of its own, a second click cannot be told from a
    second delivery of the first.

    Returns
    -------
    bool
        Whether the relation exists now.
    """
    mapped = map_source(findings, raw, source, fields)
    if mapped is None:
        return False
    typing = partial(
        type_table, session, findings, mapped, fields,
        table=table, source=source, timezone=around.timezone, extras=_numbered(mapped, around),
    )  # fmt: skip
    typed = typing()
    if typed is None:
        return False
    if raw.is_text:
        rows = f"raw.{quoted(f'{raw.section}_rows')}"
        session.run(f"CREATE TABLE {rows} AS {typed.sql}")
        typed = typed.over(rows)
    linked = around.linked(typed, time)
    groups = _scan(session, linked, time=time, by_type=table == "events")
    _account(session, findings, linked, groups, source=source)
    tell(findings, typed, groups, source=source)
    if table == "changes" and mapped.columns.get("old_value") is None:
        findings.note(f"{raw.file}: there is no old value, so nothing is known of a field before its first change.")
    clean = all(group["fault"] is None for group in groups)
    if clean and not raw.is_text and _needs_no_repair(typed, mapped, groups):
        typed = typing(plain=True) or typed
    _make_relation(session, around.linked(typed, time), mapped, clean=clean, suppressed=around.suppressed)
    if raw.is_text:
        session.forget(raw.section)
    return True


def _numbered(mapped: Mapped, around: Circumstances) -> dict[str, str]:
    """Keep ids that are numbers in the file as numbers too: they are found several times as fast as texts."""
    column = mapped.columns["lead_id"]
    if column is None or around.has_links or not is_whole(mapped.raw.columns[column]):
        return {}
    return {NUMBER: f"{quoted(column)}::BIGINT"}


def _needs_no_repair(typed: Typed, mapped: Mapped, groups: list[dict[str, Any]]) -> bool:
    """Whether every value can be taken as it is; times written as text are always read anew."""
    repaired = [i for i, flag in enumerate(typed.flags) if flag.refuse is None]
    texts = any(type_ == "VARCHAR" and field.endswith("_at") for field, type_ in mapped.types().items())
    return not texts and not any(group[f"flag{i}"] for group in groups for i in repaired)


def _make_relation(session: Session, typed: Typed, mapped: Mapped, *, clean: bool, suppressed: bool) -> None:
    has_old = str(mapped.columns.get("old_value") is not None).lower()
    constant = f", {has_old} AS has_old_value" if typed.table in ("changes", "collected") else ""
    conditions = [] if clean else [f"{quoted(FAULT)} IS NULL"]
    if suppressed:
        conditions.append("lead_id NOT IN (SELECT lead_id FROM raw.suppressed)")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    kind = "TABLE" if typed.raw.is_text else "VIEW"
    columns = ", ".join(map(quoted, typed.columns))
    session.run(f"CREATE {kind} {quoted(typed.table)} AS SELECT {columns}{constant} FROM ({typed.sql}){where}")


def _scan(session: Session, typed: Typed, *, time: str, by_type: bool) -> list[dict[str, Any]]:
    """Everything to be told about a table of facts.

    One pass where all leads are known: DuckDB joins three times as fast when nothing but matches is asked for. Else a
    second one over the rows of unknown leads.
    """
    lead = NUMBER if NUMBER in typed.columns else "lead_id"
    kind = "event_type" if by_type else "NULL"
    found: list[dict[str, Any]] = []
    for join, status, early in (
        ("JOIN", "k.status", f"count(*) FILTER (t.{quoted(time)} < k.created_at)"),
        ("ANTI JOIN", str(UNKNOWN), "0"),
    ):
        if sum(group["n"] for group in found) < typed.raw.rows_in:
            found += session.rows(
                f"SELECT t.{quoted(FAULT)} AS fault, {status} AS status, {kind} AS kind, count(*) AS n, "
                f"{early} AS early{typed.flag_counts()} "
                f"FROM ({typed.sql}) AS t {join} raw.known AS k ON k.{lead} = t.{lead} GROUP BY ALL"
            )
    return found


def _account(
    session: Session, findings: Findings, typed: Typed, groups: list[dict[str, Any]], *, source: Source
) -> None:
    faults, skipped, used = sort_out(groups)
    only = f"{quoted(FAULT)} = 0 OR lead_id IN (SELECT lead_id FROM raw.known WHERE status = {USED})"
    quarantined = set_faults_aside(session, findings, typed, faults, share=source.max_quarantined_share, only=only)
    account_rows(findings, typed, used=used, quarantined=quarantined, skipped=skipped, source=source)


def sort_out(groups: Sequence[Mapping[str, Any]]) -> tuple[dict[int, int], dict[str, int], int]:
    """Sort counted rows into faulty ones by fault, those of leads that do not count by reason, and used ones."""
    faults: dict[int, int] = {}
    skipped: dict[str, int] = {}
    used = 0
    for group in groups:
        if group["fault"] is not None and (group["fault"] == 0 or group["status"] == USED):
            faults[group["fault"]] = faults.get(group["fault"], 0) + group["n"]
        elif group["status"] != USED:
            reason = STATUS[group["status"]]
            skipped[reason] = skipped.get(reason, 0) + group["n"]
        else:
            used += group["n"]
    return dict(sorted(faults.items())), dict(sorted(skipped.items())), used


def account_rows(
    findings: Findings, typed: Typed, *, used: int, quarantined: int, skipped: Mapping[str, int], source: Source
) -> None:
    """Account for every row of a table of facts; refuse a table of strangers."""
    raw = typed.raw
    findings.accounts.append(TableAccount(typed.table, raw.file, raw.rows_in, used, quarantined, skipped))
    _refuse_strangers(findings, raw, skipped.get(STATUS[UNKNOWN], 0), source)


def _refuse_strangers(findings: Findings, raw: Raw, unknown: int, source: Source) -> None:
    share = getattr(source, "max_unknown_share", None)
    if raw.rows_in and unknown == raw.rows_in:
        no_overlap(findings, raw)
    elif share is not None and unknown > share * raw.rows_in:
        findings.problem(
            "unknown-leads",
            raw.file,
            f"they belong to leads that are not in the leads file (at most {share:.0%} may)",
            f"check the ids, add [links], or raise [{raw.section}] max_unknown_share",
            count=unknown,
            total=raw.rows_in,
        )
    elif unknown:
        which = f"{unknown:,} of {raw.rows_in:,} rows"
        findings.note(f"{raw.file}: {which} belong to leads that are not in the leads file.")


def tell(findings: Findings, typed: Typed, groups: Sequence[Mapping[str, Any]], *, source: Source) -> None:
    """Tell what is odd but usable in a table of facts."""
    file = typed.raw.file
    tell_flags(findings, typed, [sum(g[f"flag{i}"] for g in groups) for i in range(len(typed.flags))])
    if not typed.raw.rows_in:
        findings.note(f"{file} has no rows.")
        return
    early = sum(g["early"] for g in groups if g["status"] == USED and g["fault"] is None)
    if early:
        findings.note(f"{file}: {early:,} rows lie before their lead was created; they count, as anonymous visits do.")
    types = {g["kind"] for g in groups}
    for key, name in _named_types(source):
        if name not in types:
            findings.note(f"{file}: no event has the type '{name}' that {key} names.")


def _named_types(source: Source) -> Iterator[tuple[str, str]]:
    """Event types that the configuration names, with where it does."""
    for name in (*getattr(source, "by_sales", ()), *getattr(source, "use", ())):
        yield "[events] by_sales or use", name
    machines = getattr(source, "machines", None)
    for key in ("sends", "opens", "clicks"):
        for name in getattr(machines, key, None) or ():
            yield f"[events.machines] {key}", name


def read_handovers(
    session: Session, findings: Findings, raw: Raw, *, source: Source, around: Circumstances
) -> pa.Table | None:
    """Read the hand-overs into Arrow, sorted by lead and time; None when the file cannot be used."""
    made = read_facts(
        session, findings, raw, source=source, fields=HANDED, table="handovers", time="handed_at", around=around
    )
    if not made:
        return None
    unusual = f'"by" NOT IN ({literals(list(HANDED_BY))})'
    others = session.one(f"SELECT count(*) AS n FROM handovers WHERE {unusual}")["n"]
    if others:
        words = ", ".join(HANDED_BY)
        findings.note(f"{raw.file}: {others:,} hand-overs were made by something else than {words}: 'other'.")
    names = ", ".join(map(quoted, HANDOVERS.names))
    table = session.table(
        f'SELECT {names} FROM (SELECT * REPLACE (CASE WHEN {unusual} THEN \'other\' ELSE "by" END AS "by") '
        f"FROM handovers) WHERE lead_id IN (SELECT lead_id FROM raw.known WHERE status = {USED}) ORDER BY {names}"
    )
    return table.cast(HANDOVERS).combine_chunks()


def read_spend(session: Session, findings: Findings, raw: Raw, *, source: Spend, timezone: str | None) -> bool:
    """Make ``spend(campaign, period_start, cost)``; exact repetitions count once, costs below nothing are set aside."""
    typed = read_small(session, findings, raw, source=source, fields=SPEND, table="spend", timezone=timezone)
    if typed is None:
        return False
    negative = Fault("negative-cost", "the cost is below zero", "write what was paid, refunds taken off", source.cost)
    fault = f"CASE WHEN {quoted(FAULT)} IS NULL AND cost < 0 THEN {len(typed.faults)} ELSE {quoted(FAULT)} END"
    sql = f"SELECT * REPLACE ({fault} AS {quoted(FAULT)}) FROM ({typed.sql})"
    typed = replace(typed, sql=sql, faults=(*typed.faults, negative))
    account_small(session, findings, typed, source=source)
    session.run(f"CREATE TABLE spend AS {distinct_sql(typed)} ORDER BY ALL")
    return True
