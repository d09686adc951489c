"""How groups fare that must not matter: who becomes MQL, who wins, and whether the promises are kept for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.errors import shown
from mqlml.learning.resampling import Resampler, binomial_interval

if TYPE_CHECKING:
    from mqlml.learning.resampling import Draws

__all__ = ["RARE", "Watched", "by_group", "groups_of"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]

RARE = "rare values together"
MISSING = "not supplied"
_LEAST_LEADS = 50
_LEAST_SHOWN = 20
_MOST_GROUPS = 8
_RANGES = 4


@dataclass(frozen=True)
class Watched:
    """Tested snapshots; arrays of shape (n,), sorted by lead.

    Attributes
    ----------
    lead, account : ndarray of int64
    p : ndarray of float64
        Chance as it would have been given then, 0..1.
    won : ndarray of float64
        1 where the lead was won within the horizon.
    mql : ndarray of bool
        Whether the policy hands it over.
    """

    lead: Integers
    account: Integers
    p: Floats
    won: Floats
    mql: Flags


def by_group(seen: Watched, groups: Mapping[str, Texts], *, seed: int) -> list[dict[str, Any]]:
    """Compare the groups of each column.

    Parameters
    ----------
    seen : Watched
    groups : mapping of str to ndarray of str, shape (n,)
        Group of each snapshot, by column; from `groups_of`.
    seed : int
        Draws whole accounts anew for the 90 % intervals.

    Returns
    -------
    list of dict
        ``column``, ``value``, ``leads``, ``wins``; ``mqls``: share of leads that become MQL; ``win_rate`` of these
        MQLs; ``won`` and ``promised``: realised and mean promised rate of the snapshots; ``difference``: the former
        less the latter. Rates are 0..1 with ``value``, ``low`` and ``high``. Groups of fewer than 20 leads are left
        out.
    """
    if not len(seen.lead):
        return []
    resampler = Resampler(seen.account, seed=seed)
    first = np.r_[True, seen.lead[1:] != seen.lead[:-1]]
    return [
        {"column": column, "value": str(value), **line}
        for column, values in groups.items()
        for value in _in_order(values[first])
        if (line := _line(seen, values == value, first, resampler))["leads"] >= _LEAST_SHOWN
    ]


def groups_of(values: pa.ChunkedArray) -> Texts:
    """Name the group of each lead: its value, a quarter of the numbers, or the rare values together.

    Parameters
    ----------
    values : pa.ChunkedArray
        Text or numbers, one a lead; null where not supplied.

    Returns
    -------
    ndarray of str, shape (leads,)
        At most eight groups; values of fewer than 50 leads are folded, since they could point to a person.
    """
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return _quarters(values.cast(pa.float64()).to_numpy())
    texts = np.asarray([MISSING if v is None else shown(v) for v in values.cast(pa.string()).to_pylist()], dtype=str)
    names, counts = np.unique(texts, return_counts=True)
    order = np.argsort(-counts, kind="stable")[: _MOST_GROUPS - 1]
    kept = [str(names[k]) for k in order if counts[k] >= _LEAST_LEADS]
    return np.where(np.isin(texts, kept), texts, RARE)


def _quarters(values: Floats) -> Texts:
    present = values[~np.isnan(values)]
    if not len(present):
        return np.full(len(values), MISSING)
    edges = np.unique(np.quantile(present, np.linspace(0, 1, _RANGES + 1)))
    place = np.clip(np.searchsorted(edges[1:-1], values, side="right"), 0, max(len(edges) - 2, 0))
    tops = [*edges[1:]] if len(edges) > 1 else [edges[0]]
    last = len(tops) - 1
    words = np.array([f"{edges[k]:,.6g} to {'' if k == last else 'below '}{top:,.6g}" for k, top in enumerate(tops)])
    return np.where(np.isnan(values), MISSING, words[place])


def _in_order(values: Texts) -> list[str]:
    """Groups by their number of leads, the folded and the missing ones last."""
    names, counts = np.unique(values, return_counts=True)
    rank = {RARE: 1, MISSING: 2}
    pairs = sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda p: (rank.get(p[0], 0), -p[1], p[0]))
    return [name for name, _ in pairs]


def _line(seen: Watched, inside: Flags, first: Flags, resampler: Resampler) -> dict[str, Any]:
    starts = np.flatnonzero(first)
    mql = _once(seen.mql & inside, starts)
    # An MQL wins where it is won within the horizon of the snapshot that first made it one.
    crossing = seen.mql & inside & _first_of_lead(seen.mql, seen.lead)
    sums = resampler.sums(
        {
            "leads": (first & inside).astype(float),
            "mqls": mql,
            "mql wins": crossing * seen.won,
            "rows": inside.astype(float),
            "won": inside * seen.won,
            "promised": inside * seen.p,
        }
    )
    leads, mqls = int(sums["leads"].value), int(sums["mqls"].value)
    won, promised = sums["won"] / sums["rows"], sums["promised"] / sums["rows"]
    return {
        "leads": leads,
        "wins": len(np.unique(seen.lead[inside & (seen.won > 0)])),
        "mqls": _wide(sums["mqls"] / sums["leads"], leads),
        "win_rate": _wide(sums["mql wins"] / sums["mqls"], mqls),
        "won": _wide(won, leads),
        "promised": promised.interval().to_dict(),
        "difference": (won - promised).interval().to_dict(),
    }


def _once(flags: Flags, starts: Integers) -> Floats:
    """1 in the first row of each lead that has a flag, 0 elsewhere."""
    found = np.zeros(len(flags))
    found[starts] = np.maximum.reduceat(flags, starts)
    return found


def _first_of_lead(flags: Flags, lead: Integers) -> Flags:
    rows = np.flatnonzero(flags)
    first = np.zeros(len(flags), dtype=bool)
    first[rows[np.r_[True, lead[rows[1:]] != lead[rows[:-1]]]] if len(rows) else rows] = True
    return first


def _wide(rate: Draws, leads: int) -> dict[str, float | None]:
    """A clustered interval, never narrower than the exact one of so many leads."""
    if not leads:
        return {"value": None, "low": None, "high": None}
    found = rate.interval()
    low, high = binomial_interval(rate.value * leads, leads)
    ends = (low if found.low is None else min(low, found.low), high if found.high is None else max(high, found.high))
    return {"value": found.value, "low": ends[0], "high": ends[1]}
