"""Columns of a table: found under the user's names and read as ids, texts or numbers, without guessing."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mqlml.errors import shown
from mqlml.history.files import Raw, nearest
from mqlml.history.session import literals, quoted

if TYPE_CHECKING:
    from mqlml.config import Source
    from mqlml.history.findings import Findings

Kind = Literal["id", "text", "time", "number"]

_NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|VARINT|BIGNUM)$")
_WHOLE = re.compile(r"(U?(TINY|SMALL)INT|U?INTEGER|BIGINT)$")
_LOOKS_LIKE_DATA = re.compile(r"\s*([+-]?\d+([.,]\d+)?|\d{4}-\d\d-\d\d.*)\s*$")


@dataclass(frozen=True)
class Field:
    """A column of the contract.

    Parameters
    ----------
    name : str
        The contract's name, which is also the configuration key.
    kind : {"id", "text", "time", "number"}
    required : bool
        The column must exist and rows without a value are set aside.
    whole_day : bool
        A date without a time counts only when its day is over, so that a fact of today is not known this morning.
    within : str
        The sub-section of the configuration that names the column; empty: the table's own section.
    """

    name: str
    kind: Kind
    required: bool = False
    whole_day: bool = False
    within: str = ""


@dataclass(frozen=True)
class Mapped:
    """The user's column behind each field, None where an optional one does not exist."""

    raw: Raw
    columns: Mapping[str, str | None]

    def types(self) -> dict[str, str]:
        """DuckDB types of the fields that have a column."""
        return {field: self.raw.columns[column] for field, column in self.columns.items() if column is not None}


def map_columns(
    findings: Findings,
    raw: Raw,
    fields: Sequence[Field],
    *,
    names: Mapping[str, str | None],
    keys: Mapping[str, str],
    explicit: Container[str],
) -> Mapped | None:
    """Find the column of every field; missing required or explicitly named ones are problems.

    Parameters
    ----------
    findings : Findings
    raw : Raw
    fields : sequence of Field
    names : mapping of str to str or None
        The user's column name by field; empty or None means there is none.
    keys : mapping of str to str
        The configuration key by field, for messages.
    explicit : container of str
        Fields the user mapped, instead of leaving the default name.

    Returns
    -------
    Mapped or None
        None when a column is missing.
    """
    columns: dict[str, str | None] = {}
    complete = True
    for field in fields:
        name = names[field.name] or None
        columns[field.name] = name if name in raw.columns else None
        if columns[field.name] is None and (field.required or (name is not None and field.name in explicit)):
            report_missing(findings, raw, key=keys[field.name], name=name or "")
            complete = False
    return Mapped(raw, columns) if complete else None


def map_source(findings: Findings, raw: Raw, source: Source, fields: Sequence[Field]) -> Mapped | None:
    """Find the columns of a section whose keys are the names of the fields."""
    sections = {field.name: getattr(source, field.within) if field.within else source for field in fields}
    names = {name: getattr(section, name) for name, section in sections.items()}
    keys = {f.name: f"[{'.'.join(filter(None, (raw.section, f.within)))}] {f.name}" for f in fields}
    explicit = {name for name, section in sections.items() if name in section.model_fields_set}
    return map_columns(findings, raw, fields, names=names, keys=keys, explicit=explicit)


def report_missing(findings: Findings, raw: Raw, *, key: str, name: str, listed: bool = False) -> None:
    """Say that a column does not exist, with those that resemble it; ``listed``: the key is a list that names it."""
    names = list(raw.columns)
    headerless = raw.is_text and any(_LOOKS_LIKE_DATA.match(n) for n in names)
    hint = "; the first row looks like data, not like names" if headerless else ""
    what = f"there is no such column{hint}; {nearest(name, names)}"
    fix = f"correct the name in {key}, or take it out of the list" if listed else f"name the column in {key}"
    findings.problem("no-column", raw.file, what, fix, column=name)


def is_numeric(type_: str) -> bool:
    """Whether a DuckDB type is a number."""
    return _NUMERIC.match(type_) is not None


def is_whole(type_: str) -> bool:
    """Whether a DuckDB type holds whole numbers that fit into 64 bits."""
    return _WHOLE.match(type_) is not None


def is_text(type_: str) -> bool:
    """Whether values of a DuckDB type are texts without loss."""
    return type_ in ("VARCHAR", "UUID", "BOOLEAN") or type_.startswith("ENUM")


def text_sql(column: str, type_: str, *, missing: Sequence[str] = (), blank: bool = False) -> str:
    """Read a column as text; declared ``missing`` tokens and (unless ``blank``) empty texts are null, no other word."""
    value = quoted(column)
    if type_ in ("FLOAT", "DOUBLE"):
        whole = f"{value} = trunc({value}) AND abs({value}) < 1e15"
        value = f"CASE WHEN {whole} THEN TRY_CAST({value} AS BIGINT)::VARCHAR ELSE {value}::VARCHAR END"
    elif type_ != "VARCHAR":
        value = f"{value}::VARCHAR"
    if type_ == "VARCHAR" and not blank:
        value = f"nullif({value}, '')"
    if missing:
        value = f"CASE WHEN {value} IN ({literals(list(missing))}) THEN NULL ELSE {value} END"
    return value


def number_of_id_sql(text: str) -> str:
    """The whole number that an id is the usual text of, else null: ids are equal exactly where their numbers are."""
    number = f"TRY_CAST({text} AS BIGINT)"
    return f"CASE WHEN {number}::VARCHAR = {text} THEN {number} END"


def blank_sql(text: str) -> str:
    """Whether a text expression holds nothing but spaces."""
    return f"(trim({text}) = '')"


def number_sql(text: str, *, decimal: str) -> str:
    """Read a text expression as a number in the declared decimal sign; null where it is none."""
    if decimal == ",":
        return (
            f"CASE WHEN {text} SIMILAR TO '.*[._].*' THEN NULL ELSE TRY_CAST(replace({text}, ',', '.') AS DOUBLE) END"
        )
    return f"CASE WHEN contains({text}, '_') THEN NULL ELSE TRY_CAST({text} AS DOUBLE) END"


def finite_sql(number: str) -> str:
    """Null for NaN and infinity."""
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def listed(values: Sequence[object]) -> str:
    """Quote values of a file for a message."""
    return ", ".join(f"'{shown(value)}'" for value in values)
