"""One input file: found, recognised by its content (never by its name) and opened as a raw relation."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, UsageError, masked, shown
from mqlml.history.postgres import Address, fetch, is_postgres
from mqlml.history.session import LINE, ROW, Session, literal, quoted

if TYPE_CHECKING:
    from mqlml.config import Source
    from mqlml.history.findings import Fault, FaultyRow, Findings

_MAGIC = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"ARROW1", "an Arrow file"),
    (b"%PDF", "a PDF document"),
)
CATALOGUE = "spark:"
"""A path that begins so names a table of an engine's catalogue, not a file."""

_MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")
_LARGEST_RATIO = 100
_SMALLEST_BOMB = 100_000_000


@dataclass(frozen=True)
class Raw:
    """A file as a relation of the session, with the user's own columns, ``ROW`` and ``LINE``.

    Parameters
    ----------
    section, file, relation : str
        Section of the configuration, the file as the user named it, quoted relation.
    columns : mapping of str to str
        The user's column names and their DuckDB types.
    is_text : bool
        Every value is text, as in a CSV file.
    rows_in : int
        Rows of the file, those in ``rejects`` included.
    rejects : mapping of Fault to list of FaultyRow
        Rows that are not even in the relation.
    """

    section: str
    file: str
    relation: str
    columns: Mapping[str, str]
    is_text: bool
    rows_in: int
    rejects: Mapping[Fault, list[FaultyRow]]


def open_source(
    session: Session, findings: Findings, *, section: str, source: Source, root: Path, fetched: Path | None = None
) -> Raw | None:
    """Open the file of a section; what is wrong with it goes to ``findings``.

    Parameters
    ----------
    session, findings
    section : str
    source : Source
    root : Path
        Folder of ``mqlml.toml``.
    fetched : Path, optional
        Where a copy of what the path names has been put, by an engine or from a database.

    Returns
    -------
    Raw or None
        None when the file cannot be used at all; the reason is then among the problems.

    Raises
    ------
    UsageError
        The path is an address, not a file, or the database or the query cannot be understood.
    EngineError
        The database cannot be reached.
    """
    if is_postgres(source.path) and fetched is None:
        return _open_postgres(session, findings, section, source)
    path = existing(findings, section, source.path, root) if fetched is None else fetched
    if path is None:
        return None
    session.watch(path)
    kind = recognise(path)
    if kind == "parquet":
        return _open_parquet(session, findings, section, source.path, path, trusted=fetched is not None)
    if kind == "duckdb":
        return _open_duckdb(session, findings, section, source, path)
    if kind in ("text", "gzip"):
        if path.suffix in (".parquet", ".pq"):
            _damaged(findings, source.path, "the file is named Parquet but does not begin like one")
            return None
        from mqlml.history.csvfile import open_csv

        return open_csv(session, findings, section=section, source=source, path=path)
    findings.problem("format", source.path, f"the file is {kind}, not a table", "export it as CSV (UTF-8) or Parquet")
    return None


def recognise(path: Path) -> str:
    """Tell "parquet", "duckdb", "gzip" and "text" apart by the first bytes; other formats are named in words."""
    with path.open("rb") as file:
        head = file.read(4096)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[8:12] == b"DUCK":
        return "duckdb"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    start = head.removeprefix(b"\xef\xbb\xbf").replace(b"\x00", b"").lstrip().lower()
    if start.startswith(_MARKUP):
        return "a web page (HTML or XML; perhaps the page of an expired login)"
    if start.startswith((b'{"', b'[{"', b"[\n", b"{\n")):
        return "JSON"
    return "text"


def nearest(name: str, valid: list[str]) -> str:
    """Name up to three valid names that resemble ``name``, or else the first ones there are."""
    folded = {v.casefold(): v for v in reversed(valid)}
    close = [folded[c] for c in difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
    names = close or valid[:10]
    listed = ", ".join(f"'{shown(n)}'" for n in names) or "none"
    return f"nearest: {listed}" if close else f"there are: {listed}"


def check_names(findings: Findings, file: str, names: list[str]) -> bool:
    """Refuse blank names, duplicates, and names equal up to spaces and capitals; True when all can be told apart."""
    blank = [i + 1 for i, name in enumerate(names) if not name.strip() or "\x00" in name]
    if blank:
        findings.problem(
            "blank-name", file, f"the columns at positions {_listed(blank)} have no name", "name every column"
        )
    folded = [name.strip().casefold() for name in names]
    twice = [key for key, n in Counter(folded).items() if n > 1 and key]
    for key in twice:
        places = [i for i, other in enumerate(folded) if other == key]
        written = ", ".join(f"'{shown(n)}'" for n in dict.fromkeys(names[i] for i in places))
        findings.problem(
            "dup-column",
            file,
            f"the columns at positions {_listed([i + 1 for i in places])} share the name {written}",
            "give each column a name of its own (spaces and capitals do not count)",
        )
    return not blank and not twice


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(n) for n in numbers[:10]) + (" ..." if len(numbers) > 10 else "")


def existing(findings: Findings, section: str, name: str, root: Path, *, folder: bool = False) -> Path | None:
    """Find the file (or, where ``folder`` is allowed, the folder) that a path names; else say what is there.

    Raises
    ------
    UsageError
        The path is an address or a table of a catalogue.
    """
    if name.startswith(CATALOGUE):
        raise UsageError(
            f"[{section}] path: '{shown(name)}' is a table of a Spark catalogue.",
            hint="run train and score with --engine spark, or export the table to Parquet and name that file",
        )
    if is_postgres(name):
        raise UsageError(
            f"[{section}] path: '{masked(name)}' is a database, which --engine local alone reads.",
            hint="leave --engine spark out, or export the table to Parquet and name that file",
        )
    if "://" in name or "\x00" in name:
        raise UsageError(f"[{section}] path: '{shown(name)}' is not a file.", hint="download it and name the file")
    path = (root / name).resolve()
    if path.is_dir() and folder:
        return path
    if path.is_file():
        if path.stat().st_size:
            return path
        findings.problem("empty-file", name, "the file has zero bytes", "export it again")
    elif path.exists():
        what = "a folder" if path.is_dir() else "not a regular file"
        findings.problem("no-file", name, f"this is {what}", f"name one file in [{section}] path")
    else:
        above = path.parent
        valid = sorted(p.name for p in above.iterdir() if p.is_file()) if above.is_dir() else []
        where = (
            nearest(path.name, valid) if above.is_dir() else f"there is no folder '{shown(Path(name).parent)}' either"
        )
        findings.problem("no-file", name, f"there is no such file; {where}", f"correct [{section}] path")
    return None


def _damaged(findings: Findings, file: str, what: str) -> None:
    findings.problem("damaged", file, what, "export the file again; it is damaged or cut off")


def _open_postgres(session: Session, findings: Findings, section: str, source: Source) -> Raw | None:
    """Copy the table beside the session; from there on it is a file like any other."""
    copy = session.scratch / f"{section}.parquet"
    try:
        found = fetch(Address.of(source.address), section=section, table=source.table, query=source.query, into=copy)
    except DataRefused as refusal:
        findings.problems += refusal.problems
        return None
    session.watch(copy)
    return _open_parquet(session, findings, section, found.name, copy, trusted=True)


def _open_parquet(
    session: Session, findings: Findings, section: str, name: str, path: Path, *, trusted: bool = False
) -> Raw | None:
    try:
        with pq.ParquetFile(path) as file:
            metadata, names = file.metadata, list(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        _damaged(findings, name, f"the Parquet file cannot be read ({shown(str(error).splitlines()[0])})")
        return None
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if not trusted and unpacked > max(_SMALLEST_BOMB, _LARGEST_RATIO * path.stat().st_size):
        findings.problem(
            "bomb", name, f"it unpacks to {unpacked:,} bytes, over {_LARGEST_RATIO} times its size", "check its origin"
        )
        return None
    if not check_names(findings, name, names):
        return None
    row = "row_number() OVER ()" if "file_row_number" in names else "file_row_number + 1"
    option = "" if "file_row_number" in names else ", file_row_number = true"
    scan = f"read_parquet({literal(path)}{option})"
    return _raw_view(session, findings, section, name, names=names, row=row, scan=scan, rows_in=metadata.num_rows)


def _raw_view(
    session: Session,
    findings: Findings,
    section: str,
    file: str,
    *,
    names: list[str],
    row: str,
    scan: str,
    rows_in: int,
) -> Raw | None:
    relation = f"raw.{quoted(section)}"
    columns = ", ".join([*map(quoted, names), f"{row} AS {quoted(ROW)}", f"NULL::BIGINT AS {quoted(LINE)}"])
    try:
        session.run(f"CREATE VIEW {relation} AS SELECT {columns} FROM {scan}")
        types = session.rows(f"SELECT column_name, column_type FROM (DESCRIBE {relation})")
    except duckdb.Error as error:
        _damaged(findings, file, f"the table cannot be read ({shown(str(error).splitlines()[0])})")
        return None
    kinds = {t["column_name"]: t["column_type"] for t in types if t["column_name"] not in (ROW, LINE)}
    return Raw(section, file, relation, kinds, is_text=False, rows_in=rows_in, rejects={})


def duckdb_tables(session: Session, path: Path) -> dict[str, dict[str, str]]:
    """Attach a DuckDB file as ``source:PATH`` and list its tables: schema, name and kind by the name people use.

    Raises
    ------
    duckdb.Error
        The file cannot be opened.
    """
    session.run(f"ATTACH IF NOT EXISTS {literal(path)} AS {quoted(f'source:{path}')} (READ_ONLY)")
    found = session.rows(
        "SELECT table_schema AS schema, table_name AS name, table_type AS kind FROM information_schema.tables "
        f"WHERE table_catalog = {literal(f'source:{path}')} ORDER BY ALL"
    )
    return {t["name"] if t["schema"] == "main" else f"{t['schema']}.{t['name']}": t for t in found}


def _open_duckdb(session: Session, findings: Findings, section: str, source: Source, path: Path) -> Raw | None:
    catalog = quoted(f"source:{path}")
    try:
        tables = duckdb_tables(session, path)
    except duckdb.Error as error:
        _damaged(findings, source.path, f"the DuckDB file cannot be opened ({shown(str(error).splitlines()[0])})")
        return None
    wanted = source.table or (next(iter(tables)) if len(tables) == 1 else "")
    if wanted not in tables:
        what = f"there is no table '{shown(wanted)}'" if wanted else "the file holds several tables or none"
        findings.problem("no-table", source.path, f"{what}; {nearest(wanted, list(tables))}", f"set [{section}] table")
        return None
    table = tables[wanted]
    scan = f"{catalog}.{quoted(table['schema'])}.{quoted(table['name'])}"
    names = [r["column_name"] for r in session.rows(f"SELECT column_name FROM (DESCRIBE {scan})")]
    if not check_names(findings, source.path, names):
        return None
    rows_in = session.one(f"SELECT count(*) AS n FROM {scan}")["n"]
    return _raw_view(
        session,
        findings,
        section,
        source.path,
        names=names,
        row="row_number() OVER ()" if table["kind"] == "VIEW" else "rowid + 1",
        scan=scan,
        rows_in=rows_in,
    )
