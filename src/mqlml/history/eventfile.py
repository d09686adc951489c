"""One file of a folder of events, checked by itself; nothing that is found depends on who the leads are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from mqlml.history.checked import ReadFile, sha256_of, stamp_of
from mqlml.history.columns import is_whole, map_source
from mqlml.history.facts import EVENTS, NUMBER
from mqlml.history.files import open_source, recognise
from mqlml.history.findings import Findings, as_json
from mqlml.history.layers import FAULT
from mqlml.history.session import LINE, ROW, Session, literal, quoted
from mqlml.history.setaside import tell_flags
from mqlml.history.typed import Typed, type_table

if TYPE_CHECKING:
    from mqlml.config import Events

__all__ = ["COLUMNS", "FAULTY", "CheckedFile", "check_file"]

COLUMNS = tuple(field.name for field in EVENTS)
"""What is stored of an event, beside ``NUMBER``."""
FAULTY = (
    "file VARCHAR, fault INTEGER, is_record BOOLEAN, row BIGINT, line BIGINT, lead_id VARCHAR, occurred_at TIMESTAMP"
)
"""What is stored of a row that cannot be used; ``is_record``: it is not even a record of its CSV file."""

_STORED = ", ".join(map(quoted, (*COLUMNS, NUMBER)))
_FETCHED = 8_192


@dataclass(frozen=True)
class CheckedFile:
    """A file whose rows lie in the scratch folder."""

    file: ReadFile
    rows: Path


def check_file(
    session: Session,
    findings: Findings,
    name: str,
    path: Path,
    *,
    source: Events,
    timezone: str | None,
    keeps: bool,
) -> CheckedFile | None:
    """Check one file; its rows go to the scratch folder and to ``raw.faulty``. None where it cannot be used."""
    own, stamp, shown_as = Findings(), stamp_of(path), f"{source.path}/{name}"
    try:
        typed = _typed(session, own, path, shown_as, source=source, timezone=timezone)
        file, faulty = (None, 0) if typed is None else _facts(session, own, typed, name, stamp)
        if typed is None or file is None:
            return None
        rows = session.scratch / f"events-{len(list(session.scratch.glob('events-*.parquet')))}.parquet"
        if faulty or typed.raw.rejects:
            _set_rows_aside(session, typed, name, with_content=not keeps)
        good = f"SELECT {_STORED} FROM ({typed.sql}) WHERE {quoted(FAULT)} IS NULL"
        session.run(f"COPY ({good}) TO {literal(rows)} (FORMAT parquet, COMPRESSION zstd)")
    finally:
        findings.problems += [replace(problem, file=shown_as) for problem in own.problems]
        session.forget("events")
    return CheckedFile(replace(file, sha256=sha256_of(path)) if keeps else file, rows)


def _typed(
    session: Session, own: Findings, path: Path, name: str, *, source: Events, timezone: str | None
) -> Typed | None:
    """Open a file and plan how it becomes events."""
    if not path.stat().st_size:
        own.problem("empty-file", source.path, "the file has zero bytes", "export it again")
        return None
    if (kind := recognise(path)) not in ("parquet", "text", "gzip"):
        what = f"the file is {kind}, which a folder of events cannot hold"
        own.problem("format", source.path, what, "export it as CSV (UTF-8) or Parquet, or move it elsewhere")
        return None
    named = source.model_copy(update={"path": name})
    raw = open_source(session, own, section="events", source=named, root=path.parent, fetched=path)
    # What is said of columns is said once of all files; what is wrong with one names it in any case.
    mapped = None if raw is None else map_source(own, replace(raw, file=source.path), source, EVENTS)
    if mapped is None:
        return None
    raw = mapped.raw
    column = mapped.columns["lead_id"]
    number = f"{quoted(column)}::BIGINT" if column is not None and is_whole(raw.columns[column]) else "NULL::BIGINT"
    extras = {NUMBER: number}
    typed = type_table(session, own, mapped, EVENTS, table="events", source=source, timezone=timezone, extras=extras)
    if typed is not None and raw.is_text:
        session.run(f"CREATE TABLE raw.events_rows AS {typed.sql}")
        typed = typed.over("raw.events_rows")
    return typed


def _facts(
    session: Session, own: Findings, typed: Typed, name: str, stamp: tuple[int, ...]
) -> tuple[ReadFile | None, int]:
    """What one scan finds, and how many rows cannot be used; None where most rows are something else."""
    fault = f"{quoted(FAULT)} IS NULL"
    row = session.one(
        f"SELECT count(*) FILTER (NOT {fault}) AS faulty, count(*) FILTER ({fault} AND {NUMBER} IS NULL) AS nameless, "
        f"list(DISTINCT event_type) AS types{typed.flag_counts()} FROM ({typed.sql})"
    )
    counts = [row[f"flag{i}"] for i in range(len(typed.flags))]
    tell_flags(own, typed, [n if flag.refuse else 0 for flag, n in zip(typed.flags, counts, strict=True)])
    if own.problems:
        return None, row["faulty"]
    file = ReadFile(
        name=name,
        stamp=stamp,
        sha256="",
        rows=typed.raw.rows_in,
        numbered=not row["nameless"],
        types=tuple(sorted(kind for kind in row["types"] or () if kind is not None)),
        notes=tuple(own.notes),
        flags=tuple((flag.sentence, n) for flag, n in zip(typed.flags, counts, strict=True) if flag.sentence and n),
        faults=(*typed.faults, *typed.raw.rejects),
    )
    return file, row["faulty"]


def _set_rows_aside(session: Session, typed: Typed, name: str, *, with_content: bool) -> None:
    """Remember the place of each row that cannot be used, and its content where nothing is kept."""
    columns = "".join(f", r.{quoted(c)}" for c in typed.raw.columns) if with_content else ""
    joined = f"JOIN {typed.raw.relation} AS r ON r.{quoted(ROW)} = t.{quoted(ROW)}" if with_content else ""
    query = (
        f'SELECT t.{quoted(FAULT)} AS "mqlml:0", t.{quoted(ROW)} AS "mqlml:1", t.{quoted(LINE)} AS "mqlml:2", '
        f't.lead_id AS "mqlml:3", t.occurred_at AS "mqlml:4"{columns} '
        f"FROM (SELECT * FROM ({typed.sql}) WHERE {quoted(FAULT)} IS NOT NULL) AS t {joined}"
    )
    with session.connection.cursor() as cursor:
        for batch in session.connection.sql(query).to_arrow_reader(_FETCHED):
            _insert(cursor, [_faulty(name, row) for row in batch.to_pylist()])
        for number, rejected in enumerate(typed.raw.rejects.values(), len(typed.faults)):
            _insert(
                cursor,
                [(name, number, True, r.row, r.line, None, None, r.raw if with_content else "") for r in rejected],
            )


def _faulty(name: str, row: dict[str, Any]) -> tuple[Any, ...]:
    fault, place, line, lead_id, moment = (row.pop(f"mqlml:{i}") for i in range(5))
    return (name, fault, False, place, line, lead_id, moment, as_json(row) if row else "")


def _insert(cursor: duckdb.DuckDBPyConnection, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    kinds = (pa.string(), pa.int32(), pa.bool_(), pa.int64(), pa.int64(), pa.string(), pa.timestamp("us"), pa.string())
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    cursor.register("rows_set_aside", pa.table(columns, names=[f"c{i}" for i in range(len(kinds))]))
    cursor.execute("INSERT INTO raw.faulty FROM rows_set_aside")
    cursor.unregister("rows_set_aside")
