"""The tables of a PostgreSQL database that look like a lead history, copied as far as is needed to judge them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.config import Source
from mqlml.errors import DataRefused, Problem
from mqlml.history.discovery.looking import Table
from mqlml.history.discovery.profiles import profile_columns
from mqlml.history.discovery.recognising import may_fit, recognise_tables
from mqlml.history.files import open_source
from mqlml.history.findings import Findings
from mqlml.history.postgres import Address, Listed, fetch, list_tables
from mqlml.history.presets import layouts

if TYPE_CHECKING:
    from mqlml.history.discovery.recognising import Part
    from mqlml.history.session import Session

__all__ = ["look_at_database"]


def look_at_database(
    session: Session, address: Address, *, leads: str | None, copies: Path
) -> tuple[list[Table], list[str]]:
    """Open the tables of a database whose names and columns look like a lead history.

    Large tables are judged by random pages of them, and copied whole only where tables have to be made of them.

    Parameters
    ----------
    session : Session
    address : Address
    leads : str or None
        The table that a person named as the leads.
    copies : Path
        Folder for copies of the tables.

    Returns
    -------
    tables : list of Table
        Their sources name no password.
    unread : list of str
        Sentences on tables that look right and could not be read, and on those that were not looked at.

    Raises
    ------
    DataRefused
        The database shows this user no tables.
    UsageError, EngineError
        The driver is missing, or the server cannot be reached.
    """
    listed = list_tables(address)
    if not listed:
        what = "the database shows this user no tables"
        raise DataRefused(
            [Problem("no-table", address.shown, what, "name another database, or see which rights the user has")]
        )
    promising = [one for one in listed if one.name == leads or _promising(one)]
    unread = [
        f"'{one.name}' looks like part of a lead history, but this user may not read it "
        f"(GRANT {' and '.join(one.missing)})"
        for one in promising
        if one.missing
    ]
    readable = {one.name: one for one in promising if not one.missing}
    unread += _passed_over([one.name for one in listed if one not in promising])
    found = {
        name: table
        for number, (name, one) in enumerate(readable.items())
        if (table := _copied(session, address, one, copies / f"{number}.parquet", unread)) is not None
    }
    for part in _to_be_copied_whole(list(found.values()), leads=leads):
        one = replace(readable[part.table.label], part="")
        whole = _copied(session, address, one, copies / f"whole{len(session.sources)}.parquet", unread)
        if whole is not None:
            found[one.name] = whole
    return list(found.values()), unread


def _promising(one: Listed) -> bool:
    return any(may_fit(one.name.rpartition(".")[2], one.columns, layout) for layout in layouts())


def _passed_over(names: list[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(f"'{name}'" for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return [f"tables that do not look like a lead history by their names and columns were not opened: {shown}"]


def _copied(session: Session, address: Address, one: Listed, path: Path, unread: list[str]) -> Table | None:
    """Copy a table, or a part of it, and look at its columns."""
    query = f"SELECT * FROM {one.place} {one.part}" if one.part else None
    findings = Findings()
    try:
        fetch(address, section="leads", table=None if query else one.name, query=query, into=path)
    except DataRefused as refusal:
        unread += [f"'{one.name}': {problem.what}" for problem in refusal.problems]
        return None
    source = Source(path=address.for_settings(one.name))
    section = f"found{len(session.sources)}"
    raw = open_source(session, findings, section=section, source=source, root=path.parent, fetched=path)
    if raw is None:
        unread += [f"'{one.name}': {problem.what}" for problem in findings.problems]
        return None
    sampled = one.cut(raw.rows_in)
    remarks = (f"looked at {raw.rows_in:,} of about {max(one.about, raw.rows_in):,} rows",) if sampled else ()
    stem = one.name.rpartition(".")[2]
    return Table(source, stem, raw, profile_columns(session, raw), remarks, label=one.name, copy=path, sampled=sampled)


def _to_be_copied_whole(tables: list[Table], *, leads: str | None) -> list[Part]:
    """Parts of tables that are used, but for one table of events that is read as it stands."""
    if not any(table.sampled for table in tables):
        return []
    found = recognise_tables(tables, leads=leads)
    events = found.of("events")
    direct = events if len(events) == 1 and events[0].layout.plain else ()
    parts = [*([found.leads] if found.leads else []), *(part for parts in found.others.values() for part in parts)]
    return [part for part in parts if part.table.sampled and part not in direct]
