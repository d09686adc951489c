"""A person taken out of the files that mqlml wrote; everybody else's rows stay as they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, Problem
from mqlml.history.databases import erase_rows
from mqlml.history.writing import publish, table_writer
from mqlml.operation.handoff import MANIFEST
from mqlml.operation.sinks import TABLE

__all__ = ["REFERENCES", "erase_in_file", "erase_in_folder"]

ID = "lead_id"
REFERENCES = ("attached_to",)
"""Columns in which the rows of others name a lead."""
_TABLES = (".parquet", ".csv", ".duckdb")


def erase_in_folder(folder: Path, lead_id: str) -> int:
    """Erase a lead from every table below a folder; returns the rows that named it."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _TABLES and path.is_file())
    return sum(erase_in_file(path, lead_id) for path in files)


def erase_in_file(path: Path, lead_id: str) -> int:
    """Erase a lead from scores, contributions or a list.

    Parameters
    ----------
    path : Path
        ``.parquet``, ``.csv`` (also a hand-off list, whose manifest beside it tells how the id is named there), or
        ``.duckdb``, of which the table ``scores`` is looked at.
    lead_id : str

    Returns
    -------
    int
        Rows taken away, and rows of others that named the lead. At 0 the file was not touched.

    Raises
    ------
    EngineError
        The file cannot be written; it is as before.
    DataRefused
        The file cannot be read, so nobody knows whether the lead is in it.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return _in_parquet(path, lead_id)
        if path.suffix.lower() == ".duckdb":
            return erase_rows(path, table=TABLE, column=ID, value=lead_id, references=REFERENCES)
        return _in_csv(path, lead_id, _id_column(path))
    except (pa.ArrowInvalid, csv.Error, UnicodeDecodeError) as error:
        fix = "delete it, or name another file"
        raise DataRefused([Problem("unreadable", str(path), f"cannot be searched: {error}", fix)]) from None


def _in_parquet(path: Path, lead_id: str) -> int:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        if ID not in schema.names:
            return 0
        named = [name for name in (ID, *REFERENCES) if name in schema.names]
        touched = sum(_naming(batch, named, lead_id) for batch in file.iter_batches(columns=named))
        if not touched:
            return 0
        with table_writer(path, schema) as add:
            for batch in file.iter_batches():
                add(_without(pa.Table.from_batches([batch], schema=schema), lead_id))
    return touched


def _naming(batch: pa.RecordBatch, columns: list[str], lead_id: str) -> int:
    hits = [pc.fill_null(pc.equal(batch.column(name).cast(pa.string()), lead_id), fill_value=False) for name in columns]
    return sum(pc.sum(hit).as_py() or 0 for hit in hits)


def _without(table: pa.Table, lead_id: str) -> pa.Table:
    table = table.filter(pc.fill_null(pc.not_equal(table[ID].cast(pa.string()), lead_id), fill_value=True))
    for name in REFERENCES:
        if name in table.column_names:
            other = pc.not_equal(table[name], lead_id)
            cleared = pc.if_else(pc.fill_null(other, fill_value=False), table[name], pa.scalar(None, table[name].type))
            table = table.set_column(table.column_names.index(name), table.schema.field(name), cleared)
    return table


def _id_column(path: Path) -> str:
    """A list may call the id what a CRM calls it."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((path.parent / MANIFEST).read_text(encoding="utf-8"))["columns"][ID])
    return ID


def _in_csv(path: Path, lead_id: str, column: str) -> int:
    """Copy the file record by record, byte for byte, but for those that name the lead."""
    marks = {lead_id, f"'{lead_id}"}  # as it may stand where a spreadsheet would take it for a formula
    touched = 0
    with path.open(encoding="utf-8", newline="") as source:
        records = _records(source)
        header, raw = next(records, ([], ""))
        if column not in header:
            return 0
        at = header.index(column)
        others = [header.index(name) for name in REFERENCES if name in header]
        kept = [raw]
        for cells, text in records:
            if len(cells) > at and cells[at] in marks:
                touched += 1
            elif any(len(cells) > i and cells[i] in marks for i in others):
                touched += 1
                kept.append(_line(["" if i in others and c in marks else c for i, c in enumerate(cells)]))
            else:
                kept.append(text)
    if touched:
        with publish(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as target:
            target.writelines(kept)
    return touched


def _records(source: TextIO) -> Iterator[tuple[list[str], str]]:
    """Each record with its own text, line ends included."""
    lines: list[str] = []

    def listening() -> Iterator[str]:
        for line in source:
            lines.append(line)
            yield line

    for cells in csv.reader(listening(), strict=True):
        yield cells, "".join(lines)
        lines.clear()


def _line(cells: list[str]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in cells) + "\n"
