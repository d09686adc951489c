"""A table of the contract as SQL over a raw relation: typed columns, the fault of each row, and what to flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mqlml.history.columns import Field, Mapped, finite_sql, id_sql, is_numeric, is_text, number_sql, text_sql
from mqlml.history.csvrecords import LARGEST_CELL
from mqlml.history.findings import Fault, FaultyRow, Findings, as_json
from mqlml.history.session import LINE, ROW, Session, quoted
from mqlml.history.timestamps import Reading, read_times
from mqlml.history.zones import LocalTime

if TYPE_CHECKING:
    from mqlml.config import Source
    from mqlml.history.files import Raw

FAULT = "mqlml:fault"
"""Column of every typed relation: number of the row's fault, null for a good row."""

_SHOWN = 5
_MISSING_BEFORE = "TIMESTAMP '1900-01-02 12:00:00'"
_MISSING_FROM = "TIMESTAMP '2999-12-30 00:00:00'"
_PLAUSIBLE = "BETWEEN TIMESTAMP '1990-01-01' AND TIMESTAMP '2100-01-01'"


@dataclass(frozen=True)
class Flag:
    """A condition that is counted and told, without stopping a row.

    Parameters
    ----------
    predicate : str
        SQL over the typed relation.
    sentence : str
        With ``{count}`` in it.
    refuse : Fault or None
        Refuses the file when more than half of its rows are concerned.
    """

    predicate: str
    sentence: str
    refuse: Fault | None = None


@dataclass(frozen=True)
class Typed:
    """Typed columns, ``ROW``, ``LINE`` and ``FAULT`` as a query.

    Parameters
    ----------
    table : str
        Name in the contract.
    raw : Raw
    sql : str
    columns : tuple of str
        Contract columns of ``sql``.
    faults : tuple of Fault
        Indexed by ``FAULT``.
    flags : tuple of Flag
    """

    table: str
    raw: Raw
    sql: str
    columns: tuple[str, ...]
    faults: tuple[Fault, ...]
    flags: tuple[Flag, ...]

    def flag_counts(self) -> str:
        """SQL that counts every flag, as ``flag0``, ``flag1`` ..."""
        return "".join(f", count(*) FILTER ({flag.predicate}) AS flag{i}" for i, flag in enumerate(self.flags))

    def over(self, relation: str) -> Typed:
        """Read the same columns from a relation that holds them."""
        return replace(self, sql=f"SELECT * FROM {relation}")


@dataclass
class _Layers:
    """Expressions by layer: over the raw relation, then UTC, then what is missing or faulty."""

    read: dict[str, str]
    utc: dict[str, str]
    final: dict[str, str]
    faults: list[tuple[str, Fault]]
    flags: list[Flag]


def type_table(
    session: Session,
    findings: Findings,
    mapped: Mapped,
    fields: Sequence[Field],
    *,
    table: str,
    source: Source,
    timezone: str | None,
    relation: str | None = None,
    extras: Mapping[str, str] | None = None,
    missing: Sequence[str] = (),
) -> Typed | None:
    """Plan how a raw relation becomes a table of the contract; nothing is executed but a look at texts.

    Parameters
    ----------
    session, findings, mapped, fields
        Where it lives and what is read from which column.
    table : str
        Name in the contract.
    source : Source
        Declares decimal sign, format of times and the share that may be set aside.
    timezone : str or None
        Zone of naive times; None means UTC, with a note.
    relation : str, optional
        SQL to read instead of ``mapped.raw.relation``.
    extras : mapping of str to str, optional
        Further columns by name, as SQL over the raw relation.
    missing : sequence of str
        Tokens that become null in texts, numbers and times.

    Returns
    -------
    Typed or None
        None when a column cannot be read; the reason is among the problems.
    """
    raw = mapped.raw
    times = {f.name: c for f in fields if f.kind == "time" and (c := mapped.columns[f.name]) is not None}
    readings = read_times(session, findings, raw, source=source, columns=list(times.values()), missing=missing)
    layers = _Layers({}, {}, {}, [], [])
    complete = len(readings) == len(set(times.values()))
    for field in fields:
        column = mapped.columns[field.name]
        if column is None:
            kind = {"time": "TIMESTAMP", "number": "DOUBLE"}.get(field.kind, "VARCHAR")
            layers.final[field.name] = f"NULL::{kind}"
        elif field.kind == "time":
            if column in readings:
                _add_time(layers, findings, raw, field, column=column, reading=readings[column], timezone=timezone)
        else:
            complete &= _add_value(layers, findings, raw, field, column=column, decimal=source.decimal, missing=missing)
    if not complete:
        return None
    names = (*layers.final, *(extras or {}))
    sql = _assemble(layers, relation or raw.relation, dict(extras or {}))
    return Typed(table, raw, sql, names, tuple(f for _, f in layers.faults), tuple(layers.flags))


def _assemble(layers: _Layers, relation: str, extras: dict[str, str]) -> str:
    place = f"{quoted(ROW)}, {quoted(LINE)}"
    kept = "".join(f", {quoted(name)}" for name in extras)
    read = "".join(f", {sql} AS {quoted(name)}" for name, sql in (layers.read | extras).items())
    utc = "".join(f", {sql} AS {quoted(name)}" for name, sql in layers.utc.items())
    final = "".join(f", {sql} AS {quoted(name)}" for name, sql in layers.final.items())
    cases = " ".join(f"WHEN {predicate} THEN {i}" for i, (predicate, _) in enumerate(layers.faults))
    fault = f"CASE {cases} END" if cases else "NULL::INTEGER"
    signals = "".join(f", ({flag.predicate}) AS {quoted(f'mqlml:flag{i}')}" for i, flag in enumerate(layers.flags))
    layers.flags = [replace(f, predicate=quoted(f"mqlml:flag{i}")) for i, f in enumerate(layers.flags)]
    return (
        f"SELECT {place}{kept}{final}, {fault} AS {quoted(FAULT)}{signals} FROM "
        f"(SELECT *{utc} FROM (SELECT {place}{read} FROM {relation}))"
    )


def _add_value(
    layers: _Layers, findings: Findings, raw: Raw, field: Field, *, column: str, decimal: str, missing: Sequence[str]
) -> bool:
    type_ = raw.columns[column]
    value = quoted(f"{field.name}:read")
    if field.kind == "number":
        if not is_numeric(type_) and not raw.is_text:
            what = f"the values are {type_}, numbers are needed"
            findings.problem("number-type", raw.file, what, "store numbers", column=column)
            return False
        text = text_sql(column, "VARCHAR", missing=missing)
        layers.read[f"{field.name}:read"] = number_sql(f"trim({text})", decimal=decimal) if raw.is_text else f"{quoted(column)}::DOUBLE"
        layers.final[field.name] = finite_sql(value)
        layers.flags.append(Flag(f"NOT isfinite({value})", f"{{count}} values of '{column}' in {raw.file} are NaN or infinite and count as missing."))
        if raw.is_text:
            layers.read[f"{field.name}:present"] = f"{text} IS NOT NULL"
            fault = Fault("number", "no number", f'write plain numbers, or set decimal = "," in [{raw.section}]', column)
            layers.faults.append((f"{quoted(f'{field.name}:present')} AND {value} IS NULL", fault))
        return True
    if not is_text(type_) and not is_numeric(type_):
        findings.problem("text-type", raw.file, f"the values are {type_}, texts are needed", "store texts", column=column)
        return False
    is_id = field.kind == "id"
    layers.read[f"{field.name}:read"] = id_sql(column, type_) if is_id else text_sql(column, type_, missing=missing)
    layers.final[field.name] = value
    if field.required:
        layers.faults.append((f"{value} IS NULL", Fault("blank", f"no {field.name}", "fill it in", column)))
    long = Fault("long-cell", f"a text of {LARGEST_CELL:,} bytes or more", "shorten it", column)
    layers.faults.append((f"strlen({value}) >= {LARGEST_CELL}", long))
    return True


def _add_time(
    layers: _Layers, findings: Findings, raw: Raw, field: Field, *, column: str, reading: Reading, timezone: str | None
) -> None:
    name = field.name
    local, instant, present, utc = (quoted(f"{name}:{part}") for part in ("local", "instant", "present", "utc"))
    zone = LocalTime(timezone or "UTC")
    options = []
    layers.read[f"{name}:present"] = reading.present
    if reading.instant is not None:
        layers.read[f"{name}:instant"] = reading.instant
        options.append(instant)
    if reading.local is not None:
        whole = f" + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND" if reading.days and field.whole_day else ""
        layers.read[f"{name}:local"] = f"({reading.local}){whole}"
        options.append(f"({zone.utc(local)})")
        _note_local(layers, findings, raw, field, column=column, reading=reading, timezone=timezone)
    layers.utc[f"{name}:utc"] = options[0] if len(options) == 1 else f"coalesce({', '.join(options)})"
    sentinel = f"({utc} < {_MISSING_BEFORE} OR {utc} >= {_MISSING_FROM})"
    layers.final[name] = f"CASE WHEN {sentinel} THEN NULL ELSE {utc} END"
    told = f"{{count}} times in '{column}' of {raw.file} are placeholders such as 1900-01-01 or 9999-12-31 and count as missing."
    layers.flags.append(Flag(sentinel, told))
    epoch = Fault(
        "implausible-time", "most times lie before 1990 or after 2100, as when seconds are read as milliseconds or the other way round",
        "check the unit in which the times were stored", column,
    )  # fmt: skip
    layers.flags.append(Flag(f"{utc} NOT {_PLAUSIBLE}", "", refuse=epoch))
    skipped = Fault("no-such-time", "a time that does not exist (such as 30 February, or an hour the clock skips)", "correct it", column)
    layers.faults.append((f"{present} AND {utc} IS NULL", skipped))
    if field.required:
        layers.faults.append((f"{utc} IS NULL OR {sentinel}", Fault("blank", f"no {name}", "fill it in", column)))


def _note_local(
    layers: _Layers, findings: Findings, raw: Raw, field: Field, *, column: str, reading: Reading, timezone: str | None
) -> None:
    if timezone is None:
        findings.note(f"'{column}' of {raw.file} names no time zone and is read as UTC; [leads] timezone declares another.")
        return
    told = f"{{count}} times in '{column}' of {raw.file} happened twice when the clock was set back; the earlier instant is taken."
    ambiguous = LocalTime(timezone).ambiguous(quoted(f"{field.name}:local"))
    if ambiguous != "false" and not reading.days:
        layers.utc[f"{field.name}:ambiguous"] = ambiguous
        layers.flags.append(Flag(quoted(f"{field.name}:ambiguous"), told))
    

def tell_flags(findings: Findings, typed: Typed, counts: Sequence[int]) -> None:
    """Turn the counts of the flags into notes, or problems where most rows are concerned."""
    for flag, count in zip(typed.flags, counts, strict=True):
        if flag.refuse is not None:
            if count > typed.raw.rows_in / 2:
                fault = flag.refuse
                findings.problem(
                    fault.code, typed.raw.file, fault.what, fault.fix, column=fault.column, count=count, total=typed.raw.rows_in
                )
        elif count:
            findings.note(flag.sentence.format(count=f"{count:,}"))


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
    rows: list[dict[str, Any]] = session.rows(
        f"SELECT t.{quoted(ROW)}, t.{quoted(LINE)}, {columns} "
        f"FROM (SELECT * FROM ({typed.sql}) WHERE {quoted(FAULT)} = {fault} AND ({only})"
        f" ORDER BY {quoted(ROW)}{'' if limit is None else f' LIMIT {limit}'}) AS t "
        f"JOIN {typed.raw.relation} AS r ON r.{quoted(ROW)} = t.{quoted(ROW)} ORDER BY t.{quoted(ROW)}"
    )
    return [FaultyRow(r.pop(ROW), r.pop(LINE), as_json(r)) for r in rows]
