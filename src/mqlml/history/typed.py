"""A table of the contract as SQL over a raw relation: typed columns, the fault of each row, and what to flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mqlml.history.layers import Flag, Layers
from mqlml.history.timestamps import read_times

if TYPE_CHECKING:
    from mqlml.config import Source
    from mqlml.history.columns import Field, Mapped
    from mqlml.history.files import Raw
    from mqlml.history.findings import Fault, Findings
    from mqlml.history.session import Session
    from mqlml.history.timestamps import Reading


@dataclass(frozen=True)
class Typed:
    """Typed columns, ``ROW``, ``LINE`` and ``FAULT`` as a query.

    Parameters
    ----------
    table : str
        Name in the contract.
    raw : Raw
    sql : str
    columns : tuple of str
        Contract columns of ``sql``.
    faults : tuple of Fault
        Indexed by ``FAULT``; 0 is a blank id in the tables whose first field is one.
    flags : tuple of Flag
    days : frozenset of str
        Fields whose column holds dates without times.
    """

    table: str
    raw: Raw
    sql: str
    columns: tuple[str, ...]
    faults: tuple[Fault, ...]
    flags: tuple[Flag, ...]
    days: frozenset[str]

    def flag_counts(self) -> str:
        """SQL that counts every flag, as ``flag0``, ``flag1`` ..."""
        return "".join(f", count(*) FILTER ({flag.predicate}) AS flag{i}" for i, flag in enumerate(self.flags))

    def over(self, relation: str) -> Typed:
        """Read the same columns from a relation that holds them."""
        return replace(self, sql=f"SELECT * FROM {relation}")


def type_table(
    session: Session,
    findings: Findings,
    mapped: Mapped,
    fields: Sequence[Field],
    *,
    table: str,
    source: Source,
    timezone: str | None,
    relation: str | None = None,
    extras: Mapping[str, str] | None = None,
    missing: Sequence[str] = (),
    plain: bool = False,
) -> Typed | None:
    """Plan how a raw relation becomes a table of the contract; nothing is executed but a look at texts.

    Parameters
    ----------
    session, findings, mapped, fields
        Where it lives and what is read from which column.
    table : str
        Name in the contract.
    source : Source
        Declares decimal sign, format of times and the share that may be set aside.
    timezone : str or None
        Zone of naive times; None means UTC, with a note.
    relation : str, optional
        SQL to read instead of ``mapped.raw.relation``.
    extras : mapping of str to str, optional
        Further columns by name, as SQL over the raw relation.
    missing : sequence of str
        Tokens that become null in texts, numbers and times.
    plain : bool
        The file is known to need no repair: leave out what would slow every scan down.

    Returns
    -------
    Typed or None
        None when a column cannot be read; the reason is among the problems.
    """
    raw = mapped.raw
    times = [c for f in fields if f.kind == "time" and (c := mapped.columns[f.name]) is not None]
    readings = read_times(session, findings, raw, source=source, columns=times, missing=missing, plain=plain)
    layers = Layers(raw, findings, source.decimal, missing, timezone, plain)
    added = [_add(layers, field, mapped.columns[field.name], readings) for field in fields]
    if not all(added):
        return None
    columns = (*layers.final, *(extras or {}))
    sql = layers.sql(relation or raw.relation, dict(extras or {}))
    faults = tuple(fault for _, fault in layers.faults)
    return Typed(table, raw, sql, columns, faults, tuple(layers.flags), frozenset(layers.days))


def _add(layers: Layers, field: Field, column: str | None, readings: Mapping[str, Reading]) -> bool:
    if column is None:
        layers.add_nothing(field)
        return True
    if field.kind == "number":
        return layers.add_number(field, column)
    if field.kind != "time":
        return layers.add_text(field, column)
    if column in readings:
        layers.add_time(field, column, readings[column])
    return column in readings
