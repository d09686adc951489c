"""What followed a snapshot besides its label: hand-over, acceptance, opportunity, and what the win brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused, Problem
from mqlml.history.queries import stage_names
from mqlml.learning.decisions import outcome_rows, positions
from mqlml.learning.moments import DAY, LONG_AGO, NEVER, Moments, microseconds

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.learning.labels import Rows

__all__ = ["followed", "win_values"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_OPPORTUNITY = "opportunity"


def followed(history: History, config: Config, rows: Rows, *, until: int | None) -> dict[str, Floats]:
    """Look up what happened within the horizon of each snapshot.

    Parameters
    ----------
    history : History
    config : Config
    rows : Rows
        With moments; the answer is empty otherwise.
    until : int or None
        Only what was known strictly before this moment, in microseconds.

    Returns
    -------
    dict of str to ndarray of float64, shape (rows,)
        ``handed``, ``accepted`` and ``opportunity``, 1 or 0; what is recorded nowhere is absent.
    """
    if rows.timing != "horizon" or config.label.horizon_days is None:
        return {}
    horizon, moment = config.label.horizon_days * DAY, int(NEVER) if until is None else until
    found = {}
    handovers = history.handovers
    if handovers.num_rows:
        lead, handed = positions(history, handovers["lead_id"]), microseconds(handovers["handed_at"], NEVER)
        accepted = microseconds(handovers["accepted_at"], NEVER)
        there = lead >= 0
        found["handed"] = _within(lead[there], handed[there], rows, horizon, moment)
        if (accepted < NEVER).any():
            found["accepted"] = _within(lead[there], accepted[there], rows, horizon, moment)
    opened = _opened(history, until)
    if opened is not None:
        found["opportunity"] = _within(*opened, rows, horizon, moment)
    return found


def win_values(history: History, config: Config, rows: Rows, *, until: int | None) -> Floats | None:
    """Tell what the win of each won snapshot brought.

    Parameters
    ----------
    history : History
    config : Config
    rows : Rows
    until : int or None
        Microseconds.

    Returns
    -------
    ndarray of float64, shape (rows,), or None
        NaN for snapshots that were not won, and for wins without a value; None where no win has one, or some are
        negative.

    Raises
    ------
    DataRefused
        Won leads have negative values, and ``[policy] value`` is to be learned from them.
    """
    table = history.outcomes
    won = table.filter(pc.and_(pc.equal(table["outcome"], "won"), pc.is_valid(table["value"])))
    value = won["value"].to_numpy()
    at = microseconds(won["decided_at"], LONG_AGO)
    lead = positions(history, won["lead_id"])
    known = (lead >= 0) & (at < (NEVER if until is None else until)) & np.isfinite(value)
    lead, at, value = lead[known], at[known], value[known]
    if not len(value):
        return None
    if (value < 0).any():
        _refuse_negative(value, config)
        return None
    order = np.lexsort((at, lead))
    moments = Moments(lead[order], at[order])
    since = rows.at if rows.timing == "horizon" else np.full(len(rows), LONG_AGO)
    place = moments.place_from(rows.lead, since)
    return np.where(rows.won > 0, np.append(value[order], np.nan)[place], np.nan)


def _within(lead: Integers, at: Integers, rows: Rows, horizon: int, until: int) -> Floats:
    first = Moments.of(lead[at < until], at[at < until]).first_from(rows.lead, rows.at)
    return (first - rows.at < horizon).astype(np.float64)


def _opened(history: History, until: int | None) -> tuple[Integers, Integers] | None:
    """When sales opened opportunities: as the outcomes say, or the stage of that name."""
    rows = outcome_rows(history, until=until)
    opened = rows.opened < NEVER
    if opened.any():
        return rows.lead[opened], rows.opened[opened]
    name = next((n for n in stage_names(history) if _OPPORTUNITY in n.casefold()), None)
    if name is None:
        return None
    entered = history.stage_entries(name)
    lead = positions(history, entered["lead_id"])
    return lead[lead >= 0], microseconds(pa.chunked_array(entered["at"]), NEVER)[lead >= 0]


def _refuse_negative(value: Floats, config: Config) -> None:
    negative = int((value < 0).sum())
    if config.policy.value == "learned":
        what = "won leads have a negative value, and no threshold can be weighed against it"
        fix = "correct them, empty where nobody knows, or leave the column out with [outcomes] value = ''"
        file = config.outcomes.path or config.leads.path
        problem = Problem("negative-value", file, what, fix, config.outcomes.value, negative, len(value))
        raise DataRefused([problem])
