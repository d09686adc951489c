"""What the values of a column look like, as shares and counts; single values leave only as categories with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mqlml.history.columns import is_numeric, number_sql, text_sql
from mqlml.history.files import Raw
from mqlml.history.session import ROW, Session, literal, quoted
from mqlml.history.timestamps import is_iso_sql

__all__ = ["ColumnProfile", "profile_columns", "value_counts"]

_SAMPLE = 50_000
_FIRST_LOOK = 2_000
_EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
_PHONE = r"\+?[0-9(][0-9 ()/.-]{6,18}[0-9]"
_LINK = r"(https?://|www\.).+"
_OFFSET = r".*\d ?(Z|UTC|[+-]\d{2}(:?\d{2})?)"
_EPOCH = r"(9|1[0-9])\d{8}(\d{3})?(\.\d+)?"

_DAY_FIRST = ("%d{s}%m{s}%Y", "%d{s}%m{s}%y")
_MONTH_FIRST = ("%m{s}%d{s}%Y", "%m{s}%d{s}%y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", ", %I:%M %p", ", %H:%M", " %I:%M:%S %p", ", %I:%M:%S %p")
FORMATS = tuple(
    f"{day.format(s=sign)}{clock}"
    for sign, days in (("/", (*_DAY_FIRST, *_MONTH_FIRST)), (".", _DAY_FIRST), ("-", (*_DAY_FIRST, *_MONTH_FIRST)))
    for day in days
    for clock in _CLOCKS
) + tuple(f"{day}{clock}" for day in ("%Y/%m/%d", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%Y%m%d") for clock in _CLOCKS)
"""How dates are written that are not ISO 8601; with dots the day is always first."""


@dataclass(frozen=True)
class ColumnProfile:
    """The values of a column; counts are of the rows looked at (all, or every k-th of a large file).

    Parameters
    ----------
    name, type_ : str
    rows, filled, distinct : int
        Rows looked at, those with a value, and different values.
    numbers, iso, days, zoned, epochs, emails, phones, links : int
        Values that are numbers; ISO dates or times, those without a clock, those with an offset; seconds or
        milliseconds since 1970; e-mail addresses; telephone numbers; web addresses.
    comma_numbers, point_numbers : int
        Numbers with a decimal comma, and with a decimal point.
    words : float
        Mean number of words.
    longest : int
        Characters of the longest value.
    formats : mapping of str to int
        Values that each date format reads, where they are not ISO.
    unread : int
        Values that no format reads, where some does.
    unique : bool
        Every row of the whole file has a value of its own.
    """

    name: str
    type_: str
    rows: int
    filled: int
    distinct: int
    numbers: int = 0
    iso: int = 0
    days: int = 0
    zoned: int = 0
    epochs: int = 0
    emails: int = 0
    phones: int = 0
    links: int = 0
    comma_numbers: int = 0
    point_numbers: int = 0
    words: float = 0.0
    longest: int = 0
    formats: Mapping[str, int] | None = None
    unread: int = 0
    unique: bool = False

    @property
    def is_time_type(self) -> bool:
        """Whether the file stores times as times."""
        return self.type_.startswith(("TIMESTAMP", "DATE"))

    @property
    def is_time(self) -> bool:
        """Whether the values are dates or times, however they are written."""
        return self.is_time_type or (self.filled > 0 and self._dated >= 0.98 * self.filled)

    @property
    def naive(self) -> bool:
        """Whether times name no zone."""
        if self.is_time_type:
            return self.type_ != "TIMESTAMP WITH TIME ZONE"
        return self.is_time and self.zoned < self.filled

    @property
    def fitting(self) -> tuple[str, ...]:
        """Date formats that read (nearly) all values; empty for ISO."""
        if self.iso >= 0.99 * self.filled:
            return ()
        return tuple(f for f, n in (self.formats or {}).items() if n + self.iso >= 0.99 * self.filled)

    @property
    def _dated(self) -> int:
        best = max((self.formats or {}).values(), default=0)
        mixed = self.filled - self.iso - self.unread if self.formats else 0
        return self.iso + max(best, mixed)

    @property
    def share_distinct(self) -> float:
        """Different values per value, 0..1."""
        return self.distinct / self.filled if self.filled else 0.0


def profile_columns(session: Session, raw: Raw) -> dict[str, ColumnProfile]:
    """Look at every column of a table in a few scans.

    Returns
    -------
    dict of str to ColumnProfile
        In the order of the file.
    """
    every = max(1, -(-raw.rows_in // _SAMPLE))
    rows = f"(SELECT * FROM {raw.relation} WHERE {quoted(ROW)} % {every} = 0)" if every > 1 else raw.relation
    names = list(raw.columns)
    found = {name: _measure(session, raw, name, rows) for name in names}
    return {name: _look_closer(session, raw, profile, rows) for name, profile in found.items()}


def _measure(session: Session, raw: Raw, name: str, rows: str) -> ColumnProfile:
    type_ = raw.columns[name]
    text = f"trim({text_sql(name, type_)})"
    counted = {
        "numbers": f"{number_sql('v', decimal='.')} IS NOT NULL",
        "iso": is_iso_sql("v"),
        "days": f"{is_iso_sql('v')} AND length(v) = 10",
        "zoned": f"{is_iso_sql('v')} AND length(v) > 16 AND regexp_full_match(v, {literal(_OFFSET)})",
        "epochs": f"regexp_full_match(v, {literal(_EPOCH)})",
        "emails": f"regexp_full_match(v, {literal(_EMAIL)})",
        "phones": f"regexp_full_match(v, {literal(_PHONE)})",
        "links": f"regexp_full_match(v, {literal(_LINK)})",
        "comma_numbers": r"regexp_full_match(v, '[+-]?\d+,\d{1,2}')",
        "point_numbers": r"regexp_full_match(v, '[+-]?\d+\.\d+')",
    }
    columns = ", ".join(f"count(*) FILTER ({sql}) AS {key}" for key, sql in counted.items())
    one = session.one(
        f"SELECT count(*) AS n, count(v) AS filled, count(DISTINCT v) AS different, {columns}, "
        "avg(length(v) - length(replace(v, ' ', '')) + 1) AS words, max(length(v)) AS longest "
        f"FROM (SELECT {text} AS v FROM {rows})"
    )
    known = {key: one[key] for key in counted}
    if is_numeric(type_):
        known |= dict.fromkeys(("phones", "comma_numbers"), 0)
    return ColumnProfile(
        name, type_, one["n"], one["filled"], one["different"], **known,
        words=float(one["words"] or 0.0), longest=int(one["longest"] or 0),
    )  # fmt: skip


def _look_closer(session: Session, raw: Raw, profile: ColumnProfile, rows: str) -> ColumnProfile:
    """Date formats where values look like dates, and whether an id is one in the whole file."""
    unique = False
    if profile.filled == profile.rows > 0 and profile.share_distinct > 0.9:
        one = session.one(f"SELECT count(*) = count(DISTINCT {quoted(profile.name)}) AS u FROM {raw.relation}")
        unique = bool(one["u"])
    profile = replace(profile, unique=unique)
    odd = profile.filled - profile.iso
    if profile.type_ != "VARCHAR" or not odd or profile.numbers > 0.5 * profile.filled or profile.longest > 40:
        return profile if profile.type_ != "VARCHAR" or profile.longest != 8 else _dated(session, profile, rows)
    return _dated(session, profile, rows)


def _dated(session: Session, profile: ColumnProfile, rows: str) -> ColumnProfile:
    text = f"trim({quoted(profile.name)})"
    like = r"'(\d{1,4}[/. -](\d{1,2}|[A-Za-z]{3})[/. -]\d{2,4}|[A-Za-z]{3} \d{1,2}, \d{4}|(19|20)\d{6}).*'"
    there = f"{text} <> '' AND NOT {is_iso_sql(text)}"
    one = session.one(
        f"SELECT count(*) AS n, count(*) FILTER (regexp_full_match({text}, {like})) AS dates FROM {rows} WHERE {there}"
    )
    if not one["n"] or one["dates"] < 0.9 * one["n"]:
        return profile
    few = _read_by(session, FORMATS, f"(SELECT {text} AS v FROM {rows} WHERE {there} LIMIT {_FIRST_LOOK})")[0]
    formats, unread = _read_by(session, tuple(few), f"(SELECT {text} AS v FROM {rows} WHERE {there})")
    return replace(profile, formats=_longest_years(formats), unread=unread)


def _read_by(session: Session, formats: Sequence[str], values: str) -> tuple[dict[str, int], int]:
    """Count the values that each format reads, and those that none does."""
    if not formats:
        return {}, session.one(f"SELECT count(*) AS n FROM {values}")["n"]
    parts = [f"try_strptime(v, {literal(form)})" for form in formats]
    counts = ", ".join(f"count({part}) AS f{i}" for i, part in enumerate(parts))
    read = session.one(
        f"SELECT {counts}, count(*) FILTER (coalesce({', '.join(parts)}) IS NULL) AS unread FROM {values}"
    )
    return {form: read[f"f{i}"] for i, form in enumerate(formats) if read[f"f{i}"]}, read["unread"]


def _longest_years(formats: dict[str, int]) -> dict[str, int]:
    """Drop two-digit years where four digits read as many: '%y' never reads more than the year's first half."""
    best = max((n for f, n in formats.items() if "%y" not in f), default=0)
    return {f: n for f, n in formats.items() if "%y" not in f or n > best}


def value_counts(
    session: Session, raw: Raw, column: str, *, most: int = 60, where: str | None = None
) -> dict[str, int]:
    """Count the values of a category in the whole file, or the rows of it that a condition names, most frequent first.

    Returns
    -------
    dict of str to int
        Empty where there are more than ``most``: then it is no category.
    """
    text = f"trim({text_sql(column, raw.columns[column])})"
    rows = session.rows(
        f"SELECT {text} AS value, count(*) AS n FROM {raw.relation} WHERE {text} <> '' AND ({where or 'true'}) "
        f"GROUP BY ALL ORDER BY n DESC, value LIMIT {most + 1}"
    )
    return {} if len(rows) > most else {row["value"]: row["n"] for row in rows}
