"""The SQL of a typed table in three layers: as written in the file, in UTC, and what is missing or faulty then.

Layers keep long expressions from being repeated: the tree of a time zone asks for the local time a dozen times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mqlml.history.columns import Field, blank_sql, finite_sql, is_numeric, is_text, number_sql, text_sql
from mqlml.history.csvrecords import LARGEST_CELL
from mqlml.history.findings import Fault
from mqlml.history.session import LINE, ROW, quoted
from mqlml.history.zones import LocalTime

if TYPE_CHECKING:
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.timestamps import Reading

FAULT = "mqlml:fault"
"""Column of every typed relation: number of the row's fault, null for a good row."""

_MISSING_BEFORE = "TIMESTAMP '1900-01-02 12:00:00'"
_MISSING_FROM = "TIMESTAMP '2999-12-30 00:00:00'"
_PLAUSIBLE = "BETWEEN TIMESTAMP '1990-01-01' AND TIMESTAMP '2100-01-01'"
_LAST_MOMENT = "INTERVAL 1 DAY - INTERVAL 1 MICROSECOND"


@dataclass(frozen=True)
class Flag:
    """A condition that is counted and told, without stopping a row.

    Parameters
    ----------
    predicate : str
        SQL over the typed relation.
    sentence : str
        With ``{count}`` in it; empty when the count is needed but not worth telling.
    refuse : Fault or None
        Refuses the file when more than half of its rows are concerned.
    """

    predicate: str
    sentence: str
    refuse: Fault | None = None


@dataclass
class Layers:
    """Collects the expressions of the fields of one table.

    Parameters
    ----------
    raw : Raw
    findings : Findings
    decimal : str
        Decimal sign of numbers written as text.
    missing : sequence of str
        Tokens that become null.
    timezone : str or None
        Zone of naive times.
    plain : bool
        Nothing in the file needs repair.
    """

    raw: Raw
    findings: Findings
    decimal: str
    missing: Sequence[str]
    timezone: str | None
    plain: bool
    read: dict[str, str] = field(default_factory=dict)
    utc: dict[str, str] = field(default_factory=dict)
    final: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    days: set[str] = field(default_factory=set)

    def add_nothing(self, part: Field) -> None:
        """Make a field null in every row."""
        kind = {"time": "TIMESTAMP", "number": "DOUBLE"}.get(part.kind, "VARCHAR")
        self.final[part.name] = f"NULL::{kind}"

    def add_number(self, part: Field, column: str) -> bool:
        """Read a number; False when the column holds none."""
        type_ = self.raw.columns[column]
        if not is_numeric(type_) and not self.raw.is_text:
            what = f"the values are {type_}, numbers are needed"
            self.findings.problem("number-type", self.raw.file, what, "store numbers", column=column)
            return False
        text = text_sql(column, "VARCHAR", missing=self.missing)
        number = number_sql(f"trim({text})", decimal=self.decimal) if self.raw.is_text else f"{quoted(column)}::DOUBLE"
        value = self._read(part, number)
        self.final[part.name] = value if self.plain else finite_sql(value)
        told = f"{{count}} values of '{column}' in {self.raw.file} are NaN or infinite and count as missing."
        self.flags.append(Flag(f"NOT isfinite({value})", told))
        if self.raw.is_text:
            present = self._read(part, f"{text} IS NOT NULL", step="present")
            fix = f'write plain numbers, or set decimal = "," in [{self.raw.section}]'
            self.faults.append((f"{present} AND {value} IS NULL", Fault("number", "no number", fix, column)))
        if part.required:
            self.faults.append((f"{value} IS NULL", _blank(part, column)))
        return True

    def add_text(self, part: Field, column: str) -> bool:
        """Read an id or a text; False when the column holds something else."""
        type_ = self.raw.columns[column]
        if not is_text(type_) and not is_numeric(type_):
            what = f"the values are {type_}, texts are needed"
            self.findings.problem("text-type", self.raw.file, what, "store texts", column=column)
            return False
        # required texts stay as they are: making blanks null would slow every scan of a clean file down
        as_is = self.plain or part.required
        value = self._read(part, text_sql(column, type_, missing=self.missing, blank=as_is))
        self.final[part.name] = value
        if is_numeric(type_) and not self.missing:  # never blank nor long: its text need not be made
            if part.required:
                self.faults.append((f"{self._read(part, quoted(column), step='number')} IS NULL", _blank(part, column)))
            return True
        if part.required:
            self.faults.append((f"{value} IS NULL OR {blank_sql(value)}", _blank(part, column)))
        elif not self.plain:
            if part.kind == "id":
                self.final[part.name] = f"CASE WHEN {blank_sql(value)} THEN NULL ELSE {value} END"
            if type_ == "VARCHAR" and not self.raw.is_text:
                self.flags.append(Flag(self._read(part, blank_sql(quoted(column)), step="empty"), ""))
        long = Fault("long-cell", f"a text of {LARGEST_CELL:,} bytes or more", "shorten it", column)
        self.faults.append((f"strlen({value}) >= {LARGEST_CELL}", long))
        return True

    def add_time(self, part: Field, column: str, reading: Reading) -> None:
        """Read a time, make it UTC, and find what is missing, impossible, ambiguous or implausible."""
        utc = quoted(f"{part.name}:utc")
        options = []
        if reading.instant is not None:
            options.append(self._read(part, reading.instant, step="instant"))
        if reading.local is not None:
            options.append(self._local(part, column, reading))
        self.utc[f"{part.name}:utc"] = options[0] if len(options) == 1 else f"coalesce({', '.join(options)})"
        missing = f"({utc} < {_MISSING_BEFORE} OR {utc} >= {_MISSING_FROM})"
        self.final[part.name] = utc if self.plain else f"CASE WHEN {missing} THEN NULL ELSE {utc} END"
        place = f"in '{column}' of {self.raw.file}"
        self.flags.append(
            Flag(missing, f"{{count}} times {place} are placeholders (1900-01-01, 9999-12-31) and count as missing.")
        )
        self.flags.append(Flag(f"{utc} NOT {_PLAUSIBLE} AND NOT {missing}", "", refuse=_implausible(column)))
        present = self._read(part, reading.present, step="present")
        self.faults.append((f"{present} AND {utc} IS NULL", _impossible(column)))
        if part.required:
            self.faults.append((f"{utc} IS NULL OR {missing}", _blank(part, column)))

    def sql(self, relation: str, extras: dict[str, str]) -> str:
        """Put the layers together; flags then refer to columns of the result."""
        place = f"{quoted(ROW)}, {quoted(LINE)}"
        kept = "".join(f", {quoted(name)}" for name in extras)
        cases = " ".join(f"WHEN {predicate} THEN {i}" for i, (predicate, _) in enumerate(self.faults))
        signals = {f"mqlml:flag{i}": f"({flag.predicate})" for i, flag in enumerate(self.flags)}
        self.flags = [replace(flag, predicate=quoted(f"mqlml:flag{i}")) for i, flag in enumerate(self.flags)]
        fault = {FAULT: f"CASE {cases} END" if cases else "NULL::INTEGER"}
        return (
            f"SELECT {place}{kept}{_named(self.final | fault | signals)} FROM "
            f"(SELECT *{_named(self.utc)} FROM (SELECT {place}{_named(self.read | extras)} FROM {relation}))"
        )

    def _read(self, part: Field, sql: str, *, step: str = "read") -> str:
        self.read[f"{part.name}:{step}"] = sql
        return quoted(f"{part.name}:{step}")

    def _local(self, part: Field, column: str, reading: Reading) -> str:
        place = f"'{column}' of {self.raw.file}"
        whole_day = reading.days and part.whole_day
        local = self._read(
            part, f"({reading.local}) + {_LAST_MOMENT}" if whole_day else reading.local or "", step="local"
        )
        if reading.days:
            self.days.add(part.name)
        if whole_day:
            self.findings.note(f"{place} holds dates without times; they count as known when that day is over.")
        if self.timezone is None:
            self.findings.note(f"{place} names no time zone and is read as UTC; [leads] timezone declares another.")
            return local
        zone = LocalTime(self.timezone)
        ambiguous = zone.ambiguous(local)
        if ambiguous != "false" and not reading.days and not self.plain:
            self.utc[f"{part.name}:ambiguous"] = ambiguous
            told = (
                f"{{count}} times in {place} happened twice, as the clock was set back; the earlier instant is taken."
            )
            self.flags.append(Flag(quoted(f"{part.name}:ambiguous"), told, refuse=None))
        return f"({zone.utc(local)})"


def _named(expressions: dict[str, str]) -> str:
    return "".join(f", {sql} AS {quoted(name)}" for name, sql in expressions.items())


def _blank(part: Field, column: str) -> Fault:
    return Fault("blank", f"no {part.name}", "fill it in", column)


def _implausible(column: str) -> Fault:
    what = "most times lie before 1990 or after 2100, as when seconds are read as milliseconds or the other way round"
    return Fault("implausible-time", what, "check the unit in which the times were stored", column)


def _impossible(column: str) -> Fault:
    what = "a time that does not exist or cannot be read (such as 30 February, or an hour the clock skips)"
    return Fault("no-such-time", what, "correct it", column)
