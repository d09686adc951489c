"""CSV files: bytes checked first, then read by DuckDB at full speed, or record by record where something is wrong."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import duckdb

from mqlml.errors import shown
from mqlml.history.csvrecords import LARGEST_CELL, split_records
from mqlml.history.files import Raw, check_names, recognise
from mqlml.history.session import LINE, ROW, Session, literal, quoted

if TYPE_CHECKING:
    from mqlml.config import Source
    from mqlml.history.findings import Fault, FaultyRow, Findings

_CHUNK = 1 << 22
_LARGEST_RATIO = 100
_SMALLEST_BOMB = 10_000_000
_LARGEST_UNPACKED = 8_000_000_000


@dataclass(frozen=True)
class _Bytes:
    """What one pass over the bytes of a text file shows."""

    valid: bool
    nuls: int
    newlines: int
    returns: int
    visible: bool
    ends_with_newline: bool
    starts_blank: bool


def open_csv(session: Session, findings: Findings, *, section: str, source: Source, path: Path) -> Raw | None:
    """Load a CSV file as a table of texts; empty cells are null and no word means null.

    Returns
    -------
    Raw or None
        None when the file cannot be used at all; the reason is then among the problems.
    """
    text = _as_utf8(session, findings, section=section, source=source, path=path)
    if text is None:
        return None
    seen = _look(text)
    if not seen.visible:
        findings.problem("empty-file", source.path, "the file holds nothing but line ends", "export it again")
        return None
    header = _header(text, source.delimiter)
    if not check_names(findings, source.path, header):
        _hint_delimiter(findings, section, source, header)
        return None
    _hint_delimiter(findings, section, source, header)
    if not seen.ends_with_newline:
        findings.note(
            f"{source.path} does not end with a line end: whether its last value is complete cannot be verified."
        )
    usual = seen.newlines and seen.returns in (0, seen.newlines) and not seen.starts_blank
    simple = seen.valid and not seen.nuls and usual
    raw = _load_clean(session, section, source, text, header, seen) if simple else None
    return raw or _load_checked(session, findings, section, source, text, header)


def _as_utf8(session: Session, findings: Findings, *, section: str, source: Source, path: Path) -> Path | None:
    """Unpack gzip within bounds and turn the declared encoding into UTF-8, each into the scratch directory."""
    if recognise(path) == "gzip":
        unpacked = session.scratch / f"{section}.unpacked"
        if not _unpack(findings, source.path, path, unpacked):
            return None
        path = unpacked
        kind = recognise(path) if path.stat().st_size else "nothing"
        if kind != "text":
            findings.problem("format", source.path, f"the archive holds {kind}", "pack one CSV file")
            return None
    with path.open("rb") as file:
        head = file.read(4096)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head[1::2].count(0) > len(head) // 4
    if wide and source.encoding != "utf-16":
        findings.problem(
            "encoding",
            source.path,
            "the file is UTF-16 (byte 1 of line 1 shows it), not UTF-8",
            f'set encoding = "utf-16" in [{section}] or export it as UTF-8',
        )
        return None
    if source.encoding == "utf-8":
        return path
    decoded = session.scratch / f"{section}.utf8"
    try:
        with (
            path.open(encoding=source.encoding, newline="") as old,
            decoded.open("w", encoding="utf-8", newline="") as new,
        ):
            for chunk in iter(lambda: old.read(_CHUNK), ""):
                new.write(chunk)
    except UnicodeError as error:
        findings.problem(
            "encoding",
            source.path,
            f"the file is not {source.encoding} ({shown(error)})",
            f"correct [{section}] encoding",
        )
        return None
    return decoded


def _unpack(findings: Findings, name: str, packed: Path, target: Path) -> bool:
    limit = min(_LARGEST_UNPACKED, max(_SMALLEST_BOMB, _LARGEST_RATIO * packed.stat().st_size))
    size = 0
    try:
        with gzip.open(packed) as old, target.open("wb") as new:
            for chunk in iter(lambda: old.read(_CHUNK), b""):
                size += len(chunk)
                if size > limit:
                    what = f"it unpacks to more than {limit:,} bytes ({_LARGEST_RATIO} times its size, at most 8 GB)"
                    findings.problem("bomb", name, what, "check its origin, or unpack it first")
                    return False
                new.write(chunk)
    except (OSError, EOFError, zlib.error) as error:
        findings.problem("damaged", name, f"the gzip archive is damaged ({shown(error)})", "export the file again")
        return False
    return True


def _look(path: Path) -> _Bytes:
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid, nuls, newlines, returns, visible, last = True, 0, 0, 0, False, b""
    with path.open("rb") as file:
        starts_blank = file.read(4).removeprefix(codecs.BOM_UTF8)[:1] in (b"\r", b"\n")
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            nuls, newlines, returns = nuls + chunk.count(0), newlines + chunk.count(10), returns + chunk.count(13)
            visible = visible or bool(chunk.removeprefix(codecs.BOM_UTF8).strip())
            last = chunk[-1:]
            if valid:
                valid = _decodes(decoder, chunk)
    return _Bytes(
        valid, nuls, newlines, returns, visible, ends_with_newline=last in (b"\n", b"\r"), starts_blank=starts_blank
    )


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def lines(path: Path) -> Iterator[str]:
    """Yield the physical lines of a UTF-8 file, line ends kept, undecodable bytes as surrogates."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from file


def _header(path: Path, delimiter: str) -> list[str]:
    """Read the names of the columns: the first record that is not blank."""
    csv.field_size_limit(max(csv.field_size_limit(), LARGEST_CELL))
    try:
        return next((record for record in csv.reader(lines(path), delimiter=delimiter) if record), [])
    except csv.Error:
        return [""]


def _hint_delimiter(findings: Findings, section: str, source: Source, header: list[str]) -> None:
    """Say so when a single column looks like several that another character separates."""
    if len(header) == 1:
        other = next((c for c in ";\t|," if c != source.delimiter and c in header[0]), None)
        if other is not None:
            sign = {"\t": "\\t"}.get(other, other)
            findings.problem(
                "delimiter",
                source.path,
                f"the header has one column; its names look separated by '{sign}'",
                f'set delimiter = "{sign}" in [{section}]',
            )


def _load(session: Session, section: str, delimiter: str, path: Path, names: list[str], *, header: bool) -> None:
    """Load texts into ``raw.<section>:text`` under internal names, so that no user name is ever parsed as an option."""
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(names)))
    aliases = ", ".join(f"c{i} AS {quoted(name)}" for i, name in enumerate(names))
    session.run(
        f"CREATE TABLE raw.{quoted(f'{section}:text')} AS SELECT {aliases} FROM read_csv({literal(path)}, "
        f"auto_detect = false, header = {header}, delim = {literal(delimiter)}, quote = '\"', escape = '\"', "
        f"columns = {{{columns}}}, strict_mode = true, nullstr = '', max_line_size = {LARGEST_CELL})"
    )


def _load_clean(
    session: Session, section: str, source: Source, path: Path, header: list[str], seen: _Bytes
) -> Raw | None:
    """Let DuckDB read the file; None when it finds anything unusual."""
    try:
        _load(session, section, source.delimiter, path, header, header=True)
    except duckdb.Error:
        return None
    rows = session.one(f"SELECT count(*) AS n FROM raw.{quoted(f'{section}:text')}")["n"]
    plain = seen.newlines + (not seen.ends_with_newline) == rows + 1
    line = "rowid + 2" if plain else "NULL::BIGINT"
    return _view(session, section, source.path, header, row="rowid + 1", line=line, rows_in=rows, rejects={})


def _load_checked(
    session: Session, findings: Findings, section: str, source: Source, path: Path, header: list[str]
) -> Raw | None:
    """Read record by record, keep the good ones and set the others aside with their line and text."""
    clean = session.scratch / f"{section}.clean.csv"
    with clean.open("w", encoding="utf-8", newline="") as file:
        split = split_records(lines(path), delimiter=source.delimiter, cells=len(header), keep=_writer(file))
    if split.problems(findings, section=section, file=source.path, cells=len(header)):
        return None
    _load(session, section, ",", clean, [ROW, LINE, *header], header=False)
    place = {"row": f"{quoted(ROW)}::BIGINT", "line": f"{quoted(LINE)}::BIGINT"}
    return _view(session, section, source.path, header, **place, rows_in=split.records, rejects=split.faulty)


def _writer(file: IO[str]) -> Callable[[Sequence[object]], object]:
    return csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow


def _view(
    session: Session,
    section: str,
    file: str,
    names: list[str],
    *,
    row: str,
    line: str,
    rows_in: int,
    rejects: dict[Fault, list[FaultyRow]],
) -> Raw:
    relation = f"raw.{quoted(section)}"
    columns = ", ".join([*map(quoted, names), f"{row} AS {quoted(ROW)}", f"{line} AS {quoted(LINE)}"])
    session.run(f"CREATE VIEW {relation} AS SELECT {columns} FROM raw.{quoted(f'{section}:text')}")
    return Raw(section, file, relation, dict.fromkeys(names, "VARCHAR"), is_text=True, rows_in=rows_in, rejects=rejects)
