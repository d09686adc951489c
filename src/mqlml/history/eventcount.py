"""The rows of all files of a folder of events, counted by what became of them; and the relation ``events``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.history.checked import ReadFile, digest_of
from mqlml.history.eventfile import COLUMNS
from mqlml.history.facts import NUMBER, Circumstances, account_rows, tell
from mqlml.history.files import Raw
from mqlml.history.findings import Fault, FaultyRow, Findings
from mqlml.history.identities import link_sql
from mqlml.history.layers import Flag
from mqlml.history.leads import STATUS, UNKNOWN, USED
from mqlml.history.session import Session, literal, literals, quoted
from mqlml.history.typed import Typed

if TYPE_CHECKING:
    from mqlml.config import Events

__all__ = ["count_together"]

_MOST_SHOWN = 5


def count_together(
    session: Session,
    findings: Findings,
    files: Sequence[ReadFile],
    parts: Sequence[Path],
    erased: Mapping[str, int],
    *,
    source: Events,
    around: Circumstances,
) -> None:
    """Account for the rows of all files, tell what was found and make the relation ``events``."""
    for note in (note for file in files for note in file.notes):
        findings.note(note)
    numbered = not around.has_links and all(file.numbered for file in files)
    columns = (*COLUMNS, NUMBER) if numbered else COLUMNS
    sql = f"SELECT {', '.join(map(quoted, columns))} FROM read_parquet([{literals([str(part) for part in parts])}])"
    raw = Raw("events", source.path, "", {}, is_text=False, rows_in=sum(file.rows for file in files), rejects={})
    flags = _summed(files)
    typed = Typed("events", raw, sql, columns, (), tuple(Flag("", sentence) for sentence in flags), frozenset())
    rows = session.one(f"SELECT count(*) AS n FROM ({sql})")["n"]
    typed = around.linked(typed, "occurred_at")
    by_status, early = _statuses(session, typed, rows)
    quarantined = _quarantine(session, findings, raw, files, by_status, source=source, around=around)
    for status, n in _statuses_of_erased(session, erased, around):
        by_status[status] = by_status.get(status, 0) + n
    used = by_status.pop(USED, 0)
    skipped = {STATUS[status]: n for status, n in by_status.items()}
    account_rows(
        findings, typed, used=used, quarantined=quarantined, skipped=dict(sorted(skipped.items())), source=source
    )
    counts = {f"flag{i}": n for i, n in enumerate(flags.values())}
    kinds = sorted({kind for file in files for kind in file.types})
    nothing = {"fault": None, "status": USED, "early": 0, **dict.fromkeys(counts, 0)}
    tell(
        findings,
        typed,
        [{**nothing, **counts, "kind": None, "early": early}, *({**nothing, "kind": k} for k in kinds)],
        source=source,
    )
    where = " WHERE lead_id NOT IN (SELECT lead_id FROM raw.suppressed)" if around.suppressed else ""
    session.run(f"CREATE VIEW events AS SELECT {', '.join(map(quoted, columns))} FROM ({typed.sql}){where}")


def _summed(files: Sequence[ReadFile]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for sentence, count in (flag for file in files for flag in file.flags):
        counts[sentence] = counts.get(sentence, 0) + count
    return counts


def _statuses(session: Session, typed: Typed, rows: int) -> tuple[dict[int, int], int]:
    """Count the usable rows by the status of their leads, and those before their lead was created."""
    lead = NUMBER if NUMBER in typed.columns else "lead_id"
    groups = session.rows(
        "SELECT k.status, count(*) AS n, count(*) FILTER (t.occurred_at < k.created_at) AS early "
        f"FROM ({typed.sql}) AS t JOIN raw.known AS k ON k.{lead} = t.{lead} GROUP BY ALL"
    )
    found = {row["status"]: row["n"] for row in groups}
    unknown = rows - sum(found.values())
    if unknown:
        found[UNKNOWN] = found.get(UNKNOWN, 0) + unknown
    return found, sum(row["early"] for row in groups if row["status"] == USED)


def _quarantine(
    session: Session,
    findings: Findings,
    raw: Raw,
    files: Sequence[ReadFile],
    by_status: dict[int, int],
    *,
    source: Events,
    around: Circumstances,
) -> int:
    """Set faulty rows aside, file by file; those of leads that do not count are added to ``by_status``."""
    rows = link_sql("SELECT * FROM raw.faulty", time="occurred_at") if around.has_links else "raw.faulty"
    counted = f"is_record OR fault = 0 OR status = {USED}"
    session.run(
        f"CREATE TABLE raw.set_aside AS SELECT *, {counted} AS counts "
        f"FROM (SELECT f.*, coalesce(k.status, {UNKNOWN}) AS status "
        f"FROM {rows} AS f LEFT JOIN raw.known AS k ON k.lead_id = f.lead_id)"
    )
    for row in session.rows("SELECT status, count(*) AS n FROM raw.set_aside WHERE NOT counts GROUP BY ALL"):
        by_status[row["status"]] = by_status.get(row["status"], 0) + row["n"]
    groups = session.rows(
        "SELECT file, fault, count(*) AS n FROM raw.set_aside WHERE counts GROUP BY file, fault, is_record "
        "ORDER BY file, is_record DESC, fault"
    )
    total = 0
    for file in files:
        counts = {row["fault"]: row["n"] for row in groups if row["file"] == file.name}
        limit = None if sum(counts.values()) <= source.max_quarantined_share * file.rows else _MOST_SHOWN
        faulty = {file.faults[fault]: _rows(session, file.name, fault, limit) for fault in counts}
        numbers: dict[Fault, int] = {file.faults[fault]: n for fault, n in counts.items()}
        place = replace(raw, file=f"{raw.file}/{file.name}", rows_in=file.rows)
        total += findings.set_aside("events", place, faulty, numbers, source.max_quarantined_share)
    return total


def _rows(session: Session, file: str, fault: int, limit: int | None) -> list[FaultyRow]:
    first = "" if limit is None else f" LIMIT {limit}"
    rows = session.rows(
        "SELECT row, line, raw FROM raw.set_aside "
        f"WHERE counts AND file = {literal(file)} AND fault = {fault} ORDER BY row{first}"
    )
    return [FaultyRow(row["row"], row["line"], row["raw"]) for row in rows]


def _statuses_of_erased(
    session: Session, erased: Mapping[str, int], around: Circumstances
) -> Iterator[tuple[int, int]]:
    """What the rows of people who are left alone would count as, were they here."""
    if not erased:
        return
    target = "coalesce(l.lead_id, s.lead_id)" if around.has_links else "s.lead_id"
    links = "LEFT JOIN links AS l ON l.other_id = s.lead_id" if around.has_links else ""
    rows = session.rows(
        f"SELECT s.lead_id, coalesce(k.status, {UNKNOWN}) AS status "
        f"FROM (SELECT DISTINCT lead_id FROM raw.suppressed) AS s {links} "
        f"LEFT JOIN raw.known AS k ON k.lead_id = {target}"
    )
    status = {digest_of(row["lead_id"]): row["status"] for row in rows}
    yield from ((status[digest], n) for digest, n in erased.items())
