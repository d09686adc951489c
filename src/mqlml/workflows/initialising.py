"""From exports or a database to commented settings that ``mqlml check`` and ``mqlml train`` can use."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mqlml.config import Config, Source
from mqlml.errors import UsageError, masked
from mqlml.history.discovery.looking import BUILT
from mqlml.history.discovery.places import Place
from mqlml.history.discovery.proposing import Proposal, Wishes, propose_place
from mqlml.history.writing import write_table, write_text
from mqlml.workflows.trying import try_out

__all__ = ["Started", "Wishes", "initialise"]

_SETTINGS = "mqlml.toml"


@dataclass(frozen=True)
class Started:
    """What was written, what it assumes, and what is open.

    Attributes
    ----------
    settings : Path
        The file.
    tables : dict of str to int
        Rows of the tables that were made, by file.
    found : list of dict
        Tables of the folder and what they were taken for.
    assumptions, questions : list of dict
    problems : list of str
        What would stop a training in spite of it.
    next_steps : list of str
        Commands.
    again : str
        The command that makes the tables anew; empty where none was made.
    """

    settings: Path
    tables: dict[str, int]
    found: list[dict[str, Any]]
    assumptions: list[dict[str, Any]]
    questions: list[dict[str, str]]
    problems: list[str]
    next_steps: list[str]
    again: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "settings": str(self.settings)}


def initialise(
    named: str, *, wishes: Wishes, out: Path | None = None, force: bool = False, tables_only: bool = False
) -> Started:
    """Look at exports and write commented settings, and the tables that they need.

    Parameters
    ----------
    named : str
        A folder, a file, or the address of a PostgreSQL database.
    wishes : Wishes
        What a person said beforehand.
    out : Path, optional
        Folder for settings on a database; the current one without it.
    force : bool
        Replace settings that are there.
    tables_only : bool
        Make the tables anew from newer exports, and leave the settings as they are.

    Returns
    -------
    Started

    Raises
    ------
    UsageError
        There is no such place, or it has settings already.
    DataRefused
        No leads or no outcome were found, or dates can be read in two ways.
    EngineError
        The database cannot be reached.
    """
    place = Place.of(named, out=out)
    settings = place.home / _SETTINGS
    if settings.exists() and not force and not tables_only:
        raise UsageError(
            f"'{settings}' exists already.", hint="--force replaces it; --tables-only makes only its tables anew"
        )
    if tables_only and not settings.exists():
        raise UsageError(f"there is no '{settings}' yet.", hint="run without --tables-only first")
    with tempfile.TemporaryDirectory(prefix="mqlml-init-") as copies:
        proposal = propose_place(place, wishes=_for(place, wishes), copies=Path(copies))
        problems = [] if tables_only else try_out(proposal, place.home.resolve(), scratch=Path(copies))
    wanted = _paths(settings) if tables_only else {values.get("path") for values in proposal.draft.values.values()}
    made = {f"{BUILT}/{name}.parquet": table for name, table in proposal.tables.items()}
    written = {path: table for path, table in made.items() if path in wanted}
    for path, table in written.items():
        write_table(table, place.home / path)
    if not tables_only:
        write_text(settings, proposal.draft.text(_title(place, problems)))
    return Started(
        settings,
        {path: table.num_rows for path, table in written.items()},
        _found(proposal),
        proposal.draft.assumptions(),
        [question.to_dict() for question in proposal.draft.questions],
        problems,
        _next(place, settings),
        _again(named, out) if written else "",
    )


def _for(place: Place, wishes: Wishes) -> Wishes:
    """What a person said, as the tables of the place are called: files lie in the folder, however they were named."""
    if place.address is not None:
        return replace(wishes, leads=wishes.leads or place.address.table)
    return wishes if wishes.leads is None else replace(wishes, leads=Path(wishes.leads).name)


def _next(place: Place, settings: Path) -> list[str]:
    steps = [f"mqlml check --config {shlex.quote(str(settings))}"]
    if place.address is not None and place.address.has_password:
        steps.insert(0, "export PGPASSWORD=...   # or a line in ~/.pgpass: settings keep no password")
    return steps


def _again(named: str, out: Path | None) -> str:
    """The same command for newer exports, without the password that an address may hold."""
    place = "" if out is None else f" --out {shlex.quote(str(out))}"
    return f"mqlml init {shlex.quote(masked(named))}{place} --tables-only"


def _paths(settings: Path) -> set[str]:
    """Where settings that a person may have edited read their tables."""
    config = Config.load(settings)
    sections = (getattr(config, name) for name in type(config).model_fields)
    return {section.path for section in sections if isinstance(section, Source)}


def _title(place: Place, problems: Sequence[str]) -> str:
    source = "the files of this folder" if place.address is None else f"the tables of {place.shown}"
    state = " As it stands, 'mqlml check' refuses it: see what it says." if problems else ""
    return (
        f"Settings that 'mqlml init' proposed from {source}. Paths are relative to this file; every "
        f"proposal says why. Change what is wrong, then run 'mqlml check'.{state}"
    )


def _found(proposal: Proposal) -> list[dict[str, Any]]:
    found = proposal.found
    parts = [(found.leads, "leads"), *((p, kind) for kind, parts in found.others.items() for p in parts)]
    return [
        {
            "file": part.table.name,
            "rows": part.table.raw.rows_in,
            "sampled": part.table.sampled,
            "taken_for": kind,
            "system": part.layout.preset,
            "why": part.why,
        }
        for part, kind in parts
        if part is not None
    ]
