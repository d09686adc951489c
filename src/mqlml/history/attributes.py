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
_CODE = r"[+-]?(0[0-9].*|[0-9]{16,})"
_FOREIGN = r"[+-]?\d{1,3}([.,]\d{3})+([.,]\d+)?|[+-]?\d+[.,]\d+"


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
    """Count in one scan what decides the kind; look closer only where not all values are numbers."""
    parts = []
    for i, name in enumerate(names):
        text = f"trim({text_sql(name, raw.columns[name], missing=leads.missing)})"
        numeric = is_numeric(raw.columns[name])
        number = number_sql(text, decimal=leads.decimal) if raw.is_text else quoted(name) if numeric else "NULL::DOUBLE"
        codes = f"count(*) FILTER (regexp_full_match({text}, {literal(_CODE)}))" if raw.is_text else "0"
        parts += [
            f"count({quoted(name) if numeric else text}) AS present{i}",
            f"count({number}) AS numbers{i}",
            f"count(*) FILTER (NOT isfinite({number}::DOUBLE)) AS infinite{i}",
            f"{codes} AS codes{i}",
        ]
    if not parts:
        return {}
    row = session.one(f"SELECT {', '.join(parts)} FROM {raw.relation}")
    keys = ("present", "numbers", "infinite", "codes")
    counts = {name: {key: row[f"{key}{i}"] for key in keys} for i, name in enumerate(names)}
    for name in names:
        if raw.is_text and counts[name]["numbers"] < counts[name]["present"]:
            counts[name] |= _look_closer(session, raw, name, leads)
    return counts


def _look_closer(session: Session, raw: Raw, name: str, leads: Leads) -> dict[str, Any]:
    text = f"trim({text_sql(name, 'VARCHAR', missing=leads.missing)})"
    other = f"{number_sql(text, decimal=leads.decimal)} IS NULL"
    row = session.one(
        f"SELECT count(*) FILTER ({is_iso_sql(text)}) AS times, "
        f"count(*) FILTER ({other} AND regexp_full_match({text}, {literal(_FOREIGN)})) AS foreign_numbers "
        f"FROM {raw.relation} WHERE {text} IS NOT NULL"
    )
    odd = session.rows(
        f"SELECT {text} AS value, count(*) AS n FROM {raw.relation} WHERE {text} IS NOT NULL AND {other} "
        "GROUP BY ALL ORDER BY n DESC, value LIMIT 5"
    )
    return {**row, "odd": [r["value"] for r in odd]}


def _kind(
    findings: Findings, raw: Raw, name: str, counts: dict[str, Any], *, expected: AttributeKind | None
) -> AttributeKind | Literal["time", "empty"] | None:
    numeric = is_numeric(raw.columns[name])
    if counts["present"] == 0:
        own: AttributeKind = "number" if numeric else "category"
        return expected or ("empty" if raw.rows_in else own)
    if raw.is_text:
        kind = _kind_of_texts(findings, raw, name, counts, expected)
    else:
        kind = _as_trained(findings, raw, name, "number" if numeric else "category", expected)
    if kind == "number" and counts["infinite"]:
        what = f"{counts['infinite']:,} values of '{name}' in {raw.file} are NaN or infinite and count as missing."
        findings.note(what)
    return kind


def _kind_of_texts(
    findings: Findings, raw: Raw, name: str, counts: dict[str, Any], expected: AttributeKind | None
) -> AttributeKind | Literal["time"] | None:
    odd = counts["present"] - counts["numbers"]
    if expected == "category":
        return "category"
    if odd == 0 and (not counts["codes"] or expected == "number"):
        return "number"
    if counts.get("times", 0) == counts["present"]:
        return "time"
    place = {"column": name, "count": odd, "total": raw.rows_in}
    if odd and counts["foreign_numbers"] == odd:
        what = f"values such as {listed(counts['odd'][:3])} have thousands separators or another decimal sign"
        fix = f'set decimal = "," or "." in [{raw.section}] and write no thousands separators, or exclude the column'
        findings.problem("decimal", raw.file, what, fix, **place)
        return None
    if 0 < odd <= _ODD_SHARE * counts["present"] and not counts["codes"]:
        fix = "list these words in [leads] missing, correct them, or leave the column out with [leads] exclude"
        findings.problem("odd-number", raw.file, f"numbers, except {listed(counts['odd'])}", fix, **place)
        return None
    return _as_trained(findings, raw, name, "category", expected)


def _as_trained(
    findings: Findings, raw: Raw, name: str, kind: AttributeKind, expected: AttributeKind | None
) -> AttributeKind | None:
    if expected is None or expected == kind or expected == "category":
        return expected or kind
    what = f"the model was trained with numbers here, the values are texts ({raw.columns[name]})"
    findings.problem("type-changed", raw.file, what, "write numbers as in the training data", column=name)
    return None
