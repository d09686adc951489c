"""Where a folder says what became of its leads: a column of theirs, a table of outcomes, or deals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused
from mqlml.history.discovery.decided import customers, lost_by_status, outcomes_of_deals, outcomes_of_leads
from mqlml.history.discovery.making import set_source
from mqlml.history.discovery.people import leads_where
from mqlml.history.discovery.profiles import value_counts
from mqlml.history.discovery.telling import counted, no_won, nothing_told, set_words
from mqlml.history.discovery.words import Sorted, sort_outcomes
from mqlml.history.session import literals, quoted

if TYPE_CHECKING:
    from mqlml.history.discovery.making import Making
    from mqlml.history.discovery.recognising import Part

__all__ = ["propose_outcomes"]

_ROLES = ("decided_at", "opened_at", "value", "lost_reason", "pipeline")


def propose_outcomes(making: Making) -> tuple[str, ...]:
    """Propose where outcomes come from; the surest way first.

    Returns
    -------
    tuple of str
        Columns of the leads that tell the outcome.

    Raises
    ------
    DataRefused
        Nothing tells what became of the leads: with what was seen, and what to name.
    """
    leads, found = making.leads, making.found
    told = tuple(n for role in ("customer_at", *_ROLES) for n in leads.roles.get(role, ()) if role != "pipeline")
    if making.wishes.outcome is None:
        deals = [d for d in found.of("deals") if _reaches_leads(making, d)]
        if deals and _from_deals(making, deals[0]):
            return told
        if found.of("outcomes"):
            _from_table(making, found.of("outcomes")[0])
            return told
    column = _outcome_column(making)
    if column is not None:
        return (column, *told, *_from_column(making, column))
    if (customer := leads.one("customer_at")) is not None:
        table = customers(making.shop, customer)
        if table.num_rows:
            making.build("outcomes", table, f"Won when '{customer}' says so; nothing tells which leads were lost.")
            set_words(making, ["won"], [])
            return told
    raise DataRefused([nothing_told(making)])


def _reaches_leads(making: Making, deals: Part) -> bool:
    return (
        "person_ids" in deals.roles or making.leads.one("deal_id") is not None or bool(making.found.of("deal_people"))
    )


def _from_deals(making: Making, deals: Part) -> bool:
    """Outcomes made of deals; False where no stage says that a deal was won."""
    draft, shop, wishes = making.draft, making.shop, making.wishes
    stages = value_counts(making.session, deals.table.raw, deals.one("stage") or "") if deals.one("stage") else {}
    sorted_ = None
    if deals.one("won") is None or wishes.won:
        won, lost = (*wishes.won, *deals.layout.won_words), (*wishes.lost, *deals.layout.lost_words)
        sorted_ = sort_outcomes(stages, won=won, lost=lost)
        if not sorted_.won:
            if not making.leads.roles.get("outcome") and not making.found.of("outcomes"):
                raise DataRefused([no_won(deals, stages)])
            return False
    table = outcomes_of_deals(shop, deals, sorted_)
    how = f"of their stage '{deals.one('stage')}'" if sorted_ else f"of '{deals.one('won')}'"
    making.build(
        "outcomes",
        _with_lost_leads(making, table),
        f"What became of the leads, by their deals ({deals.table.name}); won because {how}.",
    )
    set_words(making, ["won"], ["lost"])
    if sorted_ is not None:
        for values, kind in ((sorted_.won, "won"), (sorted_.lost, "lost"), (sorted_.open_, "still open")):
            if values:
                draft.head("outcomes", f"Stages taken for {kind}: {counted(values, stages)}.")
    if deals.one("closed_at") is None:
        draft.set("outcomes", "decided_at", "", "the deals do not say when they closed")
    elif (profile := deals.profile("closed_at")) is not None and profile.days == profile.filled:
        draft.ask(
            "[outcomes] decided_at",
            f"'{deals.one('closed_at')}' is a date that people may set by hand; is it when the deal was decided?",
        )
    draft.set(
        "outcomes",
        "credit",
        "contacts",
        "a won deal is the win of each of its leads; 'lead' counts the primary one alone",
    )
    draft.ask("[outcomes] credit", "is a won deal the win of all its contacts, or of the primary one alone ('lead')?")
    _pipelines(making, deals)
    for why, n in shop.left_out.items():
        if why.startswith("deals"):
            draft.ask("[outcomes]", f"{n:,} {why} are left out; is that right?")
    return True


def _pipelines(making: Making, deals: Part) -> None:
    if (name := deals.one("pipeline")) is None:
        return
    values = value_counts(making.session, deals.table.raw, name)
    if len(values) > 1:
        seen = counted(tuple(values), values)
        making.draft.ask(
            "[outcomes] pipeline",
            f"do all of '{name}' concern new business? Deals of others (renewals, upsell) should not be in the export.",
            seen,
        )


def _with_lost_leads(making: Making, table: pa.Table) -> pa.Table:
    """Add leads that were given up without a deal, where a history of changes says when."""
    leads = making.leads
    status = leads.one("status")
    if status is None:
        return table
    counts = value_counts(making.session, leads.table.raw, status, where=leads_where(leads))
    words = sort_outcomes(counts, lost=making.wishes.lost).lost
    if not words:
        return table
    dated = lost_by_status(making.shop, status, words) if making.found.of("changes") else None
    n = 0 if dated is None else dated.num_rows
    making.draft.head("outcomes", f"Also lost: {n:,} leads whose '{status}' became {counted(words, counts)}.")
    undated = sum(counts[w] for w in words) - n
    if undated > 0:
        making.draft.ask(
            "[outcomes] lost",
            f"{undated:,} leads have a '{status}' that says lost, but nothing tells since when; they count as "
            f"open until then. "
            "An export of the changes of the status would tell.",
        )
    if dated is None or not n:
        return table
    decided = pc.is_in(dated["lead_id"], value_set=table["lead_id"].combine_chunks())
    return pa.concat_tables([table, dated.filter(pc.invert(decided))], promote_options="permissive")


def _from_table(making: Making, part: Part) -> None:
    """A table of outcomes, as it is where it holds nothing but decided leads."""
    draft = making.draft
    column = part.one("outcome") or ""
    counts = value_counts(making.session, part.table.raw, column)
    sorted_ = sort_outcomes(counts, won=making.wishes.won, lost=making.wishes.lost)
    if not sorted_.won:
        raise DataRefused([no_won(part, counts)])
    set_source(draft, "outcomes", part.table)
    draft.head("outcomes", f"{part.table.name}: {part.table.raw.rows_in:,} rows; {part.why}.")
    for key in ("lead_id", "outcome", *_ROLES, "opportunity_id", "is_primary"):
        name = part.one(key)
        if name is not None and name != key:
            draft.set("outcomes", key, name)
    if part.one("decided_at") is None:
        draft.set("outcomes", "decided_at", "", "no time of decision was recognised")
    form = making.shop.formats.get((part.table.name, part.one("decided_at") or ""))
    if form is not None:
        draft.set("outcomes", "timestamp_format", form, f"as '{part.one('decided_at')}' is written")
    set_words(making, sorted_.won, sorted_.lost, sorted_.ignore, counts=counts, column=column)
    if sorted_.open_:
        draft.set("outcomes", "ignore", [*sorted_.ignore, *sorted_.open_])
        draft.ask(
            "[outcomes] ignore",
            "are these neither won nor lost? Rows of open leads should not be in the table.",
            counted(sorted_.open_, counts),
        )


def _outcome_column(making: Making) -> str | None:
    """The column of the leads whose values say won: the one named, a likely name, else any that says won and lost."""
    leads, wishes = making.leads, making.wishes
    if wishes.outcome is not None:
        return wishes.outcome
    for name in leads.roles.get("outcome", ()):
        found = sort_outcomes(value_counts(making.session, leads.table.raw, name), won=wishes.won, lost=wishes.lost)
        if found.won and (found.flag or found.lost or found.open_ or leads.one("decided_at")):
            return name
    for name, profile in leads.table.columns.items():
        if 2 <= profile.distinct <= 30 and name not in (leads.one("id"), leads.one("created_at")):
            found = sort_outcomes(value_counts(making.session, leads.table.raw, name))
            if found.won and found.lost and not found.flag:
                return name
    return None


def _from_column(making: Making, column: str) -> tuple[str, ...]:
    """Outcomes that a column of the leads tells: read in place, or made where open leads have words of their own."""
    leads, draft = making.leads, making.draft
    counts = value_counts(making.session, leads.table.raw, column)
    sorted_ = sort_outcomes(counts, won=making.wishes.won, lost=making.wishes.lost)
    if not sorted_.won:
        raise DataRefused([no_won(leads, counts, column)])
    roles: dict[str, str | None] = {role: leads.one(role) for role in _ROLES}
    decided = roles["decided_at"]
    not_yet = decided is not None and sorted_.flag and _only_won_dated(making, decided, column=column, sorted_=sorted_)
    if not_yet:
        sorted_ = Sorted(sorted_.won, (), sorted_.ignore, sorted_.lost, flag=True)
        draft.head(
            "outcomes", f"Only won leads have a '{decided}': without one a lead is taken for not won yet, not for lost."
        )
    form = making.shop.formats.get((leads.table.name, decided or ""))
    if sorted_.open_ or (decided is not None and form != draft.values["leads"].get("timestamp_format")):
        table = outcomes_of_leads(making.shop, column, sorted_, roles)
        making.build("outcomes", table, f"The decided leads of {leads.table.name}, by its column '{column}'.")
        if decided is None:
            draft.set("outcomes", "decided_at", "", "no time of decision was recognised")
    else:
        _read_in_place(making, column, roles)
    set_words(making, sorted_.won, sorted_.lost, sorted_.ignore, counts=counts, column=column)
    _ask_about_column(making, column, sorted_, counts=counts, not_yet=not_yet)
    return tuple(n for n in roles.values() if n)


def _read_in_place(making: Making, column: str, roles: Mapping[str, str | None]) -> None:
    """Name the columns of the leads that tell the outcome."""
    draft, leads = making.draft, making.leads
    draft.head("outcomes", f"Columns of {leads.table.name}: '{column}' tells the outcome.")
    draft.set("outcomes", "outcome", column, "by its values")
    why = "" if roles["decided_at"] else "no time of decision was recognised: only the final outcome is known"
    draft.set("outcomes", "decided_at", roles["decided_at"] or "", why)
    for role in _ROLES[1:]:
        if (name := roles[role]) is not None and name != role:
            draft.set("outcomes", role, name)
        elif name is None and role in leads.table.columns:
            draft.set("outcomes", role, "", "holds something else")


def _ask_about_column(
    making: Making, column: str, sorted_: Sorted, *, counts: Mapping[str, int], not_yet: bool
) -> None:
    draft, leads = making.draft, making.leads
    if sorted_.open_:
        told = counted(sorted_.open_, counts)
        draft.head("outcomes", f"Taken for open: {told}.")
        draft.ask("[outcomes]", f"are leads with these values of '{column}' still open?", told)
    if sorted_.flag and not not_yet:
        told = counted(sorted_.lost, counts)
        draft.ask("[outcomes] lost", f"does {told} in '{column}' mean lost for good, or not won yet?", "taken for lost")
    if leads.one("decided_at") is None:
        times = [n for n, p in leads.table.columns.items() if p.is_time and n != leads.one("created_at")]
        draft.ask(
            "[outcomes] decided_at",
            "which column says when a lead was won or lost? Without it only the final outcome can be learned.",
            f"columns with dates: {', '.join(times) or 'none'}",
        )


def _only_won_dated(making: Making, decided: str, *, column: str, sorted_: Sorted) -> bool:
    lost = literals(list(sorted_.lost)) or "''"
    one = making.session.one(
        f"SELECT count(*) FILTER (nullif(trim({quoted(decided)}::VARCHAR), '') IS NOT NULL) AS dated "
        f"FROM {making.leads.table.raw.relation} WHERE trim({quoted(column)}::VARCHAR) IN ({lost})"
    )
    return bool(one["dated"] == 0)
