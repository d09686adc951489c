"""What a lead, an MQL and a win of each campaign cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.moments import DAY
from mqlml.review.converts.rates import rates

if TYPE_CHECKING:
    from mqlml.learning.snapshots import Population

__all__ = ["Campaigns", "costs"]

Integers = npt.NDArray[np.int64]

_MOST_ROWS = 15
_SINGLE_PERIOD = 30 * DAY


@dataclass(frozen=True)
class Campaigns:
    """The campaign of each lead of the population, and when it became an MQL.

    Attributes
    ----------
    names : tuple of str
        Every campaign of a lead.
    code : ndarray of int64, shape (leads,)
        Place in ``names``, below 0 for none.
    marked : ndarray of bool, shape (leads,), or None
        Leads marked as MQLs, or handed over; None where nobody recorded it.
    marked_by : str
        What that rests on.
    """

    names: tuple[str, ...]
    code: Integers
    marked: npt.NDArray[np.bool_] | None
    marked_by: str


def costs(
    spend: Sequence[tuple[str, int, float]],
    campaigns: Campaigns,
    people: Population,
    *,
    as_of: int,
    horizon_days: int | None,
) -> dict[str, Any] | None:
    """Divide what campaigns cost by the leads, MQLs and wins they brought in the same time.

    A period ends where the next one begins, the last one after as long as they usually take (30 days where there is but
    one). Only periods whose leads
    had the whole horizon count, so that young leads do not make wins look dear.

    Parameters
    ----------
    spend : sequence of (str, int, float)
        Campaign, start of the period (microseconds) and cost.
    campaigns : Campaigns
    people : Population
    as_of : int
        Microseconds; later periods are not looked at.
    horizon_days : int or None

    Returns
    -------
    dict or None
        ``from``, ``to``, ``rows`` (a campaign: ``cost``, ``leads``, ``mqls``, ``wins``, ``per_lead``, ``per_mql``,
        ``per_win`` with its 90 % ends), ``total``, ``young`` (cost of periods too young), ``unknown`` (campaigns and
        cost that no lead names) and ``without`` (leads of campaigns without costs). None where no period counts.
    """
    known = [row for row in spend if row[1] < as_of]
    window = _window([start for _, start, _ in known], as_of, (horizon_days or 0) * DAY)
    if window is None:
        return None if not known else {"rows": [], "young": sum(cost for *_, cost in known)}
    paid: dict[str, float] = {}
    for name, start, cost in known:
        if start < window[1]:
            paid[name] = paid.get(name, 0.0) + cost
    places = {name: k for k, name in enumerate(campaigns.names)}
    inside = people.present & (people.start >= window[0]) & (people.start < window[1])
    found = [
        _campaign(name, cost, inside & (campaigns.code == places[name]), campaigns, people, horizon_days)
        for name, cost in sorted(paid.items(), key=lambda item: (-item[1], item[0]))
        if name in places
    ]
    unknown = {name: cost for name, cost in paid.items() if name not in places}
    costed = np.isin(campaigns.code, [places[name] for name in paid if name in places])
    every = _campaign("all", sum(row["cost"] for row in found), inside & costed, campaigns, people, horizon_days)
    return {
        "from": _day(window[0]),
        "to": _day(window[1]),
        "marked_by": campaigns.marked_by,
        "rows": found[:_MOST_ROWS],
        "more": max(len(found) - _MOST_ROWS, 0),
        "total": every if found else None,
        "young": sum(cost for _, start, cost in known if start >= window[1]),
        "unknown": {"campaigns": len(unknown), "cost": sum(unknown.values())},
        "without": int((inside & (campaigns.code >= 0) & ~costed).sum()),
    }


def _window(starts: Sequence[int], as_of: int, horizon: int) -> tuple[int, int] | None:
    """First and end of the periods that ended a horizon before ``as_of``."""
    if not starts:
        return None
    distinct = np.unique(np.array(starts, dtype=np.int64))
    usual = int(np.median(np.diff(distinct))) if len(distinct) > 1 else _SINGLE_PERIOD
    ends = np.r_[distinct[1:], distinct[-1] + usual]
    whole = ends[ends + horizon <= as_of]
    return (int(distinct[0]), int(whole[-1])) if len(whole) and whole[-1] > distinct[0] else None


def _campaign(
    name: str,
    cost: float,
    inside: npt.NDArray[np.bool_],
    campaigns: Campaigns,
    people: Population,
    horizon_days: int | None,
) -> dict[str, Any]:
    lead = np.flatnonzero(inside)
    won = people.outcome[lead] == 1.0
    if horizon_days is not None:
        won = (
            people.decisions.wins.first_from(lead, people.start[lead]) < people.start[lead] + horizon_days * DAY
        ) * 1.0
    row = rates(np.zeros(len(lead), dtype=np.int64), won.astype(float), people.group[lead], codes=1)[0]
    mqls = None if campaigns.marked is None else int(campaigns.marked[lead].sum())
    return {
        "campaign": name,
        "cost": cost,
        "leads": row["leads"],
        "mqls": mqls,
        "wins": row["wins"],
        "win_rate": row["win_rate"],
        "per_lead": _per(cost, row["leads"]),
        "per_mql": _per(cost, mqls),
        "per_win": {
            "value": _per(cost, row["wins"]),
            "low": _per(cost, row["high"] and row["high"] * row["leads"]),
            "high": _per(cost, row["low"] and row["low"] * row["leads"]),
        },
    }


def _per(cost: float, number: float | None) -> float | None:
    return cost / number if number else None


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).date().isoformat()
