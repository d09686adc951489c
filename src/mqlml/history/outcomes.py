"""What became of the leads: won or lost, when, and for how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from mqlml.history.columns import Field, listed, map_columns
from mqlml.history.contract import UTC_TIME, TableAccount
from mqlml.history.findings import Fault
from mqlml.history.leads import FILTERED, IGNORED, STATUS, SUPPRESSED, UNKNOWN, USED
from mqlml.history.session import ROW, literals, quoted
from mqlml.history.typed import FAULT, Typed, set_faults_aside, tell_flags, type_table

if TYPE_CHECKING:
    from mqlml.config import Config, Outcomes, Source
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

FIELDS = (
    Field("lead_id", "id", required=True),
    Field("outcome", "text"),
    Field("decided_at", "time"),
    Field("value", "number"),
    Field("lost_reason", "text"),
    Field("pipeline", "text"),
)

OUTCOMES = pa.schema(
    [
        ("lead_id", pa.string()),
        ("outcome", pa.string()),
        ("decided_at", UTC_TIME),
        ("value", pa.float64()),
        ("lost_reason", pa.string()),
        ("pipeline", pa.string()),
    ]
)

_OPEN, _TWICE = "open", "duplicate"


@dataclass(frozen=True)
class _Labels:
    """SQL over the typed outcomes that gives the label of a row."""

    sql: str

    @classmethod
    def of(cls, outcomes: Outcomes) -> _Labels:
        cases = [
            f"WHEN trim(outcome) IN ({literals(list(words))}) THEN '{label}'"
            for label, words in (("won", outcomes.won), ("lost", outcomes.lost), ("ignore", outcomes.ignore))
            if words
        ]
        return cls(f"CASE {' '.join(cases)} WHEN trim(coalesce(outcome, '')) <> '' THEN 'unknown' END")


def outcome_columns(config: Config, raw: Raw) -> tuple[str, ...]:
    """Columns of the leads file that tell the outcome; none when outcomes have their own file."""
    if config.outcomes.path:
        return ()
    names = (getattr(config.outcomes, field.name) for field in FIELDS[1:])
    return tuple(name for name in names if name in raw.columns)


def read_outcomes(session: Session, findings: Findings, raw: Raw, *, config: Config) -> pa.Table | None:
    """Read the outcomes and mark leads with an ignored one in ``raw.known``.

    Returns
    -------
    pa.Table or None
        Schema ``OUTCOMES``; None when the file cannot be used.
    """
    outcomes = config.outcomes
    source: Source = outcomes if outcomes.path else config.leads
    fields = (FIELDS[0], Field("outcome", "text", required=True), *FIELDS[2:])
    names = {field.name: getattr(outcomes, field.name) for field in fields}
    if not outcomes.path:
        names["lead_id"] = config.leads.id
    mapped = map_columns(findings, raw, fields, names=names, explicit=outcomes.model_fields_set)
    if mapped is None:
        return None
    missing = () if outcomes.path else config.leads.missing
    typed = type_table(
        session, findings, mapped, FIELDS, table="outcomes", source=source, timezone=config.leads.timezone, missing=missing
    )
    if typed is None:
        return None
    dated = mapped.columns["decided_at"] is not None
    if not dated:
        findings.note(f"{raw.file}: there is no time of decision; only the final outcome of each lead is known.")
    return _judge(session, findings, typed, source=source, outcomes=outcomes, dated=dated, linked=bool(config.links and outcomes.path))


def _judge(
    session: Session, findings: Findings, typed: Typed, *, source: Source, outcomes: Outcomes, dated: bool, linked: bool
) -> pa.Table | None:
    day = "date_trunc('day', k.created_at)" if dated else "NULL::TIMESTAMP"
    undated = Fault("no-decision-date", "won, but without the time of the decision", "fill it in, or set decided_at = \"\" in [outcomes]", outcomes.decided_at)
    early = Fault("early-outcome", "decided before the lead was created", "correct the times", outcomes.decided_at)
    first = len(typed.faults)
    typed = Typed(typed.table, typed.raw, typed.sql, typed.columns, (*typed.faults, undated, early), typed.flags)
    label = _Labels.of(outcomes).sql
    mapped = link_sql(typed.sql, time="decided_at") if linked else f"({typed.sql})"
    at_midnight = "t.decided_at = date_trunc('day', t.decided_at)"
    session.run(
        f"CREATE TABLE raw.outcome_rows AS SELECT * REPLACE (CASE WHEN {quoted(FAULT)} IS NOT NULL THEN {quoted(FAULT)} "
        f"WHEN {str(dated).lower()} AND label = 'won' AND decided_at IS NULL THEN {first} "
        f"WHEN label IN ('won', 'lost') AND early THEN {first + 1} END AS {quoted(FAULT)}) FROM ("
        f"SELECT t.*, {label} AS label, coalesce(k.status, {UNKNOWN}) AS status, "
        f"t.decided_at < CASE WHEN {at_midnight} THEN {day} ELSE k.created_at END AS early "
        f"FROM {mapped} AS t LEFT JOIN raw.known AS k USING (lead_id))"
    )
    stored = typed.over("raw.outcome_rows")
    if not _check_values(session, findings, stored, outcomes):
        return None
    _check_dates(session, findings, stored, share=source.max_quarantined_share, undated=first)
    return _finish(session, findings, stored, share=source.max_quarantined_share)


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
        "unknown-outcome", typed.raw.file,
        f"the outcomes {listed([r['outcome'] for r in found[:10]])}{more} are in no list of [outcomes] ({lists})",
        "add each to won, lost or ignore in [outcomes], spelled exactly; leave the cell empty for open leads",
        column=outcomes.outcome, count=sum(r["n"] for r in found), total=typed.raw.rows_in,
    )  # fmt: skip
    return False


def _check_dates(session: Session, findings: Findings, typed: Typed, *, share: float, undated: int) -> None:
    """Wins without a date are measured against the wins: losing most of them would turn the labels around."""
    found = session.one(
        f"SELECT count(*) FILTER ({quoted(FAULT)} = {undated}) AS undated, count(*) AS wins, "
        f"list({quoted(ROW)} ORDER BY {quoted(ROW)}) FILTER ({quoted(FAULT)} = {undated})[:5] AS rows "
        f"FROM raw.outcome_rows WHERE label = 'won' AND status = {USED}"
    )
    fault = typed.faults[undated]
    if found["undated"] > share * found["wins"] and found["undated"] <= share * typed.raw.rows_in:
        findings.problem(
            fault.code, typed.raw.file, f"{fault.what} ({found['wins']:,} were won)", fault.fix,
            column=fault.column, count=found["undated"], total=typed.raw.rows_in, rows=found["rows"],
        )  # fmt: skip
    lost = session.one(f"SELECT count(*) AS n FROM raw.outcome_rows WHERE label = 'lost' AND decided_at IS NULL AND status = {USED}")["n"]
    if lost and fault.column in typed.raw.columns:
        findings.note(f"{typed.raw.file}: {lost:,} lost leads have no time of decision.")


def _finish(session: Session, findings: Findings, typed: Typed, *, share: float) -> pa.Table:
    columns = ", ".join(quoted(name) for name in OUTCOMES.names).replace('"outcome"', "label AS outcome")
    session.run(
        f"UPDATE raw.known SET status = {IGNORED} WHERE status = {USED} AND lead_id IN "
        f"(SELECT lead_id FROM raw.outcome_rows WHERE label = 'ignore' AND status = {USED})"
    )
    good = (
        f"SELECT {columns} FROM raw.outcome_rows JOIN raw.known AS k USING (lead_id) "
        f"WHERE k.status = {USED} AND {quoted(FAULT)} IS NULL AND label IN ('won', 'lost')"
    )
    table = session.table(f"SELECT DISTINCT * FROM ({good}) ORDER BY lead_id, decided_at NULLS FIRST, outcome, value, lost_reason, pipeline")
    _account(session, findings, typed, used=table.num_rows, share=share)
    return table.cast(OUTCOMES).combine_chunks()


def _account(session: Session, findings: Findings, typed: Typed, *, used: int, share: float) -> None:
    raw = typed.raw
    flags = session.one(f"SELECT count(*) AS n{typed.flag_counts()} FROM raw.outcome_rows")
    tell_flags(findings, typed, [flags[f"flag{i}"] for i in range(len(typed.flags))])
    groups = session.rows(
        f"SELECT CASE WHEN o.lead_id IS NULL OR o.status = {USED} THEN {quoted(FAULT)} END AS fault, "
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
            skipped[_OPEN] = skipped.get(_OPEN, 0) + group["n"]
    quarantined = set_faults_aside(session, findings, typed, faults, share=share, only=f"lead_id IS NULL OR status = {USED}")
    twice = raw.rows_in - quarantined - used - sum(skipped.values())
    if twice:
        skipped[_TWICE] = twice
    if raw.rows_in and skipped.get(STATUS[UNKNOWN], 0) == raw.rows_in:
        no_overlap(findings, raw)
    findings.accounts.append(TableAccount("outcomes", raw.file, raw.rows_in, used, quarantined, skipped))


def no_overlap(findings: Findings, raw: Raw) -> None:
    """Refuse a file none of whose ids is a lead."""
    findings.problem(
        "no-overlap", raw.file, "none of its lead ids occurs among the leads",
        f"check [{raw.section}] lead_id, and that both files come from the same system", count=raw.rows_in, total=raw.rows_in,
    )  # fmt: skip


def link_sql(sql: str, *, time: str) -> str:
    """Replace merged and foreign ids by the lead they belong to from ``valid_from`` on."""
    return (
        "(SELECT t.* REPLACE (CASE WHEN l.lead_id IS NOT NULL AND "
        f"(l.valid_from IS NULL OR t.{quoted(time)} >= l.valid_from) THEN l.lead_id ELSE t.lead_id END AS lead_id) "
        f"FROM ({sql}) AS t LEFT JOIN links AS l ON l.other_id = t.lead_id)"
    )
