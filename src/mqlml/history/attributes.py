"""Which columns of the leads are attributes, and whether each is a number or a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from mqlml.history.columns import is_numeric, is_text, listed, number_sql, text_sql
from mqlml.history.session import literal, quoted
from mqlml.history.timestamps import is_iso_sql

if TYPE_CHECKING:
    from mqlml.config import Leads
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

AttributeKind = Literal["number", "category"]

_ODD_SHARE = 0.01
_GROUPED = r"[+-]?\d{1,3}([.,]\d{3})+([.,]\d+)?|[+-]?\d+,\d+"


@dataclass(frozen=True)
class AttributeColumn:
    """An attribute: the user's name, its kind, and the SQL that reads it from the raw relation."""

    name: str
    kind: AttributeKind
    sql: str


def choose_attributes(
    session: Session,
    findings: Findings,
    raw: Raw,
    *,
    leads: Leads,
    taken: Sequence[str],
    kinds: Mapping[str, AttributeKind] | None,
) -> tuple[AttributeColumn, ...]:
    """Decide for every column that has no other role whether it is an attribute and of which kind.

    Parameters
    ----------
    session, findings, raw
    leads : Leads
        Declares the decimal sign, the missing tokens and the columns to leave out.
    taken : sequence of str
        Columns with another role.
    kinds : mapping of str to {"number", "category"} or None
        Kinds a model was trained with; None lets the file decide.
    """
    names = [n for n in raw.columns if n not in taken and n not in leads.exclude]
    usable = [n for n in names if is_text(raw.columns[n]) or is_numeric(raw.columns[n])]
    times = [n for n in names if n not in usable and raw.columns[n].startswith(("TIME", "DATE"))]
    others = [n for n in names if n not in usable and n not in times]
    if others:
        findings.note(f"{raw.file}: left out, because they hold neither texts nor numbers: {listed(others)}.")
    counts = _profile(session, raw, usable, leads)
    chosen = []
    for name in usable:
        kind = _kind(findings, raw, name, counts[name], expected=(kinds or {}).get(name))
        if kind == "time":
            times.append(name)
        elif kind == "empty":
            findings.note(f"{raw.file}: column '{name}' has no value in any row and is left out.")
        elif kind is not None:
            chosen.append(AttributeColumn(name, kind, _sql(raw, name, kind, leads)))
    if times:
        findings.note(f"{raw.file}: times are no attributes and are left out: {listed(sorted(times))}.")
    return tuple(chosen)


def to_arrow(table: pa.Table, attributes: Sequence[AttributeColumn]) -> pa.Table:
    """Give columns ``a0``, ``a1`` ... their names and final types."""
    arrays = []
    for i, attribute in enumerate(attributes):
        column = table[f"a{i}"].combine_chunks()
        if attribute.kind == "category":
            column = pc.dictionary_encode(column.cast(pa.string()))
        arrays.append(column)
    if not arrays:
        return pa.table({"": pa.nulls(table.num_rows)}).select([])
    return pa.Table.from_arrays(arrays, names=[a.name for a in attributes])


def _sql(raw: Raw, name: str, kind: AttributeKind, leads: Leads) -> str:
    text = text_sql(name, raw.columns[name], missing=leads.missing)
    if kind == "category":
        return text
    number = number_sql(f"trim({text})", decimal=leads.decimal) if raw.is_text else f"{quoted(name)}::DOUBLE"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _profile(session: Session, raw: Raw, names: Sequence[str], leads: Leads) -> dict[str, dict[str, Any]]:
    """Count in one scan what decides the kind; the costlier patterns only where all values might be numbers or times."""
    parts = []
    for i, name in enumerate(names):
        text = f"trim({text_sql(name, raw.columns[name], missing=leads.missing)})"
        number = number_sql(text, decimal=leads.decimal) if raw.is_text else quoted(name)
        number = number if raw.is_text or is_numeric(raw.columns[name]) else "NULL::DOUBLE"
        parts += [
            f"count({text}) AS present{i}",
            f"count({number}) AS numbers{i}",
            f"count(*) FILTER (NOT isfinite({number}::DOUBLE)) AS infinite{i}",
            f"count(*) FILTER ({text} SIMILAR TO '[+-]?0[0-9].*' OR strlen({text}) > 18) AS codes{i}" if raw.is_text else f"0 AS codes{i}",
            f"min({text}) AS low{i}",
        ]
    if not parts:
        return {}
    row = session.one(f"SELECT {', '.join(parts)} FROM {raw.relation}")
    keys = ("present", "numbers", "infinite", "codes", "low")
    counts = {name: {key: row[f"{key}{i}"] for key in keys} for i, name in enumerate(names)}
    for name in names:
        if raw.is_text and counts[name]["numbers"] < counts[name]["present"]:
            counts[name] |= _look_closer(session, raw, name, leads)
    return counts


def _look_closer(session: Session, raw: Raw, name: str, leads: Leads) -> dict[str, Any]:
    text = f"trim({text_sql(name, 'VARCHAR', missing=leads.missing)})"
    number = number_sql(text, decimal=leads.decimal)
    row = session.one(
        f"SELECT count(*) FILTER (regexp_full_match({text}, {literal(_GROUPED)})) AS grouped, count(*) FILTER ({is_iso_sql(text)}) AS times, "
        f"count(*) FILTER ({number} IS NULL AND regexp_full_match({text}, {literal(_GROUPED)})) AS foreign_numbers "
        f"FROM {raw.relation} WHERE {text} IS NOT NULL"
    )
    odd = session.rows(
        f"SELECT {text} AS value, count(*) AS n FROM {raw.relation} WHERE {text} IS NOT NULL AND {number} IS NULL "
        "GROUP BY ALL ORDER BY n DESC, value LIMIT 5"
    )
    return {**row, "odd": [r["value"] for r in odd]}


def _kind(
    findings: Findings, raw: Raw, name: str, counts: dict[str, Any], *, expected: AttributeKind | None
) -> AttributeKind | Literal["time", "empty"] | None:
    present, numbers = counts["present"], counts["numbers"]
    native = not raw.is_text
    if present == 0:
        return expected or ("empty" if raw.rows_in else ("number" if native and is_numeric(raw.columns[name]) else "category"))
    if numbers and counts["infinite"] and (native or numbers == present) and expected != "category":
        findings.note(f"{raw.file}: {counts['infinite']:,} values of '{name}' are NaN or infinite and count as missing.")
    if native:
        kind: AttributeKind = "number" if is_numeric(raw.columns[name]) else "category"
        return _as_trained(findings, raw, name, kind, expected)
    if expected == "category":
        return "category"
    if numbers == present and (not counts["codes"] or expected == "number"):
        return "number"
    if counts.get("times", 0) == present:
        return "time"
    odd = present - numbers
    if counts.get("foreign_numbers", 0) == odd > 0:
        findings.problem(
            "decimal", raw.file, f"values such as {listed(counts['odd'][:3])} have a decimal comma or thousands separators",
            f'set decimal = "," in [{raw.section}], or write plain numbers', column=name, count=odd, total=raw.rows_in,
        )  # fmt: skip
        return None
    if 0 < odd <= _ODD_SHARE * present and not counts["codes"]:
        findings.problem(
            "odd-number", raw.file, f"numbers, except {listed(counts['odd'])}",
            "list these words in [leads] missing, correct them, or leave the column out with [leads] exclude",
            column=name, count=odd, total=raw.rows_in,
        )  # fmt: skip
        return None
    return _as_trained(findings, raw, name, "category", expected)


def _as_trained(
    findings: Findings, raw: Raw, name: str, kind: AttributeKind, expected: AttributeKind | None
) -> AttributeKind | None:
    if expected is None or expected == kind or expected == "category":
        return expected or kind
    findings.problem(
        "type-changed", raw.file, f"the model was trained with numbers here, the values are texts ({raw.columns[name]})",
        "write numbers as in the training data", column=name,
    )  # fmt: skip
    return None
