"""Events that lie on many machines: cleaned where they lie by the SQL that cleans a file here, counted the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from mqlml.errors import DataRefused
from mqlml.history.columns import Mapped, map_source
from mqlml.history.contract import RemoteEvents
from mqlml.history.facts import EVENTS, Circumstances, account_rows, sort_out, tell
from mqlml.history.files import CATALOGUE, Raw, check_names, existing, recognise
from mqlml.history.findings import FaultyRow
from mqlml.history.layers import FAULT
from mqlml.history.postgres import is_postgres
from mqlml.history.session import LINE, ROW, Session, quoted
from mqlml.history.typed import Typed, type_table

if TYPE_CHECKING:
    from mqlml.config import Events
    from mqlml.history.findings import Findings

__all__ = ["Cleaning", "RemoteReader", "open_events", "read_events"]

_FETCHED = 65_536
_SHOWN = 5
_TYPES = {"id": pa.string(), "text": pa.string(), "time": pa.int64(), "number": pa.float64()}


@dataclass(frozen=True)
class Cleaning:
    """How raw rows of events become typed ones; plain data that travels to other machines.

    Parameters
    ----------
    columns : tuple of str
        The user's columns that are read, in the order in which they arrive, before ``ROW``.
    arrives : pa.Schema
        Their types, for a part without rows.
    leaves : pa.Schema
        Contract fields (times as microseconds UTC), ``fault`` (null for a good row), ``row`` and ``flag0``, ...
    sql : str
        The same statement that reads a file locally, over ``raw.events``.
    flags : int
        How many things are counted and told without stopping a row.
    """

    columns: tuple[str, ...]
    arrives: pa.Schema
    leaves: pa.Schema
    sql: str
    flags: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Clean the rows of one part; memory holds a batch or two."""
        arriving = iter(batches)
        first = next(arriving, None)
        schema, rows = (self.arrives, arriving) if first is None else (first.schema, chain([first], arriving))
        session = Session.open()
        try:
            session.run("SET threads = 1")  # the engine decides how many parts are cleaned at a time
            session.connection.register("arriving", pa.RecordBatchReader.from_batches(schema, rows))
            names = ", ".join(map(quoted, (*self.columns, ROW)))
            session.run(f"CREATE VIEW raw.events AS SELECT {names}, NULL::BIGINT AS {quoted(LINE)} FROM arriving")
            for batch in session.connection.sql(self.sql).to_arrow_reader(_FETCHED):
                yield pa.RecordBatch.from_arrays(batch.columns, schema=self.leaves)
        finally:
            session.close()


class RemoteReader(RemoteEvents, Protocol):
    """An engine that reads events where they lie."""

    def fetch(self, name: str) -> Path:
        """Copy a table of the catalogue into one Parquet file on this machine."""

    def open(self, path: str) -> pa.Schema:
        """Find events, a Parquet file or folder or ``CATALOGUE`` and a table's name, and tell their columns."""

    def clean(
        self, cleaning: Cleaning, *, known: pa.Table, links: pa.Table | None, suppressed: pa.Table | None
    ) -> list[dict[str, Any]]:
        """Clean all events once and keep them; tell how many rows there are of each kind.

        Parameters
        ----------
        cleaning : Cleaning
        known : pa.Table
            ``lead_id``, ``status`` and ``created_at`` (microseconds) of every id of the leads file.
        links : pa.Table or None
            ``other_id``, ``lead_id`` and ``valid_from`` (microseconds).
        suppressed : pa.Table or None
            ``lead_id`` of those whose events are not looked at.

        Returns
        -------
        list of dict
            ``fault``, ``status``, ``kind`` (the event type), ``n``, ``early`` and ``flag0``, ...: counts of rows.
        """

    def faulty_rows(self, fault: int, *, only_used: bool, most: int) -> list[int]:
        """Numbers of the first rows with a fault, from 1; none where rows have no numbers."""


def open_events(
    session: Session, findings: Findings, *, source: Events, root: Path, remote: RemoteReader
) -> Raw | None:
    """Look at the columns of events that the engine reads; the session holds them as an empty relation.

    Returns
    -------
    Raw or None
        Its ``rows_in`` is known only once the events have been cleaned; None where they cannot be used.
    """
    path = source.path
    if is_postgres(path) or (not path.startswith(CATALOGUE) and "://" not in path):
        found = _parquet(session, findings, source, root)
        if found is None:
            return None
        path = str(found)
    try:
        schema = remote.open(path)
    except DataRefused as refusal:
        findings.problems += [replace(problem, file=source.path) for problem in refusal.problems]
        return None
    if not check_names(findings, source.path, schema.names):
        return None
    session.connection.register("arriving", schema.empty_table())
    place = f"NULL::BIGINT AS {quoted(ROW)}, NULL::BIGINT AS {quoted(LINE)}"
    session.run(f"CREATE TABLE raw.events AS SELECT *, {place} FROM arriving")
    session.connection.unregister("arriving")
    types = session.rows("SELECT column_name, column_type FROM (DESCRIBE raw.events)")
    kinds = {t["column_name"]: t["column_type"] for t in types if t["column_name"] not in (ROW, LINE)}
    return Raw("events", source.path, "raw.events", kinds, is_text=False, rows_in=0, rejects={})


def read_events(
    session: Session, findings: Findings, raw: Raw, *, source: Events, around: Circumstances, remote: RemoteReader
) -> bool:
    """Let the engine clean the events; the same account, notes and problems as for a file here.

    Returns
    -------
    bool
        Whether they can be used.
    """
    mapped = map_source(findings, raw, source, EVENTS)
    if mapped is None or not _times_are_times(findings, mapped):
        return False
    typed = type_table(session, findings, mapped, EVENTS, table="events", source=source, timezone=around.timezone)
    if typed is None:
        return False
    linked = "SELECT other_id, lead_id, epoch_us(valid_from) AS valid_from FROM links"
    groups = remote.clean(
        cleaning_of(session, typed, mapped),
        known=session.table("SELECT lead_id, status, epoch_us(created_at) AS created_at FROM raw.known"),
        links=session.table(linked) if around.has_links else None,
        suppressed=session.table("SELECT lead_id FROM raw.suppressed") if around.suppressed else None,
    )
    raw = replace(raw, rows_in=sum(group["n"] for group in groups))
    typed = replace(typed, raw=raw)
    faults, skipped, used = sort_out(groups)
    quarantined = _set_aside(findings, typed, faults, share=source.max_quarantined_share, remote=remote)
    account_rows(findings, typed, used=used, quarantined=quarantined, skipped=skipped, source=source)
    tell(findings, typed, groups, source=source)
    return True


def cleaning_of(session: Session, typed: Typed, mapped: Mapped) -> Cleaning:
    """Turn a plan over the empty relation into one that other machines carry out."""
    columns = tuple(dict.fromkeys(c for c in mapped.columns.values() if c is not None))
    arrives = session.table(f"SELECT {', '.join(map(quoted, (*columns, ROW)))} FROM raw.events LIMIT 0").schema
    kinds = {field.name: field.kind for field in EVENTS}
    values = [f"epoch_us({quoted(c)})" if kinds[c] == "time" else quoted(c) for c in typed.columns]
    flags = [flag.predicate for flag in typed.flags]
    sql = ", ".join([*values, quoted(FAULT), quoted(ROW), *flags])
    leaves = [(c, _TYPES[kinds[c]]) for c in typed.columns]
    leaves += [("fault", pa.int32()), ("row", pa.int64()), *((f"flag{i}", pa.bool_()) for i in range(len(flags)))]
    return Cleaning(columns, arrives, pa.schema(leaves), f"SELECT {sql} FROM ({typed.sql})", len(flags))


def _parquet(session: Session, findings: Findings, source: Events, root: Path) -> Path | None:
    """Find the file or folder; only Parquet is read on many machines."""
    path = existing(findings, "events", source.path, root, folder=True)
    if path is None:
        return None
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if files and recognise(files[0]) == "parquet":
        for file in files:
            session.watch(file)
        return path
    what = "the folder holds no .parquet file" if not files else "this is not Parquet"
    fix = "export the events as Parquet, or use --engine local"
    findings.problem("format", source.path, f"{what}, and nothing else is read by --engine spark", fix)
    return None


def _times_are_times(findings: Findings, mapped: Mapped) -> bool:
    """Texts would have to be profiled and guessed at on every machine; a typed table has no need of it."""
    fine = True
    for field in EVENTS:
        column = mapped.columns[field.name]
        if field.kind == "time" and column is not None and mapped.raw.columns[column] == "VARCHAR":
            what = "the times are texts, which --engine spark does not read"
            fix = "store timestamps (CAST the column once), or use --engine local"
            findings.problem("time-type", mapped.raw.file, what, fix, column=column)
            fine = False
    return fine


def _set_aside(
    findings: Findings, typed: Typed, faults: Mapping[int, int], *, share: float, remote: RemoteReader
) -> int:
    """Count the faulty rows and name the first ones; their content stays where it lies."""
    faulty = {typed.faults[f]: _first(remote.faulty_rows(f, only_used=f != 0, most=_SHOWN)) for f in faults}
    counts = {typed.faults[f]: n for f, n in faults.items()}
    return findings.set_aside(typed.table, typed.raw, faulty, counts, share)


def _first(rows: Sequence[int]) -> list[FaultyRow]:
    return [FaultyRow(row, None, "") for row in rows]
