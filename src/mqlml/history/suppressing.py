"""The list of people who asked to be left alone, and how one more gets onto it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.errors import UsageError
from mqlml.history.files import recognise
from mqlml.history.writing import write_bytes, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Suppress

__all__ = ["suppress_lead"]


def suppress_lead(path: Path, source: Suppress, lead_id: str) -> bool:
    """Add an id to the list, unless it is there already; the other rows stay as they are.

    Parameters
    ----------
    path : Path
        A CSV file, made if missing, or a Parquet file.
    source : Suppress
        Names its column, delimiter and encoding.
    lead_id : str

    Returns
    -------
    bool
        Whether it was added.

    Raises
    ------
    UsageError
        The list is kept in a form that is not written here.
    EngineError
        The file cannot be written; it is as before.
    """
    kind = recognise(path) if path.exists() and path.stat().st_size else "text"
    if kind == "parquet" or (path.suffix.lower() == ".parquet" and not path.exists()):
        return _to_parquet(path, source, lead_id)
    if kind == "text":
        return _to_csv(path, source, lead_id)
    raise UsageError(f"[suppress] path: {source.path} is neither CSV nor Parquet.", hint="add the lead there yourself")


def _to_parquet(path: Path, source: Suppress, lead_id: str) -> bool:
    column = source.lead_id
    table = pq.read_table(path) if path.exists() else pa.table({column: pa.array([], pa.string())})
    if column not in table.column_names:
        raise _no_column(source)
    if lead_id in table[column].cast(pa.string()).to_pylist():
        return False
    row = [pa.array([lead_id if f.name == column else None], pa.string()).cast(f.type) for f in table.schema]
    added = pa.Table.from_arrays(row, schema=table.schema)
    write_table(pa.concat_tables([table, added]).combine_chunks(), path)
    return True


def _to_csv(path: Path, source: Suppress, lead_id: str) -> bool:
    raw = path.read_bytes() if path.exists() else b""
    text = raw.decode("utf-8-sig" if source.encoding == "utf-8" else source.encoding)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter))
    header = rows[0] if rows else [source.lead_id]
    names = [name.strip() for name in header]
    if source.lead_id not in names:
        raise UsageError(
            f"[suppress] lead_id: {source.path} has no column '{source.lead_id}'.", hint="correct the name"
        )
    at = names.index(source.lead_id)
    if any(len(row) > at and row[at] == lead_id for row in rows[1:]):
        return False
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=source.delimiter, lineterminator="\r\n" if "\r\n" in text else "\n")
    if not rows:
        writer.writerow(header)
    elif not text.endswith(("\n", "\r")):
        out.write("\n")
    writer.writerow([lead_id if i == at else "" for i in range(len(header))])
    # UTF-16 would put another mark of its byte order in front of what is appended
    added = (text + out.getvalue()).encode("utf-16") if source.encoding == "utf-16" else raw + _plain(out, source)
    write_bytes(path, added)
    return True


def _no_column(source: Suppress) -> UsageError:
    return UsageError(f"[suppress] lead_id: {source.path} has no column '{source.lead_id}'.", hint="correct the name")


def _plain(out: io.StringIO, source: Suppress) -> bytes:
    return out.getvalue().encode(source.encoding)
