"""Answers from sales merged into the file of hand-overs: whole or not at all, and the same answers only once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, Problem, UsageError, shown
from mqlml.history.contract import HANDOVERS
from mqlml.history.facts import HANDED, HANDED_BY
from mqlml.history.writing import write_table, write_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from mqlml.config import Handovers

__all__ = ["Merged", "merge_answers"]

Key = tuple[str, datetime]
_TIMES = tuple(field.name for field in HANDED if field.kind == "time")
_ANSWERS = ("accepted_at", "rejected_at", "first_touch_at")
_FIX = "correct these lines and import the file again; rows that are there already change nothing"


@dataclass(frozen=True)
class Merged:
    """What a merge did: rows of the file, rows added, updated and left alone, and rows of the table afterwards."""

    rows_in: int
    added: int
    updated: int
    unchanged: int
    rows: int
    ignored_columns: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """Rows as they stand in a file; ``schema`` is None for a CSV, whose cells are text."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    lines: list[int]
    schema: pa.Schema | None


def merge_answers(file: Path, table: Path, *, source: Handovers, zone: ZoneInfo) -> Merged:
    """Add rows of ``file`` to ``table`` and fill in what they say of rows that are there.

    Parameters
    ----------
    file : Path
        CSV or Parquet with ``lead_id``, ``handed_at`` and any other columns of ``[handovers]``, under their names there
        or under those of the data contract. Empty cells say nothing.
    table : Path
        The file of ``[handovers]``; made if it is missing.
    source : Handovers
        Names of columns, and how a CSV is written.
    zone : ZoneInfo
        Of times that name none.

    Raises
    ------
    UsageError
        A file of another kind, or it does not exist.
    DataRefused
        Rows that cannot be used, with their lines; nothing is written.
    """
    names = {field.name: str(getattr(source, field.name)) for field in HANDED}
    there = _read(table, source) if table.exists() else _new(table, names)
    brought = _read(file, source, what="the file of answers")
    found = {field: _find(brought.columns, names[field], field) for field in names}
    _need_key(file, found)
    answers = _typed(file, brought, found, source, zone)
    keys = _keys(table, there, names, source, zone)
    columns = (*there.columns, *(names[f] for f, c in found.items() if c is not None and names[f] not in there.columns))
    there = _wider(there, columns, source)
    added = updated = 0
    for answer in answers:
        key = (answer["lead_id"], answer["handed_at"])
        if key not in keys:
            keys[key] = len(there.rows)
            there.rows.append({})
            added += 1
        elif not _differs(there.rows[keys[key]], answer, names, source, zone):
            continue
        else:
            updated += 1
        row = there.rows[keys[key]]
        row.update({names[field]: _cell(value, names[field], there, zone, source) for field, value in answer.items()})
    if added or updated or not table.exists():
        _write(table, there, source)
    ignored = tuple(c for c in brought.columns if c not in found.values())
    return Merged(len(answers), added, updated, len(answers) - added - updated, len(there.rows), ignored)


def _read(path: Path, source: Handovers, *, what: str = "[handovers]") -> _Table:
    if not path.is_file():
        raise UsageError(f"{what} {path}: there is no such file.", hint="name a .csv or .parquet file")
    if path.suffix == ".parquet":
        try:
            table = pq.ParquetFile(path).read()
        except pa.ArrowException as error:
            raise DataRefused([Problem("damaged", str(path), f"cannot be read: {error}", "export it again")]) from error
        return _Table(tuple(table.column_names), table.to_pylist(), list(range(1, len(table) + 1)), table.schema)
    if path.suffix != ".csv":
        raise UsageError(f"{what} {path}: hand-overs are kept in .csv or .parquet.", hint="name such a file")
    encoding = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode(encoding), newline=""), delimiter=source.delimiter)
        header = next(reader, [])
        rows = [(reader.line_num, line) for line in reader if line]
    except (UnicodeDecodeError, csv.Error) as error:
        fix = f"see [handovers] encoding and delimiter ({source.encoding}, '{source.delimiter}')"
        raise DataRefused([Problem("csv", str(path), f"cannot be read as CSV: {error}", fix)]) from error
    short = [line for line, cells in rows if len(cells) != len(header)]
    if short:
        said = f"lines {', '.join(map(str, short[:5]))} have another number of cells than the header"
        raise DataRefused([Problem("csv", str(path), said, "see the delimiter and quotes", count=len(short))])
    cells = [dict(zip(header, line, strict=True)) for _, line in rows]
    return _Table(tuple(header), cells, [line for line, _ in rows], None)


def _new(table: Path, names: Mapping[str, str]) -> _Table:
    if table.suffix not in (".csv", ".parquet"):
        raise UsageError(f"[handovers] {table}: answers go into a .csv or .parquet file.", hint="name such a file")
    schema = pa.schema([pa.field(names[f.name], f.type) for f in HANDOVERS]) if table.suffix == ".parquet" else None
    return _Table(tuple(names.values()), [], [], schema)


def _find(columns: Iterable[str], own: str, field: str) -> str | None:
    there = set(columns)
    return own if own in there else field if field in there else None


def _need_key(file: Path, found: Mapping[str, str | None]) -> None:
    absent = [field for field in ("lead_id", "handed_at") if found[field] is None]
    if absent:
        what = f"has no column '{absent[0]}': hand-overs are known by lead and time"
        raise DataRefused([Problem("missing-column", str(file), what, "export it too", column=absent[0])])


def _typed(
    file: Path, brought: _Table, found: Mapping[str, str | None], source: Handovers, zone: ZoneInfo
) -> list[dict[str, Any]]:
    """Rows under the contract's names, empty cells left out; refuses all that cannot be used in one pass."""
    faults: dict[tuple[str, str], list[int]] = {}
    typed = []
    for line, row in zip(brought.lines, brought.rows, strict=True):
        answer: dict[str, Any] = {}
        for field, column in found.items():
            value = None if column is None else row[column]
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            if field not in _TIMES:
                answer[field] = str(value)
            elif (moment := _moment(value, source, zone)) is not None:
                answer[field] = moment
            else:
                faults.setdefault((column or field, "a time that cannot be read"), []).append(line)
        for column, what in _odd(answer, found, row):
            faults.setdefault((column, what), []).append(line)
        typed.append(answer)
    if faults:
        raise DataRefused([_problem(file, *fault, lines, len(typed)) for fault, lines in faults.items()])
    return typed


def _odd(answer: Mapping[str, Any], found: Mapping[str, str | None], row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with one row: column and fault."""
    keys = [(field, found[field] or field) for field in ("lead_id", "handed_at")]
    faults = [(c, "is empty") for f, c in keys if f not in answer and not str(row[c] or "").strip()]
    handed = answer.get("handed_at")
    early = [f for f in _ANSWERS if f in answer and handed is not None and answer[f] < handed]
    faults += [(found[f] or f, "lies before the hand-over") for f in early]
    if answer.get("by", HANDED_BY[0]) not in HANDED_BY:
        faults.append((found["by"] or "by", f"is none of {', '.join(HANDED_BY)}"))
    return faults


def _problem(file: Path, column: str, what: str, lines: Sequence[int], total: int) -> Problem:
    said = f"{what} (lines {', '.join(map(str, lines[:5]))}{', ...' if len(lines) > 5 else ''})"
    return Problem("bad-answer", str(file), said, _FIX, column=column, count=len(lines), total=total)


def _keys(table: Path, there: _Table, names: Mapping[str, str], source: Handovers, zone: ZoneInfo) -> dict[Key, int]:
    """Place of each hand-over of the table; rows without a lead or a time are left as they are."""
    absent = [names[f] for f in ("lead_id", "handed_at") if names[f] not in there.columns]
    if absent:
        what = f"has no column '{absent[0]}'"
        raise DataRefused([Problem("missing-column", str(table), what, "see [handovers]", column=absent[0])])
    keys: dict[Key, int] = {}
    for place, row in enumerate(there.rows):
        moment = _moment(row[names["handed_at"]], source, zone)
        if moment is not None and row[names["lead_id"]] not in (None, ""):
            keys.setdefault((str(row[names["lead_id"]]), moment), place)
    return keys


def _differs(
    row: Mapping[str, Any], answer: Mapping[str, Any], names: Mapping[str, str], source: Handovers, zone: ZoneInfo
) -> bool:
    for field, value in answer.items():
        old = row.get(names[field])
        same = _moment(old, source, zone) == value if field in _TIMES else old is not None and str(old) == value
        if not same:
            return True
    return False


def _moment(value: Any, source: Handovers, zone: ZoneInfo) -> datetime | None:
    """A moment in UTC; None where there is none, or it cannot be read."""
    try:
        if isinstance(value, str):
            text = value.strip()
            plain = source.timestamp_format
            value = datetime.fromisoformat(text) if plain is None else datetime.strptime(text, plain)  # noqa: DTZ007 - the zone follows
        elif not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date; the zone follows
    except (ValueError, AttributeError):
        return None
    moment: datetime = value
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _cell(value: Any, column: str, there: _Table, zone: ZoneInfo, source: Handovers) -> Any:
    """A value as the table writes such values."""
    kind = None if there.schema is None or column not in there.schema.names else there.schema.field(column).type
    if not isinstance(value, datetime):
        if kind is not None and pa.types.is_integer(kind):
            return _whole(value, column)
        return value
    if kind is not None and pa.types.is_timestamp(kind):
        return value if kind.tz else value.astimezone(zone).replace(tzinfo=None)
    if source.timestamp_format is not None:
        return value.astimezone(zone).strftime(source.timestamp_format)
    others = (row.get(column) for row in there.rows)
    naive = next((datetime.fromisoformat(o).tzinfo is None for o in others if isinstance(o, str) and o), False)
    written = value.astimezone(zone).replace(tzinfo=None) if naive else value
    return written.isoformat().replace("+00:00", "Z")


def _whole(text: str, column: str) -> int:
    try:
        return int(text)
    except ValueError:
        what = f"'{shown(text)}' is no whole number, as the others in the table of hand-overs are"
        raise DataRefused([Problem("bad-answer", "answers", what, _FIX, column=column)]) from None


def _write(table: Path, there: _Table, source: Handovers) -> None:
    if there.schema is None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, there.columns, delimiter=source.delimiter, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(there.rows)
        write_text(table, text.getvalue())
        return
    arrays = [pa.array([row.get(field.name) for row in there.rows], field.type) for field in there.schema]
    write_table(pa.Table.from_arrays(arrays, schema=there.schema), table)


def _wider(there: _Table, columns: Sequence[str], source: Handovers) -> _Table:
    """The table with columns that only the answers have, of the contract's types."""
    if there.schema is None:
        return replace(there, columns=tuple(columns))
    contract = {str(getattr(source, f.name)): f.type for f in HANDOVERS}
    more = [pa.field(c, contract[c]) for c in columns if c not in there.schema.names]
    return replace(there, columns=tuple(columns), schema=pa.schema([*there.schema, *more]))
