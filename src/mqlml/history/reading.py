"""From the files that ``mqlml.toml`` names to a checked history; all problems of all files in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mqlml.errors import DataRefused, EngineError, shown
from mqlml.history.attributes import AttributeKind
from mqlml.history.contract import HANDOVERS, History
from mqlml.history.facts import CHANGES, EVENTS, STAGES, Circumstances, read_facts, read_handovers, read_spend
from mqlml.history.files import Raw, open_source
from mqlml.history.findings import Findings
from mqlml.history.identities import read_links, read_suppressed
from mqlml.history.leads import finish_leads, read_leads
from mqlml.history.outcomes import OUTCOMES, outcome_columns, read_outcomes
from mqlml.history.session import Session

if TYPE_CHECKING:
    from mqlml.config import Config, Source

_SECTIONS = ("leads", "links", "suppress", "outcomes", "events", "history", "stages", "handovers", "spend")


def read_history(config: Config, *, kinds: Mapping[str, AttributeKind] | None = None) -> History:
    """Read, type and check every table of a configuration.

    Parameters
    ----------
    config : Config
    kinds : mapping of str to {"number", "category"}, optional
        Kinds a model was trained with, by column of the leads: a CSV file cannot tell by itself that a column of
        codes was text when today's few rows all look like numbers.

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
        return _read(session, Findings(), config, kinds)
    except duckdb.Error as error:
        session.close()
        raise EngineError(f"DuckDB failed while reading: {shown(str(error).splitlines()[0])}.", hint="try again") from error
    except BaseException:
        session.close()
        raise


def _read(
    session: Session, findings: Findings, config: Config, kinds: Mapping[str, AttributeKind] | None
) -> History:
    raws = _open_all(session, findings, config)
    session.harden()
    timezone = config.leads.timezone
    linked = bool(config.links and raws["links"]) and read_links(
        session, findings, raws["links"], source=config.links, timezone=timezone
    )
    suppressed = read_suppressed(
        session, findings, raws["suppress"], source=config.suppress, timezone=timezone, linked=linked
    )
    rows = outcomes = None
    if (raw := raws["leads"]) is not None:
        rows = read_leads(
            session, findings, raw, config=config, outcome_columns=outcome_columns(config, raw), kinds=kinds
        )
    if rows is not None:
        outcomes_raw = raws["outcomes"]
        outcomes = outcomes_raw and read_outcomes(session, findings, outcomes_raw, config=config)
        around = Circumstances(linked, suppressed, timezone)
        tables, handovers = _read_facts(session, findings, config, raws, around)
        leads, attributes = finish_leads(session, findings, rows)
    _refuse(session, findings)
    assert rows is not None
    session.run("SET preserve_insertion_order = false")
    return History(
        leads=leads,
        attributes=attributes,
        outcomes=OUTCOMES.empty_table() if outcomes is None else outcomes,
        handovers=HANDOVERS.empty_table() if handovers is None else handovers,
        connection=session.connection,
        tables=tables | ({"links"} if linked else set()),
        accounts=tuple(findings.accounts),
        notes=tuple(findings.notes),
        quarantine=findings.quarantine(),
        cleanup=session.close,
    )


def _open_all(session: Session, findings: Findings, config: Config) -> dict[str, Raw | None]:
    """Open every file; outcomes without a path of their own are columns of the leads."""
    raws: dict[str, Raw | None] = {}
    for section in _SECTIONS:
        source: Source | None = getattr(config, section)
        raws[section] = None
        if source is not None and (section != "outcomes" or config.outcomes.path):
            raws[section] = open_source(session, findings, section=section, source=source, root=config.root)
    leads = raws["leads"]
    if leads is not None and not config.outcomes.path:
        rejected = sum(map(len, leads.rejects.values()))
        raws["outcomes"] = replace(leads, section="outcomes", rows_in=leads.rows_in - rejected, rejects={})
    return raws


def _read_facts(
    session: Session, findings: Findings, config: Config, raws: Mapping[str, Raw | None], around: Circumstances
) -> tuple[frozenset[str], pa.Table | None]:
    made = set()
    for section, table, fields, time in (
        ("events", "events", EVENTS, "occurred_at"),
        ("history", "changes", CHANGES, "changed_at"),
        ("stages", "stages", STAGES, "entered_at"),
    ):
        raw = raws[section]
        if raw is not None and read_facts(
            session, findings, raw, source=getattr(config, section), fields=fields, table=table, time=time, around=around
        ):
            made.add(table)
    handovers = None
    if config.handovers is not None and (raw := raws["handovers"]) is not None:
        handovers = read_handovers(session, findings, raw, source=config.handovers, around=around)
    if config.spend is not None and (raw := raws["spend"]) is not None:
        if read_spend(session, findings, raw, source=config.spend, timezone=around.timezone):
            made.add("spend")
    if config.events is None:
        findings.note("There is no [events] table: leads are judged by their attributes only.")
    return frozenset(made), handovers


def _refuse(session: Session, findings: Findings) -> None:
    for path in session.changed():
        findings.problem("changed", path.name, "the file changed while it was read", "wait until its export is finished")
    if findings.problems:
        raise DataRefused(findings.problems)
