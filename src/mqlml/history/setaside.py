"""Rows that cannot be used are set aside with their place and content; what is odd but usable is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mqlml.history.findings import Fault, FaultyRow, Findings, as_json
from mqlml.history.layers import FAULT
from mqlml.history.session import LINE, ROW, Session, quoted

if TYPE_CHECKING:
    from mqlml.history.typed import Typed

_SHOWN = 5


def tell_stored_flags(session: Session, findings: Findings, typed: Typed, *, only: str = "true") -> None:
    """Count and tell the flags of a table that is stored, in the rows that satisfy ``only``."""
    row = session.one(f"SELECT count(*) AS n{typed.flag_counts()} FROM ({typed.sql}) WHERE {only}")
    tell_flags(findings, typed, [row[f"flag{i}"] for i in range(len(typed.flags))])


def tell_flags(findings: Findings, typed: Typed, counts: Sequence[int]) -> None:
    """Turn the counts of the flags into notes, or problems where most rows are concerned."""
    raw = typed.raw
    for flag, count in zip(typed.flags, counts, strict=True):
        if flag.refuse is None:
            if count and flag.sentence:
                findings.note(flag.sentence.format(count=f"{count:,}"))
        elif count > raw.rows_in / 2:
            fault = flag.refuse
            place = {"column": fault.column, "count": count, "total": raw.rows_in}
            findings.problem(fault.code, raw.file, fault.what, fault.fix, **place)


def count_faults(session: Session, typed: Typed, *, only: str = "true") -> dict[int, int]:
    """Count the rows of a stored table by number of their fault."""
    rows = session.rows(
        f"SELECT {quoted(FAULT)} AS fault, count(*) AS n FROM ({typed.sql}) "
        f"WHERE {quoted(FAULT)} IS NOT NULL AND ({only}) GROUP BY ALL ORDER BY ALL"
    )
    return {row["fault"]: row["n"] for row in rows}


def set_faults_aside(
    session: Session, findings: Findings, typed: Typed, counts: Mapping[int, int], *, share: float, only: str = "true"
) -> int:
    """Quarantine the faulty rows of a table, those its file already rejected included.

    Parameters
    ----------
    session, findings, typed
    counts : mapping of int to int
        Rows by number of their fault.
    share : float
        Largest share of the rows that may be set aside.
    only : str
        SQL over the typed relation: faulty rows outside it were skipped for another reason.

    Returns
    -------
    int
        Rows set aside.
    """
    total = sum(counts.values()) + sum(map(len, typed.raw.rejects.values()))
    limit = None if total <= share * typed.raw.rows_in else _SHOWN
    faulty: dict[Fault, list[FaultyRow]] = {f: list(rows) for f, rows in typed.raw.rejects.items()}
    numbers: dict[Fault, int] = {f: len(rows) for f, rows in faulty.items()}
    for fault, rows in counts.items():
        faulty[typed.faults[fault]] = _faulty_rows(session, typed, fault, only, limit)
        numbers[typed.faults[fault]] = rows
    return findings.set_aside(typed.table, typed.raw, faulty, numbers, share)


def _faulty_rows(session: Session, typed: Typed, fault: int, only: str, limit: int | None) -> list[FaultyRow]:
    columns = ", ".join(f"r.{quoted(c)}" for c in typed.raw.columns)
    row, first = quoted(ROW), "" if limit is None else f" LIMIT {limit}"
    chosen = f"SELECT * FROM ({typed.sql}) WHERE {quoted(FAULT)} = {fault} AND ({only}) ORDER BY {row}{first}"
    rows: list[dict[str, Any]] = session.rows(
        f"SELECT t.{row}, t.{quoted(LINE)}, {columns} FROM ({chosen}) AS t "
        f"JOIN {typed.raw.relation} AS r ON r.{row} = t.{row} ORDER BY t.{row}"
    )
    return [FaultyRow(r.pop(ROW), r.pop(LINE), as_json(r)) for r in rows]
