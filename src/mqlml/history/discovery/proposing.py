"""From recognised tables to proposed settings: the leads, their outcomes, and everything else the folder tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from mqlml.errors import DataRefused, EngineError, Problem, shown
from mqlml.history.columns import listed
from mqlml.history.discovery.columns import judge_columns
from mqlml.history.discovery.facts import propose_facts
from mqlml.history.discovery.making import TIMES, Making, Wishes, every_part, find_formats, set_source
from mqlml.history.discovery.outcomes import propose_outcomes
from mqlml.history.discovery.people import leads_where
from mqlml.history.discovery.recognising import Part, Recognised, lay_out, recognise_tables
from mqlml.history.discovery.workshop import Workshop
from mqlml.history.presets import folded, layouts
from mqlml.history.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from mqlml.history.discovery.draft import Draft
    from mqlml.history.discovery.looking import Table
    from mqlml.history.discovery.places import Place

__all__ = ["Proposal", "Wishes", "propose", "propose_place"]


@dataclass(frozen=True)
class Proposal:
    """Settings with their reasons, and the tables to be written for them.

    Parameters
    ----------
    draft : Draft
    found : Recognised
    tables : mapping of str to pyarrow.Table
        By section; each is to be written as ``mqlml-tables/SECTION.parquet``.
    unread : tuple of str
        Files that could not be opened, as sentences.
    """

    draft: Draft
    found: Recognised
    tables: Mapping[str, pa.Table]
    unread: tuple[str, ...] = ()


def propose_place(place: Place, *, wishes: Wishes, copies: Path) -> Proposal:
    """Look at a folder, a file or a database and propose settings for it; see ``propose``.

    Parameters
    ----------
    place : Place
    wishes : Wishes
    copies : Path
        Folder for copies of the tables of a database.

    Raises
    ------
    DataRefused
    EngineError
        Memory or disk do not suffice, or the database cannot be reached.
    """
    session = Session.open()
    try:
        tables, unread = place.look(session, leads=wishes.leads, copies=copies)
        return propose(session, tables, unread, place=place.shown, wishes=wishes)
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise EngineError(f"DuckDB failed while reading: {str(error).splitlines()[0]}.") from error
    finally:
        session.close()


def propose(
    session: Session, tables: Sequence[Table], unread: Sequence[str], *, place: str, wishes: Wishes
) -> Proposal:
    """Say what a place holds and how mqlml would read it.

    Raises
    ------
    DataRefused
        No leads or no outcome were found, or dates can be read in two ways: with what was seen and what to name.
    """
    found = recognise_tables(tables, leads=wishes.leads)
    if found.leads is None:
        raise DataRefused([_no_leads(tables, unread, place, wishes)])
    leads = _as_named(found.leads, wishes)
    if leads.one("id") is None:
        what = "no column has a value of its own in every row, so nothing names a lead"
        raise DataRefused([Problem("no-id", leads.table.name, what, "add a column 'lead_id' to the export")])
    found = Recognised(leads, found.others, found.unknown)
    formats, remarks = find_formats(found, wishes)
    zone = wishes.timezone or "UTC"
    shop = Workshop(session, found, leads, zone, formats)
    shop.prepare(match_email=wishes.match_email)
    making = Making(session, found, leads, wishes, shop)
    _propose_leads(making, remarks)
    outcome_columns = propose_outcomes(making)
    propose_facts(making)
    _propose_columns(making, outcome_columns)
    _ask_about_the_rest(making, unread)
    return Proposal(making.draft, found, making.tables, tuple(unread))


def _as_named(part: Part, wishes: Wishes) -> Part:
    """Columns that a person named stand before those that were recognised."""
    roles = dict(part.roles)
    for role, name in (("outcome", wishes.outcome), ("created_at", wishes.created_at)):
        if name is None:
            continue
        if name not in part.table.columns:
            known = listed(list(part.table.columns)[:20])
            problem = Problem(
                "no-column", part.table.name, f"there is no such column; there are {known}", "name one of them", name
            )
            raise DataRefused([problem])
        roles[role] = (name, *(n for n in roles.get(role, ()) if n != name))
        roles = {r: n if r == role else tuple(x for x in n if x != name) for r, n in roles.items()}
    return Part(part.table, part.layout, {r: n for r, n in roles.items() if n}, part.score, part.why)


def _propose_leads(making: Making, remarks: Mapping[str, list[str]]) -> None:
    draft, leads = making.draft, making.leads
    system = "no particular system" if leads.layout.plain else f"{leads.layout.preset}: {leads.layout.object_}"
    draft.head(
        "leads", f"{leads.table.name}: {leads.table.raw.rows_in:,} rows, taken for the leads ({system}); {leads.why}."
    )
    set_source(draft, "leads", leads.table)
    for remark in (*leads.table.remarks, *remarks.get(leads.table.name, ())):
        draft.head("leads", f"Assumed: {remark}.")
    draft.set("leads", "id", leads.one("id"))
    created = leads.one("created_at")
    _created(making, created)
    if (account := leads.one("account_id")) is not None:
        draft.set("leads", "account_id", account, "leads of one account are never on both sides of a test")
    else:
        draft.set("leads", "account_id", "", "no column of accounts was recognised")
        company = next(
            (n for n in leads.table.columns if folded(n) in ("company", "companyname", "firma", "accountname")), None
        )
        if company is not None:
            draft.hint(
                "leads",
                f"account_id = {json.dumps(shown(company), ensure_ascii=False)}",
                "if equal names are the same company; colleagues then count together",
            )
    if (where := leads_where(leads)) is not None:
        draft.set("leads", "where", where, "rows merged into another lead, or deleted, are no leads of their own")
    _zone(making)


def _created(making: Making, created: str | None) -> None:
    draft, leads = making.draft, making.leads
    if created is None:
        draft.set(
            "leads",
            "created_at",
            "",
            "no column of creation dates was recognised: nothing can be tested forward in time",
        )
        times = [n for n, p in leads.table.columns.items() if p.is_time]
        draft.ask(
            "[leads] created_at",
            "which column says when a lead was created?",
            f"columns with dates: {listed(times) or 'none'}",
        )
        return
    profile = leads.table.columns[created]
    if profile.epochs >= 0.98 * profile.filled > 0 and not profile.is_time:
        what = "the values are seconds or milliseconds since 1970, which mqlml does not guess in the leads"
        raise DataRefused(
            [Problem("time-type", leads.table.name, what, "export it as 2024-03-31T14:00:00Z", column=created)]
        )
    draft.set("leads", "created_at", created, "by its name and values")
    form = making.shop.formats.get((leads.table.name, created))
    if form is not None:
        draft.set("leads", "timestamp_format", form, f"as all {profile.filled:,} values of '{created}' are written")


def _zone(making: Making) -> None:
    """Declare the zone of times that name none; ask where nobody said."""
    draft = making.draft
    naive = [
        f"'{name}' of {part.table.name}"
        for part in every_part(making.found)
        for role in TIMES.get(part.layout.kind, ())
        for name in part.roles.get(role, ())
        if part.table.columns[name].naive
        and part.table.columns[name].days < part.table.columns[name].filled
        and part.table.columns[name].type_ != "DATE"
    ]
    if making.wishes.timezone is not None:
        draft.set("leads", "timezone", making.wishes.timezone, "as you said")
        return
    draft.set(
        "leads", "timezone", "UTC", "zone of times that name none, and of --as-of" + ("; assumed" if naive else "")
    )
    if naive:
        more = f" and {len(naive) - 3} more" if len(naive) > 3 else ""
        draft.ask(
            "[leads] timezone", "in which zone are times written that name none?", f"{', '.join(naive[:3])}{more}"
        )


def _propose_columns(making: Making, outcome: Sequence[str]) -> None:
    draft, leads = making.draft, making.leads
    own = [leads.one("id"), leads.one("created_at"), leads.one("account_id")]
    direct = "path" not in draft.values.get("outcomes", {})
    taken = {n for n in own if n} | (set(outcome) if direct else set())
    tracked = draft.values["leads"].get("state", [])
    verdicts = judge_columns(leads, taken=taken, outcome=() if direct else outcome, tracked=tracked)
    for name, verdict in verdicts.items():
        if verdict.key is not None:
            draft.add("leads", verdict.key, name, verdict.why)
    free = [
        n
        for n, v in verdicts.items()
        if v.key is None and not leads.table.columns[n].is_time and leads.table.columns[n].filled
    ]
    if free:
        names = ", ".join(json.dumps(shown(n), ensure_ascii=False) for n in free[:12]) + (
            ", ..." if len(free) > 12 else ""
        )
        draft.hint("leads", f"known_at_creation = [{names}]", "those that never change after the lead was created")
        draft.ask(
            "[leads] known_at_creation",
            "which columns never change after a lead was created? They are used unless the leak audit blocks them.",
            listed(free[:12]),
        )
    mql = leads.one("mql_at")
    if mql is not None and making.shop.formats.get((leads.table.name, mql)) == draft.values["leads"].get(
        "timestamp_format"
    ):
        draft.set("policy", "present_dates", mql, "when leads became MQLs so far: the model is compared with that")


def _ask_about_the_rest(making: Making, unread: Sequence[str]) -> None:
    draft, found = making.draft, making.found
    if found.unknown:
        names, are = listed(list(found.unknown[:12])), "is" if len(found.unknown) == 1 else "are"
        draft.ask("not used", f"{names} {are} not recognised; does that tell something about leads?")
    for sentence in unread:
        draft.ask("not used", f"{sentence}.")
    for part in found.of("people"):
        if not any(part.roles.get(role) for role in ("other_ids", "merged_ids")) and not making.wishes.match_email:
            draft.ask(
                "[leads] path",
                f"'{part.table.name}' also looks like leads, but nothing links it to "
                f"{making.leads.table.name}; which are the leads? (--leads FILE)",
            )


def _no_leads(tables: Sequence[Table], unread: Sequence[str], place: str, wishes: Wishes) -> Problem:
    plain = next(layout for layout in layouts() if layout.plain and layout.kind == "people")
    seen = []
    for table in tables[:8]:
        id_ = lay_out(table, plain).one("id")
        seen.append(f"{table.name} ({table.raw.rows_in:,} rows; {'an id: ' + repr(id_) if id_ else 'no id'})")
    what = f"no table of leads was recognised; seen: {', '.join(seen) or 'no table'}"
    if wishes.leads is not None and not any(table.answers_to(wishes.leads) for table in tables):
        what = f"there is no table '{shown(wishes.leads)}'; seen: {', '.join(seen) or 'no table'}"
    if unread:
        what += f"; not opened: {'; '.join(unread[:5])}"
    return Problem("no-leads", place, what, "name the file or table with one row a lead: mqlml init --leads FILE")
