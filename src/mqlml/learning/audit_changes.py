"""Columns that were written after a lead was decided: told from their history, or from two extracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.learning.audit_checks import BLOCK_EXCEPTIONS, EXCLUDE, Finding
from mqlml.learning.resampling import binomial_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mqlml.history.edits import Edits
    from mqlml.learning.audit_statistics import Flags, Floats, Ints

__all__ = ["Extract", "changed_between", "edited_late"]

_LEAST_SHARE = 0.01
_FEWEST = 30
# So many times as often as open leads: a field that is merely kept up to date changes for both alike.
_TIED, _TIED_SHARE = 3.0, 0.05
_SAME = 1e-9

_WRONG = "today's value is not the one that was known when the lead was looked at"
_STATE = "name it in [leads] state, or give its changes in the history table"


@dataclass(frozen=True)
class Extract:
    """An earlier extract of the leads, beside today's.

    Attributes
    ----------
    attributes : pa.Table
        (k leads) under the same names.
    place : ndarray of int64, shape (n,)
        Row in it of each of today's leads, -1 for those that it lacks.
    moment : int or None
        When it was made, in microseconds; None where that is unknown.
    """

    attributes: pa.Table
    place: Ints
    moment: int | None


def edited_late(
    edits: Sequence[Edits], *, columns: Sequence[str], declared: frozenset[str], leads: int, closed: int
) -> Iterator[Finding]:
    """Find columns of ``[history]`` that change once a lead is decided, or although they are declared not to change.

    They are read as of each moment, so that nothing later is learned; a person should know all the same.

    Parameters
    ----------
    edits : sequence of Edits
    columns : sequence of str
        Attributes of the leads.
    declared : frozenset of str
        Columns declared as known at creation.
    leads, closed : int
        Leads looked at, and those among them that are decided.
    """
    for edit in edits:
        if edit.field not in columns:
            continue
        if edit.field in declared and edit.after_creation > BLOCK_EXCEPTIONS * leads:
            figure = f"changed after creation for {edit.after_creation:,} of {leads:,} leads"
            why = "it is declared as known at creation, yet [history] changes it; it is read as of each moment"
            remedy = "remove it from [leads] known_at_creation, or its corrections from [history]"
            yield Finding("ask", "changed-after-creation", edit.field, figure, why, remedy)
        elif edit.after_decision > _LEAST_SHARE * closed:
            figure = f"changed at or after the decision for {edit.after_decision:,} of {closed:,} closed leads"
            why = "today's value was written once the outcome was known; it is read as of each moment instead"
            remedy = "nothing to do while [history] holds every change"
            yield Finding("note", "changed-after-closing", edit.field, figure, why, remedy)


def changed_between(
    attributes: pa.Table, extract: Extract, *, won: Floats, decided: Ints, declared: frozenset[str]
) -> Iterator[Finding]:
    """Find columns whose values differ between two extracts, and those that are written as leads close.

    Parameters
    ----------
    attributes : pa.Table
        (n leads) today's values of the columns to compare.
    extract : Extract
    won : ndarray of float (n,)
        1 won, 0 not, NaN open.
    decided : ndarray of int64 (n,)
        Last decision in microseconds.
    declared : frozenset of str
    """
    common = extract.place >= 0
    known = ~np.isnan(won)
    closing = common & known & (decided >= extract.moment if extract.moment is not None else False)
    groups = {
        "that closed in between": closing,
        "open ones": common & ~known,
        "that were closed before": common & known & ~closing,
    }
    for name in attributes.column_names:
        if name in extract.attributes.column_names and common.any():
            changed = np.zeros(len(common), bool)
            before = extract.attributes[name].take(pa.array(extract.place[common]))
            changed[common] = _differ(attributes[name].filter(pa.array(common)), before)
            yield from _judge(name, changed, common, groups, is_declared=name in declared)


def _judge(
    name: str, changed: Flags, common: Flags, groups: dict[str, Flags], *, is_declared: bool
) -> Iterator[Finding]:
    share = float(changed[common].mean())
    largest = max([share, *(float(changed[g].mean()) for g in groups.values() if g.sum() >= _FEWEST)])
    if largest <= _LEAST_SHARE and not (is_declared and share > BLOCK_EXCEPTIONS):
        return
    parts = [f"{100 * changed[g].mean():.1f} % of {int(g.sum()):,} {words}" for words, g in groups.items() if g.any()]
    figure = (
        f"differs between the extracts for {int(changed.sum()):,} of {int(common.sum()):,} leads "
        f"({100 * share:.1f} %): {', '.join(parts)}"
    )
    if _written_at_closing(changed, *groups.values()):
        why = "it is written when a lead closes, so that today's value tells the outcome"
        yield Finding("block", "changed-at-closing", name, figure, why, EXCLUDE)
    elif is_declared:
        why, remedy = (
            f"it is declared as known at creation, yet changes: {_WRONG}",
            f"remove the declaration and {_STATE}",
        )
        yield Finding("ask", "changed-after-creation", name, figure, why, remedy)
    else:
        yield Finding("ask", "changed-since", name, figure, f"it is kept up to date: {_WRONG}", _STATE)


def _written_at_closing(changed: Flags, closing: Flags, is_open: Flags, closed: Flags) -> bool:
    """Whether leads that closed in between changed beyond doubt more often than leads to which nothing happened."""
    others = next((group for group in (is_open, closed) if group.sum() >= _FEWEST), None)
    if others is None or closing.sum() < _FEWEST:
        return False
    low, _ = binomial_interval(int(changed[closing].sum()), int(closing.sum()))
    _, high = binomial_interval(int(changed[others].sum()), int(others.sum()))
    return low >= max(_TIED * high, _TIED_SHARE)


def _differ(now: pa.ChunkedArray, before: pa.ChunkedArray) -> Flags:
    """Where two columns of the same leads hold different values; a value and none differ."""
    if pa.types.is_floating(now.type) and pa.types.is_floating(before.type):
        first, second = (column.to_numpy(zero_copy_only=False) for column in (now, before))
        near = np.abs(first - second) <= _SAME * np.maximum(np.abs(first), np.abs(second))
        return np.asarray(~(near | (np.isnan(first) & np.isnan(second))))
    texts = [column.cast(pa.string()) for column in (now, before)]
    equal = pc.fill_null(pc.equal(*texts), fill_value=False)
    empty = pc.and_(pc.is_null(texts[0]), pc.is_null(texts[1]))
    return ~np.asarray(pc.or_(equal, empty).to_numpy(), dtype=bool)
