"""Leads just below the line: how many, which signal they lack most often, and what preceded crossing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.tape.features import ANY_ACTIVITY

if TYPE_CHECKING:
    import pyarrow as pa

    from mqlml.learning.labels import Rows
    from mqlml.review.reasons import Explanation
    from mqlml.tape.features import Feature, FeatureSet

__all__ = ["NEAR", "lacking", "near_misses", "preceded"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int16]

NEAR = 0.8
"""A near miss has at least this share of the threshold."""

# What a lead can still do; its age and the hour it was created cannot change.
_DONE = frozenset({"events", "assets", "channels", "sessions"})
# Weaker than this a signal moves a chance of 50 % by less than half a point.
_LEAST = 0.02
_SIGNALS = 3
_THINGS = 5
# Fewer leads could point to a person, and say nothing.
_LEAST_LEADS = 10
_LEAST_CROSSINGS = 30
_WEEK = 7


def lacking(explanation: Explanation, features: FeatureSet) -> Codes:
    """The signal that speaks most against each lead, among what it could still do.

    Parameters
    ----------
    explanation : Explanation
    features : FeatureSet

    Returns
    -------
    ndarray of int16, shape (leads,)
        Index into ``explanation.names``; -1 where nothing that could change speaks against the lead.
    """
    can = {f.criterion for f in features.features if f.unit in _DONE and f.criterion != ANY_ACTIVITY}
    pairs = zip(explanation.names, explanation.groups, strict=True)
    usable = np.flatnonzero([name in can and group in ("engagement", "timing") for name, group in pairs])
    if not len(usable):
        return np.full(len(explanation.parts), -1, dtype=np.int16)
    parts = explanation.parts[:, usable]
    lowest = np.argmin(parts, axis=1)
    weak = parts[np.arange(len(parts)), lowest] > -_LEAST
    return np.where(weak, -1, usable[lowest]).astype(np.int16)


def near_misses(
    p: Floats, nurture: Flags, lacks: Codes, names: tuple[str, ...], *, threshold: float, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Count the leads of tier nurture within reach of the line, and what they lack.

    Parameters
    ----------
    p : ndarray of float64, shape (n,)
    nurture : ndarray of bool, shape (n,)
    lacks : ndarray of int16, shape (n,)
        From `lacking`.
    names : tuple of str
        Criteria that the codes stand for.
    threshold : float
    labels : mapping of str to str
        What people call a criterion instead of its name.

    Returns
    -------
    dict
        ``leads`` (nurture), ``near_misses``, ``near`` (share of the threshold they reach) and ``missing``: the most
        frequent signals with the number of near misses that lack each most.
    """
    near = nurture & (p >= NEAR * threshold)
    counts = np.bincount(lacks[near & (lacks >= 0)], minlength=len(names))
    order = [int(k) for k in np.argsort(-counts, kind="stable")[:_SIGNALS] if counts[k]]
    missing = [{"signal": labels.get(names[k], names[k]), "leads": int(counts[k])} for k in order]
    return {"leads": int(nurture.sum()), "near_misses": int(near.sum()), "near": NEAR, "missing": missing}


def preceded(
    table: pa.Table,
    rows: Rows,
    row: Integers,
    p: Floats,
    features: FeatureSet,
    *,
    threshold: float,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """What leads did before they first crossed the line, against leads that stayed below it.

    An association: whoever is about to buy does more of everything.

    Parameters
    ----------
    table : pa.Table
        Features of ``rows``.
    rows : Rows
    row : ndarray of int64, shape (n,)
        Tested rows.
    p : ndarray of float64, shape (n,)
        Their chances, as they would have been given then.
    features : FeatureSet
    threshold : float
    labels : mapping of str to str

    Returns
    -------
    dict
        ``threshold``, ``days`` (looked back from each snapshot), ``crossings`` (leads below the line that crossed it by
        their next snapshot) and ``things``: event types and assets with ``leads`` that did it before
        crossing, and the share (0..1) of those who ``crossed`` and of snapshots that ``stayed`` below.
    """
    crossed, stayed = _steps(rows, row, p, threshold)
    days = min((w for w in features.windows_days if w >= _WEEK), default=max(features.windows_days))
    things = []
    for feature in _things(features, days, table) if len(crossed) >= _LEAST_CROSSINGS and len(stayed) else ():
        did = table[feature.name].to_numpy() > 0
        leads, shares = int(did[crossed].sum()), (float(did[crossed].mean()), float(did[stayed].mean()))
        if leads >= _LEAST_LEADS and shares[0] > shares[1]:
            name = labels.get(feature.criterion, feature.criterion)
            things.append({"thing": name, "leads": leads, "crossed": shares[0], "stayed": shares[1]})
    shown = sorted(things, key=_surplus)[:_THINGS]
    return {"threshold": threshold, "days": days, "crossings": len(crossed), "things": shown}


def _surplus(thing: Mapping[str, Any]) -> tuple[float, str]:
    return thing["stayed"] - thing["crossed"], thing["thing"]


def _steps(rows: Rows, row: Integers, p: Floats, threshold: float) -> tuple[Integers, Integers]:
    """Rows at which a lead that was below the line first crossed it, and rows at which it was below once more."""
    order = np.lexsort((rows.when[row], rows.lead[row]))
    row, above = row[order], p[order] >= threshold
    lead = rows.lead[row]
    place = np.arange(len(row))
    first = np.full(int(lead.max(initial=-1)) + 1, len(row))
    np.minimum.at(first, lead[above], place[above])
    again = np.r_[False, lead[1:] == lead[:-1]] if len(row) else np.zeros(0, dtype=bool)
    return row[again & (place == first[lead])], row[again & (place < first[lead])]


def _things(features: FeatureSet, days: int, table: pa.Table) -> list[Feature]:
    """One count in the window for each event type and asset with features of its own."""
    named = {*features.event_types, *features.named_assets}
    found: dict[str, Feature] = {}
    for f in features.features:
        if f.criterion in named and f.unit == "events" and f.window_days == days and f.name in table.column_names:
            found.setdefault(f.criterion, f)
    return list(found.values())
