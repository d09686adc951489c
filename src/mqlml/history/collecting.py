"""Attribute changes collected from one extract of the leads to the next, so that a field history exists next time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, Problem, UsageError
from mqlml.history.collected import CHANGES_FILE, EXTRACT_FILE
from mqlml.history.contract import UTC_TIME
from mqlml.history.extracting import read_extract
from mqlml.history.files import CATALOGUE
from mqlml.history.session import Session, literal, quoted
from mqlml.history.writing import write_table

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Config

__all__ = ["Collected", "collect"]

_CHANGES = pa.schema(
    [
        pa.field("lead_id", pa.string()),
        pa.field("changed_at", UTC_TIME),
        pa.field("field", pa.string()),
        pa.field("value", pa.string()),
        pa.field("old_value", pa.string()),
    ]
)
_AS_OF = b"as_of"
_FEW, _SHARED, _LONGEST = 50, 0.2, 100
_PHONE_LIKE = 1e6


@dataclass(frozen=True)
class Collected:
    """What a collection did.

    Attributes
    ----------
    folder : str
        Where it keeps changes and the last extract.
    as_of : str
        The moment of the extract.
    kept_as_of : str or None
        That of the extract it was compared with; None the first time.
    leads, changes, rows : int
        Leads in the extract, changes added, and changes in the table now.
    left_out : tuple of str
        Columns that may hold free text or personal values.
    notes : tuple of str
    """

    folder: str
    as_of: str
    kept_as_of: str | None
    leads: int
    changes: int
    rows: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def collect(config: Config, *, as_of: datetime) -> Collected:
    """Compare the leads with the last extract that was kept, add what changed to the table, and keep this extract.

    The table is written first and the extract last, each whole or not at all: a run that stops in between is completed
    by the next one, which makes the same comparison. The same extract again adds nothing.

    Parameters
    ----------
    config : Config
        ``[history] collect`` names the folder.
    as_of : datetime
        An aware moment; changes hold from then on.

    Raises
    ------
    UsageError
        ``[history] collect`` is not set.
    DataRefused
        The leads cannot be used, or what was kept is damaged.
    EngineError
        The disk failed; what was collected before is unchanged.
    """
    if config.history is None or config.history.collect is None:
        raise UsageError("Nothing says where to collect changes.", hint='add collect = "collected" to [history]')
    if config.leads.path.startswith(CATALOGUE):
        hint = "export the leads to Parquet and name that file, or leave collect out"
        raise UsageError("[history] collect reads files and databases, no Spark catalogue.", hint=hint)
    folder = config.path(config.history.collect)
    table, left_out = _extract(config)
    kept, before = _kept(folder / EXTRACT_FILE)
    rows = _collected(folder / CHANGES_FILE)
    notes = []
    if before is not None and as_of <= before:
        if as_of < before or not table.equals(kept.select(table.column_names)):
            notes.append(f"An extract of {before.isoformat()} is kept already; this one is compared with a later one.")
        return Collected(
            str(folder), as_of.isoformat(), before.isoformat(), len(table), 0, len(rows), left_out, tuple(notes)
        )
    # What an interrupted run of this moment added is made again.
    rows = rows.filter(pc.less(rows["changed_at"], pa.scalar(as_of, UTC_TIME)))
    new = _changes(kept, table, as_of)
    both = pa.concat_tables([rows, new])
    write_table(both, folder / CHANGES_FILE)
    write_table(table.replace_schema_metadata({_AS_OF: as_of.isoformat()}), folder / EXTRACT_FILE)
    told = None if before is None else before.isoformat()
    return Collected(str(folder), as_of.isoformat(), told, len(table), len(new), len(both), left_out, tuple(notes))


def _extract(config: Config) -> tuple[pa.Table, tuple[str, ...]]:
    """The leads with their attributes as text, in order of their ids, without what may be personal."""
    leads, attributes = read_extract(config)
    left_out = tuple(name for name in attributes.column_names if _personal(attributes[name]))
    columns = {"lead_id": leads["lead_id"].cast(pa.string())}
    for name in sorted(attributes.column_names):
        if name not in left_out and name != "lead_id":
            columns[name] = attributes[name].cast(pa.string())
    return pa.table(columns).sort_by("lead_id").combine_chunks(), left_out


def _personal(column: pa.ChunkedArray) -> bool:
    """Whether values are mostly a lead's own, long, or addresses: names, texts, numbers of phones and records."""
    filled = column.drop_null()
    texts = filled.cast(pa.string())
    distinct = pc.count_distinct(texts).as_py()
    own = distinct >= _FEW and distinct > _SHARED * len(filled)
    if pa.types.is_floating(column.type):
        whole = bool(pc.all(pc.equal(filled, pc.floor(filled))).as_py())
        return own and whole and (pc.max(filled).as_py() or 0) >= _PHONE_LIKE
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    return own or longest > _LONGEST or bool(pc.any(pc.match_substring(texts, "@")).as_py())


def _kept(path: Path) -> tuple[pa.Table, datetime | None]:
    if not path.exists():
        return pa.table({"lead_id": pa.array([], pa.string())}), None
    table = _read(path)
    said = (table.schema.metadata or {}).get(_AS_OF)
    if said is None or "lead_id" not in table.column_names:
        raise _damaged(path, "is no extract that was kept here")
    return table, datetime.fromisoformat(said.decode())


def _collected(path: Path) -> pa.Table:
    if not path.exists():
        return _CHANGES.empty_table()
    table = _read(path)
    if table.column_names != _CHANGES.names:
        raise _damaged(path, f"has the columns {', '.join(table.column_names)}, not {', '.join(_CHANGES.names)}")
    return table.cast(_CHANGES)


def _read(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, f"cannot be read: {error}") from None


def _damaged(path: Path, what: str) -> DataRefused:
    fix = "restore the folder from a backup, or name an empty one in [history] collect to begin anew"
    return DataRefused([Problem("collected", str(path), what, fix)])


def _changes(kept: pa.Table, now: pa.Table, as_of: datetime) -> pa.Table:
    """One row for each lead and column of both extracts whose value differs."""
    both = [name for name in now.column_names if name in kept.column_names and name != "lead_id"]
    session = Session.open()
    try:
        session.connection.register("kept_leads", kept)
        session.connection.register("leads_now", now)
        found = [
            session.table(
                f"SELECT n.lead_id, {literal(name)} AS field, n.{quoted(name)} AS value, k.{quoted(name)} AS old_value "
                f"FROM leads_now AS n JOIN kept_leads AS k USING (lead_id) "
                f"WHERE n.{quoted(name)} IS DISTINCT FROM k.{quoted(name)}"
            )
            for name in both
        ]
    finally:
        session.close()
    if not found:
        return _CHANGES.empty_table()
    table = pa.concat_tables(found)
    moments = pa.repeat(pa.scalar(as_of, UTC_TIME), len(table))
    return (
        table.append_column("changed_at", moments)
        .select(_CHANGES.names)
        .cast(_CHANGES)
        .sort_by([("lead_id", "ascending"), ("field", "ascending")])
    )
