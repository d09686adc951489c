"""How a column of times is written, and the SQL that makes it UTC; nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from mqlml.errors import UsageError, shown
from mqlml.history.columns import text_sql
from mqlml.history.session import literal, quoted

if TYPE_CHECKING:
    from mqlml.config import Source
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

ISO = (
    r"\d{4}-\d{2}-\d{2}"
    r"([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
)
_DATE_LENGTH = 10
_OFFSET = r"[ 0-9](Z|UTC|[+-]\d{2}(:?\d{2})?)$"
_SHAPES = (
    (r"\d{9,10}(\.\d+)?", "look like seconds since 1970"),
    (r"\d{12,13}", "look like milliseconds since 1970"),
    (r"\d{15,19}", "look like micro- or nanoseconds since 1970"),
    (r"\d{5}(\.\d+)?", "look like Excel's day numbers"),
    (r"\d{8}", "look like dates without separators"),
    (r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}.*", "may be day or month first"),
)
_CLOCK = re.compile(r"%[HIMSfgTXcp]")


@dataclass(frozen=True)
class Reading:
    """A column of times as SQL over the raw relation.

    Parameters
    ----------
    local, instant : str or None
        Naive local time, or naive UTC; the one that is null for a row does not apply to it. None: for no row.
    present : str
        Whether the row has a value at all.
    days : bool
        The column holds dates without times.
    """

    local: str | None
    instant: str | None
    present: str
    days: bool = False


def read_times(
    session: Session,
    findings: Findings,
    raw: Raw,
    *,
    source: Source,
    columns: Sequence[str],
    missing: Sequence[str] = (),
    plain: bool = False,
) -> dict[str, Reading]:
    """Find out how each column of times is written; ``plain`` when it is known to hold no infinite times.

    Returns
    -------
    dict of str to Reading
        Columns that cannot be read are absent, and the reason is among the problems.
    """
    texts = [c for c in columns if raw.columns[c] == "VARCHAR"]
    readings = {c: r for c in columns if c not in texts and (r := _native(findings, raw, c, plain=plain)) is not None}
    for column, counts in _profile(session, raw, source, texts, missing).items():
        reading = _from_text(session, findings, raw, source, column=column, counts=counts, missing=missing)
        if reading is not None:
            readings[column] = reading
    return readings


def is_iso_sql(text: str) -> str:
    """Whether a text expression is an ISO 8601 date or time."""
    return f"regexp_full_match({text}, {literal(ISO)})"


def _zoned(text: str) -> str:
    return f"({is_iso_sql(text)} AND length({text}) > {_DATE_LENGTH} AND regexp_matches({text}, {literal(_OFFSET)}))"


def _bounded(value: str, time: str) -> str:
    """Turn infinite times into a placeholder that counts as missing."""
    return f"CASE WHEN isfinite({value}) OR {value} IS NULL THEN {time} ELSE TIMESTAMP '9999-12-31' END"


def _native(findings: Findings, raw: Raw, column: str, *, plain: bool) -> Reading | None:
    type_, value = raw.columns[column], quoted(column)
    present = f"{value} IS NOT NULL"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        # AT TIME ZONE would give the same, ten times slower
        instant = f"make_timestamp(epoch_us({value}))"
        return Reading(None, instant if plain else _bounded(value, instant), present)
    if type_.startswith("TIMESTAMP") and "TIME ZONE" not in type_:
        local = value if type_ == "TIMESTAMP" else f"{value}::TIMESTAMP"
        return Reading(local if plain else _bounded(value, local), None, present)
    if type_ == "DATE":
        return Reading(_bounded(value, f"{value}::TIMESTAMP"), None, present, days=True)
    findings.problem(
        "time-type",
        raw.file,
        f"the values are {type_}, not times; whether numbers are seconds or Excel's days is never guessed",
        "store timestamps, or texts such as 2024-03-31T14:00:00Z",
        column=column,
    )
    return None


def _profile(
    session: Session, raw: Raw, source: Source, columns: Sequence[str], missing: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count in one scan how the texts of each column are written."""
    if not columns:
        return {}
    parts = []
    for i, column in enumerate(columns):
        text = _text(column, missing)
        iso = is_iso_sql(text)
        parts += [
            f"count({text}) AS present{i}",
            f"count(*) FILTER ({iso}) AS iso{i}",
            f"count(*) FILTER ({iso} AND length({text}) = {_DATE_LENGTH}) AS days{i}",
            f"count(*) FILTER ({_zoned(text)}) AS zoned{i}",
            f"count({_declared(text, source)}) AS declared{i}",
        ]
    try:
        row = session.one(f"SELECT {', '.join(parts)} FROM {raw.relation}")
    except duckdb.InvalidInputException as error:
        raise UsageError(
            f"[{raw.section}] timestamp_format: '{shown(source.timestamp_format)}' is not a format.",
            hint='write it as in "%d.%m.%Y %H:%M"',
        ) from error
    keys = ("present", "iso", "days", "zoned", "declared")
    return {column: {key: row[f"{key}{i}"] for key in keys} for i, column in enumerate(columns)}


def _text(column: str, missing: Sequence[str]) -> str:
    return f"trim({text_sql(column, 'VARCHAR', missing=missing)})"


def _declared(text: str, source: Source) -> str:
    pattern = source.timestamp_format
    return "NULL" if pattern is None else f"try_strptime({text}, {literal(pattern)})"


def _from_text(
    session: Session,
    findings: Findings,
    raw: Raw,
    source: Source,
    *,
    column: str,
    counts: dict[str, int],
    missing: Sequence[str],
) -> Reading | None:
    text = _text(column, missing)
    use_declared = source.timestamp_format is not None and (counts["declared"] > 0 or counts["iso"] == 0)
    unread = counts["present"] - counts["declared" if use_declared else "iso"]
    if unread > source.max_quarantined_share * raw.rows_in:
        what = _describe(session, raw, source, text)
        fix = f'set timestamp_format in [{raw.section}], for example "%d/%m/%Y %H:%M", or write 2024-03-31T14:00:00Z'
        findings.problem("time-format", raw.file, what, fix, column=column, count=unread, total=raw.rows_in)
        return None
    if use_declared:
        return _by_format(session, text, source)
    return _by_iso(text, counts)


def _by_format(session: Session, text: str, source: Source) -> Reading:
    parsed = _declared(text, source)
    kind = session.one(f"SELECT typeof({_declared(literal(''), source)}) AS kind")["kind"]
    present = f"{text} IS NOT NULL"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return Reading(None, f"make_timestamp(epoch_us({parsed}))", present)
    return Reading(parsed, None, present, days=_CLOCK.search(source.timestamp_format or "") is None)


def _by_iso(text: str, counts: dict[str, int]) -> Reading:
    """Read local times, instants or both; what all texts of the column are needs no test in each row."""
    iso, zoned = is_iso_sql(text), _zoned(text)
    all_iso, all_zoned = counts["iso"] == counts["present"], counts["zoned"] == counts["present"]
    is_local = "true" if all_iso and not counts["zoned"] else f"{iso} AND NOT {zoned}"
    local = f"CASE WHEN {is_local} THEN TRY_CAST({text} AS TIMESTAMP) END"
    instant = (
        f"CASE WHEN {'true' if all_zoned else zoned} THEN make_timestamp(epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))) END"
    )
    naive = counts["zoned"] < counts["iso"] or not counts["iso"]
    return Reading(
        local if naive else None,
        instant if counts["zoned"] else None,
        f"{text} IS NOT NULL",
        days=0 < counts["days"] == counts["iso"],
    )


def _describe(session: Session, raw: Raw, source: Source, text: str) -> str:
    """Say what the texts look like that are no times."""
    wrong = f"{text} IS NOT NULL AND NOT {is_iso_sql(text)} AND {_declared(text, source)} IS NULL"
    shapes = ", ".join(
        f"count(*) FILTER (regexp_full_match({text}, {literal(shape)})) AS s{i}" for i, (shape, _) in enumerate(_SHAPES)
    )
    row = session.one(f"SELECT min({text}) AS example, count(*) AS n, {shapes} FROM {raw.relation} WHERE {wrong}")
    top = max(range(len(_SHAPES)), key=lambda i: row[f"s{i}"])
    guess = f", which {_SHAPES[top][1]}," if row[f"s{top}"] > row["n"] / 2 else ""
    expected = f"'{source.timestamp_format}' or ISO 8601" if source.timestamp_format else "ISO 8601"
    return f"values such as '{shown(row['example'])}'{guess} are not {expected}; dates are never guessed"
