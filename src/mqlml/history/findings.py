"""What reading a history finds: problems that refuse it, notes, accounts and rows set aside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mqlml.errors import Problem
from mqlml.history.contract import QUARANTINE, TableAccount

if TYPE_CHECKING:
    from mqlml.history.files import Raw


@dataclass(frozen=True)
class Fault:
    """Why a row cannot be used, and what repairs it; a clause and an action without full stops."""

    code: str
    what: str
    fix: str
    column: str | None = None


@dataclass(frozen=True)
class FaultyRow:
    """A row that cannot be used, with its place and its raw content."""

    row: int
    line: int | None
    raw: str


@dataclass
class Findings:
    """Collects over all files, so that one run names everything that is wrong."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    accounts: list[TableAccount] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)

    def problem(self, code: str, file: str, what: str, fix: str, **place: Any) -> None:
        """Add something that refuses the run; ``place`` holds column, count, total and rows."""
        self.problems.append(Problem(code, file, what, fix, **place))

    def note(self, sentence: str) -> None:
        """Add a plain sentence once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def set_aside(
        self,
        table: str,
        raw: Raw,
        faulty: Mapping[Fault, Sequence[FaultyRow]],
        counts: Mapping[Fault, int],
        share: float,
    ) -> int:
        """Quarantine rows, or refuse the file when they are more than ``share`` of it.

        Returns
        -------
        int
            Rows quarantined.
        """
        total = sum(counts.values())
        refused = total > share * raw.rows_in
        for fault, count in counts.items():
            rows = faulty.get(fault, ())
            if refused:
                fix = f"{fault.fix}, or raise [{raw.section}] max_quarantined_share (now {share:.4g} of the rows)"
                self.problem(
                    fault.code,
                    raw.file,
                    fault.what,
                    fix,
                    column=fault.column,
                    count=count,
                    total=raw.rows_in,
                    rows=[r.row for r in rows],
                )
                continue
            where = f" (column '{fault.column}')" if fault.column else ""
            first = rows[0] if rows else None
            place = "" if first is None else f" (first in {f'line {first.line}' if first.line else f'row {first.row}'})"
            self.note(f"{raw.file}: {count:,} of {raw.rows_in:,} rows set aside{where}: {fault.what}{place}.")
            self.quarantined.extend(
                {"table": table, "file": raw.file, "row": r.row, "line": r.line, "reason": fault.what, "raw": r.raw}
                for r in rows
            )
        return total

    def quarantine(self) -> pa.Table:
        """All rows set aside, by table and row."""
        rows = sorted(self.quarantined, key=lambda r: (r["table"], r["row"], r["reason"]))
        return pa.Table.from_pylist(rows, schema=QUARANTINE)


def as_json(record: Mapping[str, Any]) -> str:
    """Write a raw row so that its values can be recovered exactly."""
    return json.dumps(record, ensure_ascii=False, default=str)
