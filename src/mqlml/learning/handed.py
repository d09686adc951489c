"""What leads handed over on purpose, at random, teach: they stand for those below the line that were not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from mqlml.learning.decisions import positions
from mqlml.learning.moments import DAY, NEVER, microseconds

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.learning.labels import Rows

__all__ = ["MOST", "weigh_control"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# A few leads must not decide alone, however rarely they were drawn.
MOST = 10.0
CONTROL = "control"


def weigh_control(history: History, rows: Rows, *, every_days: int, until: int | None) -> Rows:
    """Weight snapshots by the inverse of the chance to be handed over, where control leads tell it.

    In each week of snapshots the leads drawn as control weigh as much as all leads that nobody handed over in it would
    together (each at most ``MOST``), and those weigh that much less: their sum stays. Leads handed over for another
    reason weigh 1 (Horvitz and Thompson 1952, JASA 47:663; capped as by Ionides 2008, JCGS 17:295).

    Parameters
    ----------
    history : History
    rows : Rows
    every_days : int
        Grid of the snapshots.
    until : int or None
        Hand-overs are known strictly before it, in microseconds.

    Returns
    -------
    Rows
        With ``importance``; the very same rows where no lead was drawn.
    """
    table = history.handovers
    if rows.timing != "horizon" or not table.num_rows:
        return rows
    drawn = pc.fill_null(pc.equal(table["by"], CONTROL), False).to_numpy().astype(bool)  # noqa: FBT003 - Arrow's own
    lead, at = positions(history, table["lead_id"]), microseconds(table["handed_at"], NEVER)
    known = (lead >= 0) & (at < (NEVER if until is None else until))
    if not (known & drawn).any():
        return rows
    span = every_days * DAY
    control = _within(rows, lead[known & drawn], at[known & drawn], span)
    other = _within(rows, lead[known & ~drawn], at[known & ~drawn], span) & ~control
    return replace(rows, importance=_weights(rows.at, control, other))


def _within(rows: Rows, lead: Integers, at: Integers, span: int) -> Flags:
    """Snapshots whose lead was handed over before the next one."""
    found = np.zeros(len(rows), dtype=bool)
    order = np.argsort(lead, kind="stable")
    lead, at = lead[order], at[order]
    first, last = np.searchsorted(lead, rows.lead), np.searchsorted(lead, rows.lead, side="right")
    for k in range(int((last - first).max(initial=0))):
        there = first + k < last
        moment = at[np.minimum(first + k, len(at) - 1)] if len(at) else np.zeros(len(rows), dtype=np.int64)
        found |= there & (moment >= rows.at) & (moment < rows.at + span)
    return found


def _weights(week: Integers, control: Flags, other: Flags) -> npt.NDArray[np.float64]:
    _, cohort = np.unique(week, return_inverse=True)
    drawn = np.bincount(cohort, weights=control)[cohort]
    left = np.bincount(cohort, weights=~control & ~other)[cohort]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(left > 0, np.minimum((drawn + left) / drawn, MOST), 1.0)
        rest = (drawn + left - drawn * each) / left
    return np.where(other | (drawn == 0), 1.0, np.where(control, each, rest))
