"""The leads: one row each, under one id, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from mqlml.errors import UsageError, shown
from mqlml.history.attributes import AttributeColumn, AttributeKind, choose_attributes, to_arrow
from mqlml.history.columns import Field, Mapped, blank_sql, map_columns, number_of_id_sql, report_missing
from mqlml.history.contract import UTC_TIME, TableAccount
from mqlml.history.files import nearest
from mqlml.history.layers import FAULT
from mqlml.history.session import ROW, literal, quoted
from mqlml.history.setaside import count_faults, set_faults_aside, tell_stored_flags
from mqlml.history.twins import refuse_conflicts
from mqlml.history.typed import Typed, type_table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from mqlml.config import Config, Leads
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
_UNSEEN = r"[\x00-\x1f\x7f\x{200B}-\x{200F}\x{2060}\x{FEFF}]|^\s|\s$"


@dataclass(frozen=True)
class LeadRows:
    """The leads as a table of the session (``raw.lead_rows``) before they are handed over."""

    typed: Typed
    attributes: tuple[AttributeColumn, ...]
    quarantined: int
    ordered: bool
    marked: bool


def read_leads(
    session: Session,
    findings: Findings,
    raw: Raw,
    *,
    config: Config,
    outcome_columns: tuple[str, ...],
    kinds: Mapping[str, AttributeKind] | None,
) -> LeadRows | None:
    """Type and check the leads; afterwards ``raw.known`` holds every id with its status and creation.

    Returns
    -------
    LeadRows or None
        None when the file cannot be used; the reasons are among the problems.
    """
    leads = config.leads
    mapped, taken = _map(findings, raw, config)
    _check_lists(findings, raw, config)
    taken = [*taken, *outcome_columns]
    attributes = choose_attributes(session, findings, raw, leads=_wider(config), taken=taken, kinds=kinds)
    if mapped is None:
        return None
    typed = type_table(
        session,
        findings,
        mapped,
        _fields(config),
        table="leads",
        source=leads,
        timezone=leads.timezone,
        relation=_selected(raw, attributes, leads.where),
        missing=leads.missing,
        extras={f"a{i}": quoted(f"mqlml:a{i}") for i in range(len(attributes))} | {_KEPT: quoted(_KEPT)},
    )
    if typed is None:
        return None
    _materialise(session, typed, leads.where)
    stored = typed.over("raw.lead_rows")
    kept = quoted(_KEPT)
    tell_stored_flags(session, findings, stored, only=kept)
    faults = count_faults(session, stored, only=kept)
    quarantined = set_faults_aside(session, findings, stored, faults, share=leads.max_quarantined_share, only=kept)
    _remember_ids(session)
    refuse_conflicts(session, findings, raw)
    return LeadRows(
        stored, attributes, quarantined, ordered=leads.order is not None, marked=config.policy.present_dates is not None
    )


def _wider(config: Config) -> Leads:
    """Rules beside the model may look at columns that the model must not."""
    beside = config.policy.columns_beside
    exclude = tuple(name for name in config.leads.exclude if name not in beside)
    return config.leads.model_copy(update={"exclude": exclude})


def finish_leads(session: Session, findings: Findings, rows: LeadRows) -> tuple[pa.Table, pa.Table]:
    """Hand over leads and attributes, sorted by id, and account for every row.

    Returns
    -------
    leads, attributes : pa.Table
        Row for row.
    """
    extra = [*(["order"] if rows.ordered else []), *(["marked_at"] if rows.marked else [])]
    columns = "".join(f", {quoted(name)}" for name in [*extra, *(f"a{i}" for i in range(len(rows.attributes)))])
    table = session.table(
        "SELECT l.id AS lead_id, account_id, l.created_at, coalesce(start_at, l.created_at) AS start_at"
        f"{columns} FROM raw.lead_rows AS l JOIN raw.known AS k ON k.lead_id = l.id AND k.row = l.{quoted(ROW)} "
        f"WHERE k.status = {USED} ORDER BY lead_id"
    )
    leads = table.select(["lead_id", "account_id", "created_at", "start_at", *extra])
    for name in ("created_at", "start_at", *(["marked_at"] if rows.marked else [])):
        leads = leads.set_column(leads.schema.get_field_index(name), name, leads[name].cast(UTC_TIME))
    _account(session, findings, rows, used=leads.num_rows)
    _note_ids(session, findings, rows.typed.raw.file)
    return leads.combine_chunks(), to_arrow(table, rows.attributes)


def _fields(config: Config) -> tuple[Field, ...]:
    return (
        Field("id", "id", required=True),
        Field("created_at", "time", required=bool(config.leads.created_at)),
        Field("account_id", "id"),
        Field("start_at", "time"),
        Field("order", "number"),
        Field("marked_at", "time"),
    )


def _map(findings: Findings, raw: Raw, config: Config) -> tuple[Mapped | None, list[str]]:
    """Find the columns with a role of their own, and name them all."""
    leads = config.leads
    names = {
        "id": leads.id,
        "created_at": leads.created_at,
        "account_id": leads.account_id,
        "start_at": config.snapshots.start,
        "order": leads.order,
        "marked_at": config.policy.present_dates,
    }
    keys = {name: f"[leads] {name}" for name in names}
    keys |= {"start_at": "[snapshots] from", "marked_at": "[policy] present_dates"}
    explicit = {*leads.model_fields_set, "start_at", "marked_at"}
    mapped = map_columns(findings, raw, _fields(config), names=names, keys=keys, explicit=explicit)
    return mapped, [name for name in names.values() if name]


def _check_lists(findings: Findings, raw: Raw, config: Config) -> None:
    """A misspelt name in a list of columns would silently protect nothing."""
    for key in ("known_at_creation", "state", "exclude", "sensitive", "budget", "authority"):
        for name in getattr(config.leads, key) or ():
            if name not in raw.columns:
                report_missing(findings, raw, key=f"[leads] {key}", name=name, listed=True)
    team = config.policy.capacity_by
    if team is not None and team not in raw.columns:
        what = f"there is no column '{shown(team)}' in {raw.file}; {nearest(team, list(raw.columns))}"
        raise UsageError(f"[policy] capacity_by: {what}.", hint="name a column of the leads, or remove capacities")


def _selected(raw: Raw, attributes: tuple[AttributeColumn, ...], where: str | None) -> str:
    """Add the attributes, and whether ``[leads] where`` holds; in CSV files numbers are numbers to it."""
    added = "".join(f", {a.sql} AS {quoted(f'mqlml:a{i}')}" for i, a in enumerate(attributes))
    if where is None:
        return f"(SELECT *{added}, true AS {quoted(_KEPT)} FROM {raw.relation})"
    numbers = [a for a in attributes if raw.is_text and a.kind == "number"]
    replaced = f" REPLACE ({', '.join(f'{a.sql} AS {quoted(a.name)}' for a in numbers)})" if numbers else ""
    place = quoted("mqlml:place")
    kept = (
        f"SELECT {quoted(ROW)} AS {place}, coalesce(({where}\n), false) AS {quoted(_KEPT)} "
        f"FROM (SELECT *{replaced} FROM {raw.relation})"
    )
    return (
        f"(SELECT r.*{added}, k.{quoted(_KEPT)} FROM {raw.relation} AS r JOIN ({kept}) AS k ON {place} = {quoted(ROW)})"
    )


def _materialise(session: Session, typed: Typed, where: str | None) -> None:
    named = f"SELECT * REPLACE (CASE WHEN {blank_sql('id')} THEN NULL ELSE id END AS id) FROM ({typed.sql})"
    statement = f"CREATE TABLE raw.lead_rows AS {named}"
    try:
        if len(duckdb.extract_statements(statement)) != 1:
            raise UsageError("[leads] where: one expression is needed, not several statements.")
        session.run(statement)
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.PermissionException) as error:
        if where is None or isinstance(error, UsageError):
            raise
        raise UsageError(
            f"[leads] where: '{shown(where)}' cannot be evaluated: {str(error).splitlines()[0]}",
            hint="write an SQL condition over the columns of the leads, such as pipeline = 'new business'",
        ) from error


def _remember_ids(session: Session) -> None:
    """Keep per id its first usable row and status; an id counts as used when any of its rows is."""
    status = (
        f"CASE WHEN NOT {quoted(_KEPT)} THEN {FILTERED} WHEN {quoted(FAULT)} IS NOT NULL THEN {FAULTY} "
        f"WHEN id IN (FROM raw.suppressed) THEN {SUPPRESSED} ELSE {USED} END"
    )
    session.run(
        "CREATE TABLE raw.known AS SELECT id AS lead_id, min(status) AS status, "
        "arg_min(created_at, (status, place)) AS created_at, arg_min(place, (status, place)) AS row, "
        f"count(*) FILTER (status = {USED}) AS copies, {number_of_id_sql('id')} AS lead_number "
        f"FROM (SELECT id, created_at, {quoted(ROW)} AS place, {status} AS status FROM raw.lead_rows "
        "WHERE id IS NOT NULL) GROUP BY id"
    )


def _account(session: Session, findings: Findings, rows: LeadRows, *, used: int) -> None:
    raw = rows.typed.raw
    lost = session.rows(
        f"SELECT CASE WHEN NOT {quoted(_KEPT)} THEN {FILTERED} ELSE k.status END AS status, count(*) AS n "
        "FROM raw.lead_rows AS l JOIN raw.known AS k ON k.lead_id = l.id "
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


def as_delivered(leads: Leads, path: Path) -> Leads:
    """Another file of the leads, of which every row counts and no column has a role but ids and creation."""
    plain = {"where": None, "known_at_creation": (), "state": (), "exclude": (), "sensitive": (), "order": None}
    return leads.model_copy(update={**plain, "budget": None, "authority": None, "path": str(path.resolve())})


def only_columns(leads: Leads, raw: Raw, kinds: Mapping[str, AttributeKind] | None) -> Leads:
    """Leave out columns that nobody asks for: all but ``kinds``, or those that are sensitive."""
    own = {leads.id, leads.created_at, leads.account_id}
    other = raw.columns if kinds is not None else leads.sensitive
    left_out = (*leads.exclude, *(name for name in other if name not in (kinds or ()) and name not in own))
    roles = {"known_at_creation": (), "state": (), "sensitive": (), "budget": None, "authority": None}
    return leads.model_copy(update={**roles, "exclude": left_out})


def _note_ids(session: Session, findings: Findings, file: str) -> None:
    found = session.one(
        "SELECT count(*) - count(DISTINCT lower(trim(nfc_normalize(lead_id)))) AS alike, "
        f"count(*) FILTER (regexp_matches(lead_id, {literal(_UNSEEN)})) AS unseen "
        f"FROM raw.known WHERE status = {USED}"
    )
    alike, unseen = found["alike"], found["unseen"]
    if alike:
        how = "differ from another only by capitals, spaces or accents; they are different leads"
        findings.note(f"{file}: {alike:,} lead ids {how}.")
    if unseen:
        findings.note(f"{file}: {unseen:,} lead ids hold spaces at an end or invisible characters; they are kept.")
