"""How a column of times is written, and the SQL that makes it UTC; nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
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
    session: Session, findings: Findings, raw: Raw, *, source: Source, columns: Sequence[str], missing: Sequence[str] = ()
) -> dict[str, Reading]:
    """Find out how each column of times is written.

    Returns
    -------
    dict of str to Reading
        Columns that cannot be read are absent, and the reason is among the problems.
    """
    texts = [c for c in columns if raw.columns[c] == "VARCHAR"]
    readings = {c: r for c in columns if c not in texts and (r := _native(findings, raw, c)) is not None}
    for column, counts in _profile(session, raw, source, texts, missing).items():
        reading = _from_text(session, findings, raw, source, column=column, counts=counts, missing=missing)
        if reading is not None:
            readings[column] = reading
    return readings


def is_iso_sql(text: str) -> str:
    """Whether a text expression is an ISO 8601 date or time."""
    return f"regexp_full_match({text}, {literal(ISO)})"


def _zoned(text: str) -> str:
    return f"({is_iso_sql(text)} AND length({text}) > 10 AND regexp_matches({text}, {literal(_OFFSET)}))"


def _native(findings: Findings, raw: Raw, column: str) -> Reading | None:
    type_, value = raw.columns[column], quoted(column)
    present = f"{value} IS NOT NULL"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return Reading(None, f"{value} AT TIME ZONE 'UTC'", present)
    if type_.startswith("TIMESTAMP") and "TIME ZONE" not in type_:
        return Reading(f"{value}::TIMESTAMP" if type_ != "TIMESTAMP" else value, None, present)
    if type_ == "DATE":
        return Reading(f"{value}::TIMESTAMP", None, present, days=True)
    findings.problem(
        "time-type",
        raw.file,
        f"the values are {type_}, not times; whether numbers are seconds, milliseconds or Excel's days is never guessed",
        "store timestamps, or texts such as 2024-03-31T14:00:00Z",
        column=column,
    )
    return None


def _profile(
    session: Session, raw: Raw, source: Source, columns: Sequence[str], missing: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Count in one scan how the texts of each column are written."""
    if not columns:
        return {}
    parts = []
    for i, column in enumerate(columns):
        text = f"trim({text_sql(column, 'VARCHAR', missing=missing)})"
        iso = is_iso_sql(text)
        declared = f"try_strptime({text}, {literal(source.timestamp_format)})" if source.timestamp_format else "NULL"
        parts += [
            f"count({text}) AS present{i}",
            f"count(*) FILTER ({iso}) AS iso{i}",
            f"count(*) FILTER (regexp_full_match({text}, {literal(_ISO_DATE)})) AS days{i}",
            f"count(*) FILTER ({_zoned(text)}) AS zoned{i}",
            f"count({declared}) AS declared{i}",
            f"min({text}) FILTER (NOT {iso} AND {declared} IS NULL) AS odd{i}",
        ]
        parts += [f"count(*) FILTER (regexp_full_match({text}, {literal(s)})) AS shape{i}_{k}" for k, (s, _) in enumerate(_SHAPES)]
    try:
        row = session.one(f"SELECT {', '.join(parts)} FROM {raw.relation}")
    except duckdb.InvalidInputException as error:
        raise UsageError(
            f"[{raw.section}] timestamp_format: '{shown(source.timestamp_format)}' is not a format.",
            hint='write it as in "%d.%m.%Y %H:%M"',
        ) from error
    return {
        column: {k.removesuffix(str(i)): v for k, v in row.items() if re.fullmatch(rf"[a-z]+{i}", k)}
        | {"shapes": [row[f"shape{i}_{k}"] for k in range(len(_SHAPES))]}
        for i, column in enumerate(columns)
    }


def _from_text(
    session: Session, findings: Findings, raw: Raw, source: Source, *, column: str, counts: dict[str, Any],
    missing: Sequence[str],
) -> Reading | None:  # fmt: skip
    text = f"trim({text_sql(column, 'VARCHAR', missing=missing)})"
    present = f"{text} IS NOT NULL"
    use_declared = source.timestamp_format is not None and (counts["declared"] > 0 or counts["iso"] == 0)
    read = counts["declared"] if use_declared else counts["iso"]
    if counts["present"] - read > source.max_quarantined_share * raw.rows_in:
        _refuse(findings, raw, source, column, counts)
        return None
    if not use_declared:
        iso = is_iso_sql(text)
        zoned = _zoned(text)
        local = f"CASE WHEN {iso} AND NOT ({zoned}) THEN TRY_CAST({text} AS TIMESTAMP) END"
        instant = f"CASE WHEN {zoned} THEN TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
        naive = counts["zoned"] < counts["iso"]
        days = 0 < counts["days"] == counts["iso"]
        return Reading(local if naive else None, instant if counts["zoned"] or not naive else None, present, days=days)
    pattern = source.timestamp_format or ""
    parsed = f"try_strptime({text}, {literal(pattern)})"
    kind = session.one(f"SELECT typeof(try_strptime('', {literal(pattern)})) AS kind")["kind"]
    if kind == "TIMESTAMP WITH TIME ZONE":
        return Reading(None, f"{parsed} AT TIME ZONE 'UTC'", present)
    return Reading(parsed, None, present, days=_CLOCK.search(pattern) is None)


def _refuse(findings: Findings, raw: Raw, source: Source, column: str, counts: dict[str, Any]) -> None:
    bad = counts["present"] - (counts["declared"] if source.timestamp_format and counts["declared"] else counts["iso"])
    top = max(range(len(_SHAPES)), key=lambda k: counts["shapes"][k])
    guess = f", which {_SHAPES[top][1]}," if counts["shapes"][top] > bad / 2 else ""
    expected = f"'{source.timestamp_format}' or ISO 8601" if source.timestamp_format else "ISO 8601"
    findings.problem(
        "time-format",
        raw.file,
        f"values such as '{shown(counts['odd'])}'{guess} are not {expected}; dates are never guessed",
        f'set timestamp_format in [{raw.section}], for example "%d/%m/%Y %H:%M", or write 2024-03-31T14:00:00Z',
        column=column,
        count=bad,
        total=raw.rows_in,
    )
