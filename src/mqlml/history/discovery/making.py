"""What the steps of a proposal share: what a person said, what was found, and the settings in the making."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mqlml.errors import DataRefused, Problem
from mqlml.history.discovery.dates import date_formats
from mqlml.history.discovery.deeds import known_columns
from mqlml.history.discovery.draft import Draft
from mqlml.history.discovery.looking import BUILT

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.history.discovery.looking import Table
    from mqlml.history.discovery.recognising import Part, Recognised
    from mqlml.history.discovery.workshop import Workshop
    from mqlml.history.session import Session

__all__ = ["TIMES", "Making", "Wishes", "every_part", "find_formats", "set_source"]

_WRITTEN = ("path", "table", "delimiter", "encoding", "decimal")
TIMES = {
    "people": ("created_at", "decided_at", "opened_at", "converted_at", "mql_at", "customer_at"),
    "deals": ("created_at", "closed_at"),
    "events": ("occurred_at", "recorded_at"),
    "changes": ("changed_at",),
    "outcomes": ("decided_at", "opened_at"),
    "stages": ("entered_at",),
    "handovers": ("handed_at", "accepted_at", "rejected_at", "first_touch_at"),
    "links": ("valid_from",),
    "spend": ("period_start",),
}


@dataclass(frozen=True)
class Wishes:
    """What a person said beforehand.

    Parameters
    ----------
    leads, outcome, created_at : str or None
        The file of the leads, and its columns.
    won, lost : tuple of str
        Values of the outcome.
    timezone : str or None
    date_order : {"dmy", "mdy"} or None
    match_email : bool
        People with the same e-mail address are the same person.
    """

    leads: str | None = None
    outcome: str | None = None
    created_at: str | None = None
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    timezone: str | None = None
    date_order: str | None = None
    match_email: bool = False


@dataclass
class Making:
    """What the steps of a proposal share."""

    session: Session
    found: Recognised
    leads: Part
    wishes: Wishes
    shop: Workshop
    draft: Draft = field(default_factory=Draft)
    tables: dict[str, pa.Table] = field(default_factory=dict)

    def build(self, section: str, table: pa.Table, why: str) -> None:
        """Take a table that was made, and say of what."""
        self.tables[section] = table
        path = f"{BUILT}/{section}.parquet"
        self.draft.head(section, why)
        self.draft.values[section] = {
            "path": path,
            **{k: v for k, v in self.draft.values[section].items() if k != "path"},
        }
        self.draft.why[section, "path"] = f"{table.num_rows:,} rows made by 'mqlml init'; --tables-only makes them anew"


def find_formats(found: Recognised, wishes: Wishes) -> tuple[dict[tuple[str, str], str], dict[str, list[str]]]:
    """Date formats of every column of times that counts, by table and column."""
    formats: dict[tuple[str, str], str] = {}
    remarks: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for part in every_part(found):
        names = [n for role in TIMES.get(part.layout.kind, ()) for n in part.roles.get(role, ())]
        names += _listed_columns(part)
        told, said, wrong = date_formats(part.table, dict.fromkeys(names), order=wishes.date_order)
        formats |= {(part.table.name, name): form for name, form in told.items()}
        remarks[part.table.name] = said
        problems += wrong
    if problems:
        raise DataRefused(problems)
    return formats, remarks


def _listed_columns(part: Part) -> Iterator[str]:
    """Columns of times that a layout names outside its roles."""
    for options in (*(fact.occurred_at for fact in part.layout.facts), *part.layout.stages.values()):
        yield from known_columns(part.table, options)


def set_source(draft: Draft, section: str, table: Table) -> None:
    """Say where a table comes from and how it is written."""
    for key in _WRITTEN:
        value = getattr(table.source, key)
        if key == "path" or value != type(table.source).model_fields[key].default:
            draft.set(
                section, key, value, "as the file is written" if key in ("delimiter", "encoding", "decimal") else ""
            )


def every_part(found: Recognised) -> list[Part]:
    """All recognised tables, the leads first."""
    first = [] if found.leads is None else [found.leads]
    return [*first, *(part for parts in found.others.values() for part in parts)]
