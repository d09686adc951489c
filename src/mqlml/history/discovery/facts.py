"""The tables beside leads and outcomes: read as they are, or made where systems carry them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mqlml.errors import shown
from mqlml.history.columns import listed
from mqlml.history.discovery import deeds
from mqlml.history.discovery.making import TIMES, Making, set_source
from mqlml.history.discovery.profiles import value_counts
from mqlml.history.discovery.words import sales_made

if TYPE_CHECKING:
    from mqlml.history.discovery.recognising import Part
    from mqlml.history.session import Session

__all__ = ["propose_facts"]

_DIRECT = {
    "events": ("lead_id", "occurred_at", "event_type", "value", "channel", "asset", "campaign", "recorded_at"),
    "history": ("lead_id", "changed_at", "field", "value", "old_value"),
    "stages": ("lead_id", "stage", "entered_at", "pipeline"),
    "handovers": (
        "lead_id", "handed_at", "by", "recipient", "accepted_at", "rejected_at", "reason", "first_touch_at",
        "policy_version",
    ),
    "links": ("other_id", "lead_id", "valid_from"),
    "spend": ("campaign", "period_start", "cost"),
    "suppress": ("lead_id",),
}  # fmt: skip


def propose_facts(making: Making) -> None:
    """Events, history, stages, hand-overs and links: read as they are, or made where systems carry them elsewhere."""
    shop, found, draft = making.shop, making.found, making.draft
    _propose_events(making)
    _propose_history(making)
    status = making.leads.one("status")
    crm = [p for p in found.of("changes") if not p.layout.plain]
    stages = None if found.of("stages") else deeds.stages(shop, crm, status)
    if stages is not None:
        making.build("stages", stages, "When leads entered stages, from the columns and changes that tell it.")
    handed = None if found.of("handovers") else deeds.handovers(shop, crm)
    if handed is not None:
        column = making.leads.one("converted_at")
        making.build(
            "handovers", handed, f"Sales took a lead when '{column}' says so: from then on it is no candidate any more."
        )
        draft.ask(
            "[handovers]",
            f"is '{column}' the moment in which sales takes a lead over?",
            f"{handed.num_rows:,} leads have one",
        )
    for kind in ("stages", "handovers", "spend", "suppress"):
        for part in found.of(kind)[:1]:
            _read_directly(making, kind, part)
    _propose_links(making)


def _propose_links(making: Making) -> None:
    found, shop, draft = making.found, making.shop, making.draft
    if found.of("links"):
        _read_directly(making, "links", found.of("links")[0])
        return
    table = shop.links()
    how = ", ".join(f"{n:,} {what}" for what, n in shop.linked.items() if what != "unlinked")
    if table is not None:
        making.build("links", table, f"Ids under which facts of a lead may stand: {how}.")
    strangers = [p for p in (*found.of("people"), *found.of("contacts")) if p.one("email") is not None]
    if strangers and not making.wishes.match_email and making.leads.one("email") is not None:
        names = ", ".join(p.table.name for p in strangers)
        draft.ask(
            "--match-email",
            "are people with the same e-mail address the same person? Then run init with --match-email.",
            names,
        )
    if making.wishes.match_email:
        draft.head(
            "links",
            f"People with the same e-mail address count as one, as you said: {shop.linked.get('e-mail', 0):,} ids.",
        )
        if table is None:
            draft.drop("links")


def _propose_events(making: Making) -> None:
    parts = making.found.of("events")
    draft, shop = making.draft, making.shop
    if not parts:
        return
    names = ", ".join(p.table.name for p in parts)
    direct = len(parts) == 1 and parts[0].layout.plain and not _needs_making(making, parts[0])
    if direct:
        _read_directly(making, "events", parts[0])
        types = value_counts(making.session, parts[0].table.raw, parts[0].one("event_type") or "", most=200)
    else:
        table = deeds.events(shop, parts)
        making.build("events", table, f"What leads did, under the ids of the leads, from {names}.")
        types = {row["values"]: row["counts"] for row in table["event_type"].value_counts().to_pylist()}
    by_sales = _by_sales(making, parts, types)
    for name, why in by_sales.items():
        draft.add("events", "by_sales", name, f"{types[name]:,} events; {why}")
    if types:
        rest = {t: n for t, n in types.items() if t not in by_sales}
        seen = ", ".join(f"'{shown(t)}' ({n:,})" for t, n in sorted(rest.items(), key=lambda i: -i[1])[:8])
        draft.ask(
            "[events] by_sales",
            "does sales make any of the other event types? What sales does says what sales thought.",
            seen,
        )
    for why, n in shop.left_out.items():
        if "activit" in why:
            draft.head("events", f"Left out: {n:,} {why}.")


def _by_sales(making: Making, parts: Sequence[Part], types: Mapping[str, int]) -> dict[str, str]:
    """Event types made by sales, each with what says so: the system that recorded it, else its name."""
    told = dict.fromkeys(sales_made(types), "made by sales, by its name")
    for part in parts:
        own = {part.layout.fallback_type} | {
            value
            for name in part.roles.get("event_type", ())
            for value in value_counts(making.session, part.table.raw, name, most=500)
        }
        names = own if "*" in part.layout.by_sales else own & set(part.layout.by_sales)
        told |= dict.fromkeys(names, f"made by sales, as {part.layout.preset} records it ({part.table.name})")
        told |= {fact.event_type: "made by us, not by the lead" for fact in part.layout.facts if fact.by_sales}
    return {name: told[name] for name in sorted(told) if name in types}


def _needs_making(making: Making, part: Part) -> bool:
    """Whether a plain table cannot be read as it stands: several date formats, or seconds since 1970."""
    times = [n for role in TIMES[part.layout.kind] for n in part.roles.get(role, ())[:1]]
    forms = {making.shop.formats.get((part.table.name, n)) for n in times}
    epochs = any(part.table.columns[n].epochs and not part.table.columns[n].is_time for n in times)
    return len(forms - {None}) > 1 or epochs


def _propose_history(making: Making) -> None:
    parts = making.found.of("changes")
    if not parts:
        return
    columns = {n.lower(): n for n in making.leads.table.columns}
    fields = sorted({columns[f.lower()] for p in parts for f in _fields(making.session, p) if f.lower() in columns})
    if not fields:
        making.draft.ask(
            "[history]",
            "changes are known, but of no column that the leads have",
            ", ".join(p.table.name for p in parts),
        )
        return
    if len(parts) == 1 and parts[0].layout.plain and not _needs_making(making, parts[0]):
        _read_directly(making, "history", parts[0])
    else:
        table = deeds.history(making.shop, parts, fields)
        making.build(
            "history",
            table,
            f"Changes of {listed(fields)} under the ids of the leads, from {', '.join(p.table.name for p in parts)}.",
        )
    for name in fields:
        making.draft.add("leads", "state", name, "its changes are in [history]: the value as of each moment is used")


def _fields(session: Session, part: Part) -> list[str]:
    return list(value_counts(session, part.table.raw, part.one("field") or "", most=500))


def _read_directly(making: Making, section: str, part: Part) -> None:
    draft = making.draft
    set_source(draft, section, part.table)
    draft.head(section, f"{part.table.name}: {part.table.raw.rows_in:,} rows; {part.why}.")
    for remark in part.table.remarks:
        draft.head(section, f"Assumed: {remark}.")
    for key in _DIRECT[section]:
        role = "person_ids" if key == "lead_id" and "person_ids" in part.roles else key
        column = part.one(role)
        if column is not None and column != key:
            draft.set(section, key, column)
        elif column is None and key in part.table.columns:
            draft.set(section, key, "", "holds something else")
    times = [n for role in TIMES.get(part.layout.kind, ()) for n in part.roles.get(role, ())[:1]]
    for name in times:
        if (form := making.shop.formats.get((part.table.name, name))) is not None:
            draft.set(section, "timestamp_format", form, f"as '{name}' is written")
            break
