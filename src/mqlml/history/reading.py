"""From the files that ``mqlml.toml`` names to a checked history; all problems of all files in one pass."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from mqlml.errors import DataRefused
from mqlml.history.carried import keep_columns
from mqlml.history.collected import open_collected, read_collected
from mqlml.history.columns import map_source
from mqlml.history.contract import HANDOVERS, History
from mqlml.history.eventfolder import open_folder, read_folder
from mqlml.history.facts import (
    CHANGES,
    EVENTS,
    HANDED,
    SPEND,
    STAGES,
    Circumstances,
    read_facts,
    read_handovers,
    read_spend,
)
from mqlml.history.failing import as_ours
from mqlml.history.files import CATALOGUE, Raw, open_source
from mqlml.history.findings import Findings
from mqlml.history.identities import read_links, read_suppressed
from mqlml.history.leads import finish_leads, read_leads
from mqlml.history.outcomes import OUTCOMES, outcome_columns, plan_outcomes, read_outcomes
from mqlml.history.remote import open_events, read_events
from mqlml.history.session import Session
from mqlml.history.typed import type_table

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Config, Source
    from mqlml.history.attributes import AttributeKind
    from mqlml.history.kept import Kept
    from mqlml.history.leads import LeadRows
    from mqlml.history.remote import RemoteReader

ORDER = ("leads", "outcomes", "events", "changes", "collected", "stages", "handovers", "links", "spend", "suppress")
"""Tables in the order of the accounts."""

_FACTS = {
    "events": ("events", EVENTS, "occurred_at"),
    "history": ("changes", CHANGES, "changed_at"),
    "stages": ("stages", STAGES, "entered_at"),
}
_SECTIONS = ("leads", "links", "suppress", "outcomes", "events", "history", "stages", "handovers", "spend")


def read_history(
    config: Config,
    *,
    kinds: Mapping[str, AttributeKind] | None = None,
    remote: RemoteReader | None = None,
    kept: Kept | None = None,
) -> History:
    """Read, type and check every table of a configuration.

    Parameters
    ----------
    config : Config
    kinds : mapping of str to {"number", "category"}, optional
        Kinds a model was trained with, by column of the leads: a CSV file cannot tell by itself that a column of
        codes was text when today's few rows all look like numbers.
    remote : RemoteReader, optional
        Reads the events, and any table of its catalogue, in place of DuckDB.
    kept : Kept, optional
        Events that earlier runs have read; only files that are new are read, and kept too.

    Returns
    -------
    History
        To be closed, or used as a context manager.

    Raises
    ------
    DataRefused
        The data cannot be used; carries every problem of every file.
    UsageError
        A path is an address, or ``[leads] where`` or a timestamp format cannot be understood.
    EngineError
        DuckDB or the disk failed; running again is safe.
    """
    session = Session.open()
    try:
        return _read(session, Findings(), config, kinds, remote, kept)
    except duckdb.Error as error:
        raise as_ours(error, session) from error
    except BaseException:
        session.close()
        raise


def _read(
    session: Session,
    findings: Findings,
    config: Config,
    kinds: Mapping[str, AttributeKind] | None,
    remote: RemoteReader | None,
    kept: Kept | None,
) -> History:
    folder = None if remote is not None else open_folder(session, findings, config=config, kept=kept)
    raws = _open_all(session, findings, config, remote, without=() if folder is None else ("events",))
    session.harden()
    around = read_identities(session, findings, config, raws)
    rows = _read_leads(session, findings, config, raws, kinds)
    outcomes = handovers = None
    if (raw := raws["outcomes"]) is not None:
        linked = around.has_links and bool(config.outcomes.path)
        outcomes = read_outcomes(session, findings, raw, config=config, linked=linked)
    tables = _read_facts(session, findings, config, raws, around, remote)
    if folder is not None:
        tables |= read_folder(session, findings, folder, around=around, kept=kept)
    if config.handovers is not None and (raw := raws["handovers"]) is not None:
        handovers = read_handovers(session, findings, raw, source=config.handovers, around=around)
    leads, attributes = finish_leads(session, findings, rows)
    refuse(session, findings)
    session.finish()
    if kept is not None:
        kept.commit()
    return History(
        leads=leads,
        attributes=attributes,
        outcomes=OUTCOMES.empty_table() if outcomes is None else outcomes,
        handovers=HANDOVERS.empty_table() if handovers is None else handovers,
        connection=session.connection,
        tables=tables,
        accounts=tuple(sorted(findings.accounts, key=lambda account: ORDER.index(account.table))),
        notes=tuple(findings.notes),
        quarantine=findings.quarantine(),
        cleanup=session.close,
        remote=remote if config.events is not None else None,
    )


def _read_leads(
    session: Session,
    findings: Findings,
    config: Config,
    raws: Mapping[str, Raw | None],
    kinds: Mapping[str, AttributeKind] | None,
) -> LeadRows:
    """Read the leads, which everything else is joined to."""
    if (raw := raws["leads"]) is not None:
        taken = outcome_columns(config, raw)
        rows = read_leads(session, findings, raw, config=config, outcome_columns=taken, kinds=kinds)
        if rows is not None:
            if config.handoff is not None:
                keep_columns(session, findings, raw, config.handoff)
            return rows
    _look_at_columns(session, findings, config, raws)
    raise DataRefused(findings.problems)


def _open_all(
    session: Session, findings: Findings, config: Config, remote: RemoteReader | None, *, without: Container[str]
) -> dict[str, Raw | None]:
    """Open every file but those of sections in ``without``; outcomes without a path are columns of the leads."""
    raws: dict[str, Raw | None] = {}
    for section in _SECTIONS:
        source: Source | None = getattr(config, section)
        raws[section] = None
        if source is None or section in without or not source.path:
            continue
        if remote is not None and config.events is not None and section == "events":
            raws[section] = open_events(session, findings, source=config.events, root=config.root, remote=remote)
        else:
            raws[section] = open_table(session, findings, section, source, config.root, remote)
    raws["collected"] = open_collected(session, findings, config)
    leads = raws["leads"]
    if leads is not None and not config.outcomes.path:
        rejected = sum(map(len, leads.rejects.values()))
        raws["outcomes"] = replace(leads, rows_in=leads.rows_in - rejected, rejects={})
    return raws


def open_table(
    session: Session, findings: Findings, section: str, source: Source, root: Path, remote: RemoteReader | None
) -> Raw | None:
    """Open the table of a section; one of the engine's catalogue is fetched first. None where it cannot be used."""
    fetched = None
    if remote is not None and source.path.startswith(CATALOGUE):
        try:
            fetched = remote.fetch(source.path)
        except DataRefused as refusal:
            findings.problems += refusal.problems
            return None
    return open_source(session, findings, section=section, source=source, root=root, fetched=fetched)


def read_identities(
    session: Session, findings: Findings, config: Config, raws: Mapping[str, Raw | None]
) -> Circumstances:
    """Read ``[links]`` and ``[suppress]``: what the tables of facts share."""
    timezone = config.leads.timezone
    linked = False
    if config.links is not None and (raw := raws["links"]) is not None:
        linked = read_links(session, findings, raw, source=config.links, timezone=timezone)
    suppressed = read_suppressed(
        session, findings, raws["suppress"], source=config.suppress, timezone=timezone, linked=linked
    )
    return Circumstances(linked, suppressed, timezone)


def _read_facts(
    session: Session,
    findings: Findings,
    config: Config,
    raws: Mapping[str, Raw | None],
    around: Circumstances,
    remote: RemoteReader | None,
) -> frozenset[str]:
    made = {"links"} if around.has_links else set()
    if remote is not None and config.events is not None and (raw := raws["events"]) is not None:
        read_events(session, findings, raw, source=config.events, around=around, remote=remote)
    for section, (table, fields, time) in _FACTS.items():
        source, raw = getattr(config, section), raws[section]
        if raw is None or (remote is not None and section == "events"):
            continue
        if read_facts(session, findings, raw, source=source, fields=fields, table=table, time=time, around=around):
            made.add(table)
    if (raw := raws["collected"]) is not None and read_collected(session, findings, raw, around=around, made=made):
        made.add("changes")
    raw, spend = raws["spend"], config.spend
    if (
        raw is not None
        and spend is not None
        and read_spend(session, findings, raw, source=spend, timezone=around.timezone)
    ):
        made.add("spend")
    if config.events is None:
        findings.note("There is no [events] table: leads are judged by their attributes only.")
    return frozenset(made)


def _look_at_columns(session: Session, findings: Findings, config: Config, raws: Mapping[str, Raw | None]) -> None:
    """Without leads nothing can be joined, but what is wrong with the other files is told in the same pass."""
    if config.outcomes.path and (raw := raws["outcomes"]) is not None:
        plan_outcomes(session, findings, raw, config=config)
    every = {section: (table, fields) for section, (table, fields, _) in _FACTS.items()}
    for section, (table, fields) in (every | {"handovers": ("handovers", HANDED), "spend": ("spend", SPEND)}).items():
        source, raw = getattr(config, section), raws[section]
        mapped = None if raw is None else map_source(findings, raw, source, fields)
        if mapped is not None:
            zone = config.leads.timezone
            type_table(session, findings, mapped, fields, table=table, source=source, timezone=zone)


def refuse(session: Session, findings: Findings) -> None:
    """Raise `DataRefused` with every problem found, that of files which changed meanwhile too."""
    for path in session.changed():
        what = "the file changed while it was read"
        findings.problem("changed", path.name, what, "wait until its export is finished")
    if findings.problems:
        raise DataRefused(findings.problems)
