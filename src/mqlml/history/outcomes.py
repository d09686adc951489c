"""What became of the leads: won or lost, when, and for how much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mqlml.history.columns import Field, listed, map_columns
from mqlml.history.contract import UTC_TIME, TableAccount
from mqlml.history.findings import Fault
from mqlml.history.identities import link_sql, no_overlap
from mqlml.history.layers import FAULT
from mqlml.history.leads import FILTERED, IGNORED, STATUS, SUPPRESSED, UNKNOWN, USED
from mqlml.history.session import ROW, literals, quoted
from mqlml.history.setaside import set_faults_aside, tell_stored_flags
from mqlml.history.typed import Typed, type_table

if TYPE_CHECKING:
    from mqlml.config import Config, Outcomes, Source
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

FIELDS = (
    Field("lead_id", "id", required=True),
    Field("outcome", "text"),
    Field("decided_at", "time"),
    Field("opened_at", "time"),
    Field("value", "number"),
    Field("lost_reason", "text"),
    Field("pipeline", "text"),
    Field("opportunity_id", "text"),
    Field("is_primary", "text"),
)

OUTCOMES = pa.schema(
    [
        ("lead_id", pa.string()),
        ("outcome", pa.string()),
        ("decided_at", UTC_TIME),
        ("opened_at", UTC_TIME),
        ("value", pa.float64()),
        ("lost_reason", pa.string()),
        ("pipeline", pa.string()),
        ("opportunity_id", pa.string()),
        ("is_primary", pa.bool_()),
    ]
)
_ORDER = "lead_id, decided_at NULLS FIRST, outcome, value, lost_reason, pipeline, opened_at, opportunity_id, is_primary"
_YES, _NO = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0", "")


def outcome_columns(config: Config, raw: Raw) -> tuple[str, ...]:
    """Columns of the leads file that tell the outcome.

    When outcomes have their own file it is the reason of a loss alone: it is told, and never learned from.
    """
    fields = ("lost_reason",) if config.outcomes.path else tuple(field.name for field in FIELDS[1:])
    names = (getattr(config.outcomes, field) for field in fields)
    return tuple(name for name in names if name in raw.columns)


def read_outcomes(session: Session, findings: Findings, raw: Raw, *, config: Config, linked: bool) -> pa.Table | None:
    """Read the outcomes and mark leads with an ignored one in ``raw.known``.

    Returns
    -------
    pa.Table or None
        Schema ``OUTCOMES``; None when the file cannot be used.
    """
    typed = plan_outcomes(session, findings, raw, config=config)
    if typed is None:
        return None
    dated = config.outcomes.decided_at in raw.columns
    if not dated:
        findings.note(f"{raw.file}: there is no time of decision; only the final outcome of each lead is known.")
    share = _source(config).max_quarantined_share
    stored = _judge(session, typed, config.outcomes, dated=dated, linked=linked)
    if not _check_values(session, findings, stored, config.outcomes):
        return None
    if not _check_primary(session, findings, stored, config.outcomes):
        return None
    _check_dates(session, findings, stored, share=share)
    return _finish(session, findings, stored, share=share)


def plan_outcomes(session: Session, findings: Findings, raw: Raw, *, config: Config) -> Typed | None:
    """Find and type the columns; None when that fails, with the reasons among the problems."""
    outcomes = config.outcomes
    names = {field.name: getattr(outcomes, field.name) for field in FIELDS}
    keys = {name: f"[outcomes] {name}" for name in names}
    if not outcomes.path:
        names["lead_id"], keys["lead_id"] = config.leads.id, "[leads] id"
    needed = [replace(field, required=field.name in ("lead_id", "outcome")) for field in FIELDS]
    mapped = map_columns(findings, raw, needed, names=names, keys=keys, explicit=outcomes.model_fields_set)
    if mapped is None:
        return None
    missing = () if outcomes.path else config.leads.missing
    zone, source = config.leads.timezone, _source(config)
    return type_table(
        session, findings, mapped, FIELDS, table="outcomes", source=source, timezone=zone, missing=missing
    )


def _source(config: Config) -> Source:
    """The section that says how the file of the outcomes is written."""
    return config.outcomes if config.outcomes.path else config.leads


def _judge(session: Session, typed: Typed, outcomes: Outcomes, *, dated: bool, linked: bool) -> Typed:
    """Store the outcomes as ``raw.outcome_rows`` with label, status of the lead, and two faults of their own."""
    fix = 'fill it in, or set decided_at = "" in [outcomes]'
    undated = Fault("no-decision-date", "won, but without the time of the decision", fix, outcomes.decided_at)
    early = Fault("early-outcome", "decided before the lead was created", "correct the times", outcomes.decided_at)
    first = len(typed.faults)
    # a date without a time may lie before a lead that was created later on the same day
    days = "true" if "decided_at" in typed.days else "decided_at = date_trunc('day', decided_at)"
    decided = f"decided_at + CASE WHEN {days} THEN INTERVAL 1 DAY ELSE INTERVAL 0 DAY END"
    # likewise an opportunity may have been opened on the day it was decided; opened on a later one, nothing is known
    opened = (
        f"CASE WHEN decided_at IS NULL OR opened_at <= decided_at THEN opened_at WHEN opened_at < {decided} "
        "THEN decided_at END"
    )
    fault = (
        f"CASE WHEN {quoted(FAULT)} IS NOT NULL THEN {quoted(FAULT)} "
        f"WHEN {str(dated).lower()} AND label = 'won' AND decided_at IS NULL THEN {first} "
        f"WHEN label IN ('won', 'lost') AND decided_at < created_at AND {decided} <= created_at THEN {first + 1} END"
    )
    session.run(
        "CREATE TABLE raw.outcome_rows AS SELECT * EXCLUDE (created_at) "
        f"REPLACE ({fault} AS {quoted(FAULT)}, {opened} AS opened_at), "
        f"opened_at IS NOT NULL AND ({opened}) IS NULL AS opened_late FROM ("
        f"SELECT t.*, {_label_sql(outcomes)} AS label, coalesce(k.status, {UNKNOWN}) AS status, k.created_at "
        f"FROM {link_sql(typed.sql, time='decided_at') if linked else f'({typed.sql})'} AS t "
        "LEFT JOIN raw.known AS k USING (lead_id))"
    )
    return replace(typed, faults=(*typed.faults, undated, early)).over("raw.outcome_rows")


def _label_sql(outcomes: Outcomes) -> str:
    cases = [
        f"WHEN trim(outcome) IN ({literals(list(words))}) THEN '{label}'"
        for label, words in (("won", outcomes.won), ("lost", outcomes.lost), ("ignore", outcomes.ignore))
        if words
    ]
    # Without an outcome a row says something only where it says when sales opened the opportunity.
    rest = "WHEN trim(coalesce(outcome, '')) <> '' THEN 'unknown' WHEN opened_at IS NOT NULL THEN 'open'"
    return f"CASE {' '.join(cases)} {rest} END"


def _check_values(session: Session, findings: Findings, typed: Typed, outcomes: Outcomes) -> bool:
    """Refuse outcomes that no list of ``[outcomes]`` names; labels are never guessed."""
    found = session.rows(
        "SELECT outcome, count(*) AS n FROM raw.outcome_rows "
        f"WHERE label = 'unknown' AND status NOT IN ({FILTERED}, {SUPPRESSED}) GROUP BY ALL ORDER BY n DESC, outcome"
    )
    if not found:
        return True
    lists = ", ".join(f"{key} = [{listed(getattr(outcomes, key))}]" for key in ("won", "lost", "ignore"))
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    findings.problem(
        "unknown-outcome",
        typed.raw.file,
        f"the outcomes {listed([r['outcome'] for r in found[:10]])}{more} are in no list of [outcomes] ({lists})",
        "add each to won, lost or ignore in [outcomes], spelled exactly; leave the cell empty for open leads",
        column=outcomes.outcome,
        count=sum(r["n"] for r in found),
        total=typed.raw.rows_in,
    )
    return False


def _check_primary(session: Session, findings: Findings, typed: Typed, outcomes: Outcomes) -> bool:
    """Refuse words in ``is_primary`` that are neither yes nor no."""
    found = session.rows(
        "SELECT is_primary AS word, count(*) AS n FROM raw.outcome_rows "
        f"WHERE lower(trim(is_primary)) NOT IN ({literals([*_YES, *_NO])}) GROUP BY ALL ORDER BY n DESC, word"
    )
    if not found:
        return True
    findings.problem(
        "no-flag",
        typed.raw.file,
        f"neither yes nor no: {listed([r['word'] for r in found[:10]])}",
        "write true or false",
        column=outcomes.is_primary,
        count=sum(r["n"] for r in found),
        total=typed.raw.rows_in,
    )
    return False


def _check_dates(session: Session, findings: Findings, typed: Typed, *, share: float) -> None:
    """Wins without a date are measured against the wins: losing most of them would turn the labels around."""
    number, raw = len(typed.faults) - 2, typed.raw
    undated = f"label = 'won' AND {quoted(FAULT)} = {number}"
    found = session.one(
        f"SELECT count(*) FILTER ({undated}) AS undated, count(*) FILTER (label = 'won') AS wins, "
        "count(*) FILTER (label = 'lost' AND decided_at IS NULL) AS lost, "
        f"list({quoted(ROW)} ORDER BY {quoted(ROW)}) FILTER ({undated})[:5] AS rows, "
        "count(*) FILTER (opened_late) AS late "
        f"FROM raw.outcome_rows WHERE status = {USED}"
    )
    fault = typed.faults[number]
    if share * found["wins"] < found["undated"] <= share * raw.rows_in:
        what = f"{fault.what} ({found['wins']:,} were won)"
        place = {"column": fault.column, "count": found["undated"], "total": raw.rows_in, "rows": found["rows"]}
        findings.problem(fault.code, raw.file, what, fault.fix, **place)
    if found["lost"] and fault.column in raw.columns:
        findings.note(f"{raw.file}: {found['lost']:,} lost leads have no time of decision.")
    if found["late"]:
        findings.note(f"{raw.file}: {found['late']:,} rows were opened after they were decided; when is left out.")


def _finish(session: Session, findings: Findings, typed: Typed, *, share: float) -> pa.Table:
    read = {
        "outcome": "CASE label WHEN 'ignore' THEN 'ignored' WHEN 'open' THEN NULL ELSE label END",
        "decided_at": "CASE WHEN label <> 'open' THEN decided_at END",
        "is_primary": f"coalesce(lower(trim(is_primary)) IN ({literals(list(_YES))}), false)",
    }
    columns = ", ".join(f"{read.get(name, quoted(name))} AS {quoted(name)}" for name in OUTCOMES.names)
    # An ignored outcome with a time counts from that time on, as any other; without one the lead is left out for good.
    session.run(
        f"UPDATE raw.known SET status = {IGNORED} WHERE status = {USED} AND lead_id IN "
        f"(SELECT lead_id FROM raw.outcome_rows WHERE label = 'ignore' AND decided_at IS NULL AND status = {USED})"
    )
    good = (
        f"SELECT {columns} FROM raw.outcome_rows JOIN raw.known AS k USING (lead_id) "
        f"WHERE k.status = {USED} AND {quoted(FAULT)} IS NULL AND label IN ('won', 'lost', 'ignore', 'open')"
    )
    table = session.table(f"SELECT DISTINCT * FROM ({good}) ORDER BY {_ORDER}")
    _account(session, findings, typed, used=table.num_rows, share=share)
    return table.cast(OUTCOMES).combine_chunks()


def _account(session: Session, findings: Findings, typed: Typed, *, used: int, share: float) -> None:
    raw = typed.raw
    tell_stored_flags(session, findings, typed)
    groups = session.rows(
        f"SELECT CASE WHEN {quoted(FAULT)} = 0 OR o.status = {USED} THEN {quoted(FAULT)} END AS fault, "
        f"coalesce(k.status, {UNKNOWN}) AS status, label, count(*) AS n "
        "FROM raw.outcome_rows AS o LEFT JOIN raw.known AS k ON k.lead_id = o.lead_id GROUP BY ALL ORDER BY ALL"
    )
    faults: dict[int, int] = {}
    skipped: dict[str, int] = {}
    for group in groups:
        if group["fault"] is not None:
            faults[group["fault"]] = faults.get(group["fault"], 0) + group["n"]
        elif group["status"] != USED:
            reason = STATUS[group["status"]]
            skipped[reason] = skipped.get(reason, 0) + group["n"]
        elif group["label"] is None:
            skipped["open"] = skipped.get("open", 0) + group["n"]
    quarantined = set_faults_aside(
        session, findings, typed, faults, share=share, only=f"{quoted(FAULT)} = 0 OR status = {USED}"
    )
    twice = raw.rows_in - quarantined - used - sum(skipped.values())
    if twice:
        skipped["duplicate"] = twice
    if raw.rows_in and skipped.get(STATUS[UNKNOWN], 0) == raw.rows_in:
        no_overlap(findings, raw)
    findings.accounts.append(TableAccount("outcomes", raw.file, raw.rows_in, used, quarantined, skipped))
