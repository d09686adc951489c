"""Documented layouts of CRM and marketing exports: small data files, each naming its public sources."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Fact", "Layout", "folded", "layouts"]

_PLAIN = "plain tables"


@dataclass(frozen=True)
class Fact:
    """One event that a row of a table tells, where it tells several: its type, when, and who made it."""

    event_type: str
    occurred_at: tuple[str, ...]
    by_sales: bool = False


@dataclass(frozen=True)
class Layout:
    """How one table of a system is laid out.

    Parameters
    ----------
    preset, object_, kind : str
        The system, what it calls the table, and what the table is to mqlml: "people", "contacts", "deals",
        "deal_people", "events", "changes", or a table of the contract.
    sources : tuple of str
        Public pages that document it.
    files : tuple of str
        Names that its file usually has, folded.
    needs : tuple of str
        Roles without which it is not this table.
    signs : tuple of str
        Names of columns, at least one of which tells it from tables of other systems; empty where none does.
    columns : mapping of str to tuple of str
        Names by role, the best first.
    state : tuple of str
        Columns that hold today's state.
    by_sales : tuple of str
        Event types made by sales; ``"*"`` stands for all.
    """

    preset: str
    object_: str
    kind: str
    sources: tuple[str, ...]
    files: tuple[str, ...]
    needs: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    signs: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    by_sales: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fallback_type: str = ""
    short_ids: int = 0
    won_words: tuple[str, ...] = ()
    lost_words: tuple[str, ...] = ()
    only_by_file: bool = False

    @property
    def plain(self) -> bool:
        """Whether this is of no particular system."""
        return self.preset == _PLAIN


def folded(name: str) -> str:
    """Drop capitals, spaces and punctuation: names that differ in nothing else are the same.

    Examples
    --------
    >>> folded("Became a Customer-Date") == folded("became_a_customer_date")
    True
    """
    return re.sub(r"[\W_]+", "", name.casefold())


@cache
def layouts() -> tuple[Layout, ...]:
    """All layouts, those of systems before the plain ones."""
    found = [
        _layout(preset, one)
        for file in sorted(files(__name__).iterdir(), key=lambda f: f.name)
        if file.name.endswith(".toml")
        for preset in [tomllib.loads(file.read_text(encoding="utf-8"))]
        for one in preset["layouts"]
    ]
    return tuple(sorted(found, key=lambda layout: layout.plain))


def _layout(preset: Mapping[str, Any], one: Mapping[str, Any]) -> Layout:
    facts = tuple(
        Fact(fact["event_type"], tuple(fact["occurred_at"]), fact.get("by_sales", False))
        for fact in one.get("facts", ())
    )
    lists = {key: tuple(one.get(key, ())) for key in ("signs", "state", "by_sales", "won_words", "lost_words")}
    return Layout(
        preset=preset["name"],
        object_=one["object"],
        kind=one["kind"],
        sources=tuple(preset["sources"]),
        files=tuple(folded(name) for name in one["files"]),
        needs=tuple(one["needs"]),
        columns={role: tuple(names) for role, names in one["columns"].items()},
        facts=facts,
        stages={stage: tuple(names) for stage, names in one.get("stages", {}).items()},
        fallback_type=one.get("fallback_type", ""),
        short_ids=one.get("short_ids", 0),
        only_by_file=one.get("only_by_file", False),
        **lists,
    )
