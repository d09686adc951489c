"""The leads: one row each, under one id, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mqlml.errors import UsageError, shown
from mqlml.history.attributes import AttributeColumn, AttributeKind, choose_attributes, to_arrow
from mqlml.history.columns import Field, map_columns, report_missing
from mqlml.history.contract import UTC_TIME, TableAccount
from mqlml.history.session import LINE, ROW, quoted
from mqlml.history.typed import FAULT, Typed, set_faults_aside, tell_flags, type_table

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

USED, FILTERED, SUPPRESSED, IGNORED, FAULTY, UNKNOWN = range(6)
STATUS = {
    FILTERED: "not selected by [leads] where",
    SUPPRESSED: "suppressed",
    IGNORED: "outcome ignored",
    FAULTY: "lead set aside",
    UNKNOWN: "unknown lead",
}
"""Why a lead, and with it a fact about it, is skipped."""

_KEPT = "mqlml:kept"


@dataclass(frozen=True)
class LeadRows:
    """The leads as a table of the session (``raw.lead_rows``) before they are handed over."""

    typed: Typed
    attributes: tuple[AttributeColumn, ...]
    quarantined: int
    ordered: bool


def read_leads(
    session: Session, findings: Findings, raw: Raw, *, config: Config, outcome_columns: tuple[str, ...],
    kinds: Mapping[str, AttributeKind] | None,
) -> LeadRows | None:  # fmt: skip
    """Type and check the leads; afterwards ``raw.known`` holds every id with its status and creation.

    Returns
    -------
    LeadRows or None
        None when the file cannot be used; the reasons are among the problems.
    """
    leads = config.leads
    names = {
        "id": leads.id,
        "created_at": leads.created_at or None,
        "account_id": leads.account_id,
        "start_at": config.snapshots.start,
        "order": leads.order,
    }
    fields = (
        Field("id", "id", required=True),
        Field("created_at", "time", required=bool(leads.created_at)),
        Field("account_id", "id"),
        Field("start_at", "time"),
        Field("order", "number"),
    )
    explicit = {*leads.model_fields_set, "start_at"}
    mapped = map_columns(findings, raw, fields, names=names, explicit=explicit)
    _check_lists(findings, raw, config)
    taken = [*(name for name in names.values() if name), *outcome_columns]
    attributes = choose_attributes(session, findings, raw, leads=leads, taken=taken, kinds=kinds)
    if mapped is None:
        return None
    typed = type_table(
        session, findings, mapped, fields, table="leads", source=leads, timezone=leads.timezone,
        relation=_selected(raw, attributes, leads.where), missing=leads.missing,
        extras={f"a{i}": quoted(f"mqlml:a{i}") for i in range(len(attributes))} | {_KEPT: quoted(_KEPT)},
    )  # fmt: skip
    if typed is None:
        return None
    _materialise(session, typed, leads.where)
    quarantined = _account_faults(session, findings, typed, leads.max_quarantined_share)
    _remember_ids(session)
    _refuse_conflicts(session, findings, raw)
    return LeadRows(typed.over("raw.lead_rows"), attributes, quarantined, ordered=leads.order is not None)


def finish_leads(session: Session, findings: Findings, rows: LeadRows) -> tuple[pa.Table, pa.Table]:
    """Hand over leads and attributes, sorted by id, and account for every row.

    Returns
    -------
    leads, attributes : pa.Table
        Row for row.
    """
    order = ', "order"' if rows.ordered else ""
    columns = "".join(f", {quoted(f'a{i}')}" for i in range(len(rows.attributes)))
    table = session.table(
        f"SELECT l.id AS lead_id, account_id, l.created_at, coalesce(start_at, l.created_at) AS start_at{order}{columns} "
        f"FROM raw.lead_rows AS l JOIN raw.known AS k ON k.lead_id = l.id AND k.row = l.{quoted(ROW)} "
        f"WHERE k.status = {USED} ORDER BY lead_id"
    )
    leads = table.select(["lead_id", "account_id", "created_at", "start_at", *(["order"] if rows.ordered else [])])
    for name in ("created_at", "start_at"):
        leads = leads.set_column(leads.schema.get_field_index(name), name, leads[name].cast(UTC_TIME))
    _account(session, findings, rows, used=leads.num_rows)
    _note_ids(session, findings, rows.typed.raw.file)
    return leads.combine_chunks(), to_arrow(table, rows.attributes)


def _check_lists(findings: Findings, raw: Raw, config: Config) -> None:
    for key in ("known_at_creation", "state", "exclude", "sensitive"):
        for name in getattr(config.leads, key):
            if name not in raw.columns:
                report_missing(findings, raw, key=key, name=name)


def _selected(raw: Raw, attributes: tuple[AttributeColumn, ...], where: str | None) -> str:
    """Add the attributes, and whether ``[leads] where`` holds; in CSV files numbers are numbers to it."""
    added = "".join(f", {a.sql} AS {quoted(f'mqlml:a{i}')}" for i, a in enumerate(attributes))
    if where is None:
        return f"(SELECT *{added}, true AS {quoted(_KEPT)} FROM {raw.relation})"
    numbers = [a for a in attributes if raw.is_text and a.kind == "number"]
    replaced = f" REPLACE ({', '.join(f'{a.sql} AS {quoted(a.name)}' for a in numbers)})" if numbers else ""
    place = f"{quoted(ROW)} AS {quoted('mqlml:at')}"
    kept = f"(SELECT {place}, coalesce(({where}), false) AS {quoted(_KEPT)} FROM (SELECT *{replaced} FROM {raw.relation}))"
    return f"(SELECT r.*{added}, k.{quoted(_KEPT)} FROM {raw.relation} AS r JOIN {kept} AS k ON k.{quoted('mqlml:at')} = r.{quoted(ROW)})"


def _materialise(session: Session, typed: Typed, where: str | None) -> None:
    statement = f"CREATE TABLE raw.lead_rows AS {typed.sql}"
    try:
        if len(duckdb.extract_statements(statement)) != 1:
            raise UsageError("[leads] where: one expression is needed, not several statements.")
        session.run(statement)
    except (duckdb.ParserException, duckdb.BinderException, duckdb.ConversionException, duckdb.PermissionException) as error:
        if where is None:
            raise
        raise UsageError(
            f"[leads] where: '{shown(where)}' cannot be evaluated: {str(error).splitlines()[0]}",
            hint="write an SQL condition over the columns of the leads, such as pipeline = 'new business'",
        ) from error


def _account_faults(session: Session, findings: Findings, typed: Typed, share: float) -> int:
    stored = typed.over("raw.lead_rows")
    kept = quoted(_KEPT)
    row = session.one(f"SELECT count(*) AS n{stored.flag_counts()} FROM raw.lead_rows WHERE {kept}")
    tell_flags(findings, stored, [row[f"flag{i}"] for i in range(len(stored.flags))])
    faults = session.rows(
        f"SELECT {quoted(FAULT)} AS fault, count(*) AS n FROM raw.lead_rows WHERE {kept} AND fault IS NOT NULL "
        "GROUP BY ALL ORDER BY ALL"
    )
    counts = {r["fault"]: r["n"] for r in faults}
    return set_faults_aside(session, findings, stored, counts, share=share, only=kept)


def _remember_ids(session: Session) -> None:
    """Keep per id its first usable row and status; an id counts as used when any of its rows is."""
    session.run(
        f"CREATE TABLE raw.known AS SELECT id AS lead_id, min(status) AS status, arg_min(created_at, (status, place)) AS created_at, "
        f"arg_min(place, (status, place)) AS row, count(*) FILTER (status = {USED}) AS copies FROM ("
        f"SELECT id, created_at, {quoted(ROW)} AS place, CASE WHEN NOT {quoted(_KEPT)} THEN {FILTERED} "
        f"WHEN {quoted(FAULT)} IS NOT NULL THEN {FAULTY} "
        f"WHEN id IN (SELECT lead_id FROM raw.suppressed) THEN {SUPPRESSED} ELSE {USED} END AS status "
        "FROM raw.lead_rows WHERE id IS NOT NULL) GROUP BY id"
    )


def _refuse_conflicts(session: Session, findings: Findings, raw: Raw) -> None:
    """Rows of one id must be the same in every column of the file; name those that differ."""
    twins = (
        f"SELECT r.*, l.id AS {quoted('mqlml:id')} FROM raw.lead_rows AS l JOIN raw.known AS k ON k.lead_id = l.id "
        f"JOIN {raw.relation} AS r ON r.{quoted(ROW)} = l.{quoted(ROW)} "
        f"WHERE k.copies > 1 AND l.{quoted(_KEPT)} AND l.{quoted(FAULT)} IS NULL"
    )
    session.run(f"CREATE TEMP TABLE twins AS {twins}")
    tests = [f"(count(DISTINCT {quoted(c)}) + (count({quoted(c)}) < count(*))::INT) > 1 AS {quoted(c)}" for c in raw.columns]
    session.run(
        f"CREATE TEMP TABLE conflicts AS SELECT {', '.join(tests)}, min({quoted(ROW)}) AS {quoted(ROW)}, "
        f"count(*) AS {quoted(LINE)} FROM twins GROUP BY {quoted('mqlml:id')}"
    )
    differs = " OR ".join(quoted(c) for c in raw.columns)
    parts = ", ".join(f"bool_or({quoted(c)}) AS {quoted(c)}" for c in raw.columns)
    found = session.one(
        f"SELECT {parts}, sum({quoted(LINE)}) AS {quoted(LINE)}, list(DISTINCT {quoted(ROW)} ORDER BY {quoted(ROW)})[:5] AS {quoted(ROW)} "
        f"FROM conflicts WHERE {differs}"
    )
    session.run("DROP TABLE twins; DROP TABLE conflicts")
    rows, count = found.pop(ROW), found.pop(LINE)
    if count:
        names = ", ".join(f"'{shown(name)}'" for name, differ in found.items() if differ)
        findings.problem(
            "dup-lead", raw.file, f"a lead has several rows that differ in {names}",
            "keep one row a lead (several outcomes of a lead belong into a file of their own, [outcomes] path)",
            count=int(count), total=raw.rows_in, rows=rows,
        )  # fmt: skip


def _account(session: Session, findings: Findings, rows: LeadRows, *, used: int) -> None:
    raw = rows.typed.raw
    lost = session.rows(
        f"SELECT CASE WHEN NOT {quoted(_KEPT)} THEN {FILTERED} ELSE k.status END AS status, count(*) AS n "
        f"FROM raw.lead_rows AS l JOIN raw.known AS k ON k.lead_id = l.id "
        f"WHERE ({quoted(FAULT)} IS NULL OR NOT {quoted(_KEPT)}) GROUP BY ALL ORDER BY ALL"
    )
    skipped = {STATUS[r["status"]]: r["n"] for r in lost if r["status"] not in (USED, FAULTY)}
    nameless = session.one(f"SELECT count(*) AS n FROM raw.lead_rows WHERE id IS NULL AND NOT {quoted(_KEPT)}")["n"]
    if nameless:
        skipped[STATUS[FILTERED]] = skipped.get(STATUS[FILTERED], 0) + nameless
    twice = raw.rows_in - rows.quarantined - used - sum(skipped.values())
    if twice:
        skipped["duplicate"] = twice
        findings.note(f"{raw.file}: {twice:,} rows repeat another row exactly and count once.")
    if not used:
        findings.note(f"{raw.file}: no lead is left to look at.")
    findings.accounts.append(TableAccount("leads", raw.file, raw.rows_in, used, rows.quarantined, skipped))


def _note_ids(session: Session, findings: Findings, file: str) -> None:
    found = session.one(
        "SELECT count(*) - count(DISTINCT lower(trim(nfc_normalize(lead_id)))) AS alike, "
        "count(*) FILTER (regexp_matches(lead_id, '[\\x00-\\x1f\\x7f\\x{200B}-\\x{200F}\\x{2060}\\x{FEFF}]|^\\s|\\s$')) AS unseen "
        f"FROM raw.known WHERE status = {USED}"
    )
    if found["alike"]:
        findings.note(
            f"{file}: {found['alike']:,} lead ids differ from another only by capitals, spaces or accents; they are different leads."
        )
    if found["unseen"]:
        findings.note(f"{file}: {found['unseen']:,} lead ids hold spaces at an end or invisible characters; they are kept.")
