"""Which table is what: names of files and columns held against documented layouts, and their contents against both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mqlml.history.presets import Layout, folded, layouts

if TYPE_CHECKING:
    from mqlml.history.discovery.looking import Table
    from mqlml.history.discovery.profiles import ColumnProfile

__all__ = ["Part", "Recognised", "fits", "lay_out", "may_fit", "recognise_tables"]

_TIMES = frozenset(
    ["created_at", "occurred_at", "changed_at", "entered_at", "handed_at", "decided_at", "closed_at", "period_start"]
)
_SEVERAL = frozenset(["person_ids", "other_ids", "merged_ids", "occurred_at", "event_type", "changed_at", "outcome"])
_ONE_ROW_EACH = frozenset(["people", "contacts", "deals"])


@dataclass(frozen=True)
class Part:
    """A table with what it is taken for.

    Parameters
    ----------
    table : Table
    layout : Layout
    roles : mapping of str to tuple of str
        Its columns by role, the best first.
    score : float
        The larger, the surer.
    why : str
        What it was recognised by.
    """

    table: Table
    layout: Layout
    roles: Mapping[str, tuple[str, ...]]
    score: float
    why: str

    def one(self, role: str) -> str | None:
        """The best column of a role."""
        return next(iter(self.roles.get(role, ())), None)

    def profile(self, role: str) -> ColumnProfile | None:
        """How the best column of a role looks."""
        name = self.one(role)
        return None if name is None else self.table.columns[name]


@dataclass(frozen=True)
class Recognised:
    """All tables of a folder: ``leads`` is one row a lead, ``others`` what else there is, by kind."""

    leads: Part | None
    others: Mapping[str, tuple[Part, ...]]
    unknown: tuple[str, ...]

    def of(self, kind: str) -> tuple[Part, ...]:
        """The tables of a kind, the surest first."""
        return self.others.get(kind, ())


def recognise_tables(tables: Sequence[Table], *, leads: str | None = None) -> Recognised:
    """Say what every table is.

    Parameters
    ----------
    tables : sequence of Table
    leads : str, optional
        The file that a person named as the leads; otherwise the surest table of people.

    Returns
    -------
    Recognised
    """
    parts: list[Part] = []
    unknown: list[str] = []
    for table in tables:
        found = [part for layout in layouts() if (part := fits(table, layout)) is not None]
        if table.answers_to(leads):
            found = [p for p in found if p.layout.kind == "people"] or [_as_people(table)]
        if found:
            parts.append(max(found, key=lambda part: part.score))
        else:
            unknown.append(table.name)
    people = sorted((p for p in parts if p.layout.kind == "people"), key=lambda p: -_leadership(p, parts, leads))
    first = people[0] if people else None
    others: dict[str, tuple[Part, ...]] = {"people": tuple(people[1:])}
    for part in sorted((p for p in parts if p.layout.kind != "people"), key=lambda p: -p.score):
        others[part.layout.kind] = (*others.get(part.layout.kind, ()), part)
    return Recognised(first, others, tuple(unknown))


def fits(table: Table, layout: Layout) -> Part | None:
    """Hold a table against a layout; None where it cannot be that."""
    names = {folded(name): name for name in reversed(table.columns)}
    by_file = _named_so(table.stem, layout)
    signs = [names[folded(sign)] for sign in layout.signs if folded(sign) in names]
    if (layout.only_by_file and not by_file) or (layout.signs and not signs):
        return None
    part = lay_out(table, layout)
    if any(role not in part.roles for role in layout.needs) or not _content_fits(part):
        return None
    if layout.plain and not by_file and not _sure(part):
        return None
    known = sum(1 for role in part.roles)
    score = 3.0 * by_file + min(len(signs), 3) + known / max(len(layout.columns), 1) + (not layout.plain)
    seen = [f"its name '{table.label}'" if table.label else f"the name of the file '{table.source.path}'"] * by_file
    seen += [f"its columns {', '.join(repr(s) for s in signs[:4])}"] * bool(signs)
    if not seen:
        told = (*layout.needs, *(r for r in ("created_at", "outcome") if r in part.roles and r not in layout.needs))
        seen = [f"its columns {', '.join(repr(part.one(role)) for role in told)}"]
    return replace(part, score=score, why=f"recognised by {' and '.join(seen)}")


def may_fit(stem: str, columns: Sequence[str], layout: Layout) -> bool:
    """Whether a table that nobody has read yet could be of a layout, by its name and those of its columns."""
    names = {folded(name) for name in columns}

    def named(role: str) -> bool:
        return any(folded(option) in names for option in layout.columns.get(role, ()))

    if layout.plain and layout.kind == "people":
        return _named_so(stem, layout) or (named("created_at") and (named("outcome") or named("email")))
    return all(named(role) for role in layout.needs)


def _named_so(stem: str, layout: Layout) -> bool:
    """Whether the file is called as files of the layout usually are."""
    name = folded(stem)
    return name in layout.files or any(name.startswith(f) and len(f) > 3 for f in layout.files)


def lay_out(table: Table, layout: Layout) -> Part:
    """Find the columns of each role, whether or not the table is of that layout."""
    names = {folded(name): name for name in reversed(table.columns)}
    roles: dict[str, tuple[str, ...]] = {}
    for role, options in layout.columns.items():
        found = tuple(dict.fromkeys(names[folded(o)] for o in options if folded(o) in names))
        if role in _TIMES:
            found = tuple(name for name in found if table.columns[name].is_time or table.columns[name].epochs)
        if role == "id" and layout.kind in _ONE_ROW_EACH and layout.plain:
            found = tuple(sorted(found, key=lambda name: not table.columns[name].unique))
        if found:
            roles[role] = found if role in _SEVERAL else found[:1]
    if layout.kind == "people" and layout.plain:
        roles = _plain_people(table, roles)
    return Part(table, layout, roles, 0.0, "named by you")


def _plain_people(table: Table, roles: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Where no name is known, the first column with a value of its own in each row is the id."""
    if "id" not in roles:
        own = [n for n, p in table.columns.items() if p.unique and not p.is_time and p.words <= 1.1]
        named = [n for n in own if folded(n).endswith(("id", "nr", "no", "number", "key", "uuid", "guid"))]
        if named:
            roles["id"] = (named[0],)
    taken = {name for role, names in roles.items() if role != "outcome" for name in names}
    if "outcome" in roles and roles["outcome"][0] in taken:
        roles.pop("outcome")
    return roles


def _as_people(table: Table) -> Part:
    plain = next(layout for layout in layouts() if layout.plain and layout.kind == "people")
    return lay_out(table, plain)


def _content_fits(part: Part) -> bool:
    """One row each where a table is of people or deals; several of an id where it is of what they did."""
    if part.layout.kind not in _ONE_ROW_EACH:
        return True
    profile = part.profile("id")
    return profile is not None and profile.filled >= 0.95 * profile.rows and profile.share_distinct > 0.9


def _sure(part: Part) -> bool:
    """Whether the columns alone tell a plain table, whatever its file is called."""
    if part.layout.kind == "people":
        return "created_at" in part.roles and ("outcome" in part.roles or "email" in part.roles)
    return part.layout.kind in ("events", "changes", "handovers", "stages", "deals") and len(part.layout.needs) >= 3


def _leadership(part: Part, parts: Sequence[Part], named: str | None) -> float:
    """How much speaks for a table of people being the leads: a person, its outcome, leads before contacts."""
    table = part.table
    if table.answers_to(named):
        return 100.0
    told = "outcome" in part.roles or "deal_id" in part.roles or any(p.layout.kind == "deals" for p in parts)
    pointed = sum(
        1
        for p in parts
        if p is not part
        and p.layout.kind == "people"
        and any("lead" in folded(n) for n in p.roles.get("other_ids", ()))
    )
    return part.score + 2 * told + 4 * pointed + 3 * ("deal_id" in part.roles)
