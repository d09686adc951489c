"""The tables of a folder, opened as they are written: delimiter, encoding and decimal sign found by looking."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mqlml.config import Source
from mqlml.history.discovery.profiles import ColumnProfile, profile_columns
from mqlml.history.files import Raw, duckdb_tables, open_source, recognise
from mqlml.history.findings import Findings
from mqlml.history.session import Session

__all__ = ["BUILT", "Table", "look_at_folder"]

BUILT = "mqlml-tables"
"""Folder beside the settings that holds the tables made from exports."""

_SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq", ".duckdb", ".db", ".ddb")
_DELIMITERS = ",;\t|"
_HEAD = 1 << 20
_LATIN_NOTE = "not UTF-8, so read as Latin-1; letters with accents show whether that is right"


@dataclass(frozen=True)
class Table:
    """A table of the folder.

    Parameters
    ----------
    source : Source
        How it is read: path relative to the folder, table, delimiter, encoding, decimal sign.
    stem : str
        Name of the file without its suffix, or of the table in a DuckDB file.
    raw : Raw
    columns : mapping of str to ColumnProfile
    remarks : tuple of str
        What was assumed in order to read it.
    label : str
        Its name in a database; empty for a file.
    copy : Path or None
        Where a copy of a table of a database lies.
    sampled : bool
        Whether ``raw`` is only a part of it.
    """

    source: Source
    stem: str
    raw: Raw
    columns: dict[str, ColumnProfile]
    remarks: tuple[str, ...] = ()
    label: str = ""
    copy: Path | None = None
    sampled: bool = False

    @property
    def name(self) -> str:
        """The file as a person names it, with the table inside it where it holds several."""
        if self.label:
            return self.label
        return self.source.path if self.source.table is None else f"{self.source.path} ({self.source.table})"

    def answers_to(self, name: str | None) -> bool:
        """Whether a person who says ``name`` means this table."""
        return name is not None and name in (self.source.path, self.stem, self.source.table, self.label)


def look_at_folder(session: Session, folder: Path, *, only: str | None = None) -> tuple[list[Table], list[str]]:
    """Open every table of a folder.

    Parameters
    ----------
    session : Session
        Watches the files; the relations live in it.
    folder : Path
    only : str, optional
        The one file to look at.

    Returns
    -------
    tables : list of Table
        By name.
    unread : list of str
        Sentences on files that could not be opened.
    """
    tables: list[Table] = []
    unread: list[str] = []
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        if only is not None and path.name != only:
            continue
        if path.suffix.lower() in _SUFFIXES and path.stat().st_size:
            _open(session, path, tables, unread)
        elif path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            unread.append(f"{path.name}: a spreadsheet; save each sheet as CSV (UTF-8)")
        elif path.suffix.lower() in _SUFFIXES:
            unread.append(f"{path.name}: the file has zero bytes")
    return tables, unread


def _open(session: Session, path: Path, tables: list[Table], unread: list[str]) -> None:
    kind = recognise(path)
    remarks: list[str] = []
    names: list[str | None] = [None]
    written: dict[str, Any] = {}
    if kind == "duckdb":
        names = list(duckdb_tables(session, path)) or [None]
    elif kind in ("text", "gzip"):
        written = _as_written(path, packed=kind == "gzip", remarks=remarks)
    for name in names:
        source = Source(path=path.name, table=name if len(names) > 1 else None, **written)
        findings = Findings()
        raw = open_source(session, findings, section=f"found{len(tables)}", source=source, root=path.parent)
        if raw is None:
            unread += [f"{p.file}: {p.what}" for p in findings.problems]
            continue
        columns = profile_columns(session, raw)
        source = _with_decimal(source, columns)
        tables.append(Table(source, name or path.name.split(".")[0], raw, columns, tuple(remarks)))


def _as_written(path: Path, *, packed: bool, remarks: list[str]) -> dict[str, Any]:
    """Encoding and delimiter, as far as they are not the usual ones."""
    found: dict[str, Any] = {}
    head = _head(path, packed=packed)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found["encoding"] = "utf-16"
    elif not _is_utf8(head):
        found["encoding"] = "latin-1"
        remarks.append(_LATIN_NOTE)
    text = head.decode(found.get("encoding", "utf-8-sig"), errors="replace")
    sign = _delimiter(text.lstrip("\ufeff").splitlines()[:20])
    if sign != ",":
        found["delimiter"] = sign
    return found


def _head(path: Path, *, packed: bool) -> bytes:
    import gzip

    with gzip.open(path) if packed else path.open("rb") as file:
        try:
            return file.read(_HEAD)
        except (OSError, EOFError):
            return b""  # opening it in earnest says what is wrong


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(lines: Sequence[str]) -> str:
    """The sign that cuts the first lines into the same number of cells, two at least; a comma where none does."""

    def quality(sign: str) -> tuple[int, int]:
        widths = Counter(len(record) for record in csv.reader(lines, delimiter=sign) if record)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        return (count if width > 1 else 0, width)

    return max(_DELIMITERS, key=quality) if lines else ","


def _with_decimal(source: Source, columns: dict[str, ColumnProfile]) -> Source:
    commas = sum(c.comma_numbers for c in columns.values())
    points = sum(c.point_numbers for c in columns.values())
    return source.model_copy(update={"decimal": ","}) if commas > points else source


def renamed(table: Table, **changes: Any) -> Table:
    """The same table with a source that differs in ``changes``."""
    return replace(table, source=table.source.model_copy(update=changes))
