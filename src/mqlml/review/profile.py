"""The ideal customer as the data see it: what leads were, not what they did; and who can pay and decide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.learning.resampling import binomial_interval
from mqlml.review.drivers import buckets_of, shape

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.review.reasons import Explanation
    from mqlml.tape.features import Feature

__all__ = ["SIGNALS", "Profile", "ideal_customer", "signal_columns", "signals"]

Flags = npt.NDArray[np.bool_]

_MISSING = "not supplied"
_MOST_CRITERIA = 12
_LEAST_LEADS = 20

SIGNALS: Mapping[str, frozenset[str]] = {
    "budget": frozenset({"budget", "companysize", "employees", "headcount", "revenue", "turnover", "funding"}),
    "authority": frozenset({"seniority", "jobtitle", "jobrole", "role", "buyingrole", "decisionmaker", "joblevel"}),
}
"""Names, small letters without spaces and signs, by which columns are recognised that tell who can pay and decide."""


@dataclass(frozen=True)
class Profile:
    """What every lead was when it was first looked at, and whether it was won within the horizon of a snapshot.

    Attributes
    ----------
    table : pa.Table
        Features of each lead's first snapshot.
    rows : Rows
        One a lead; ``won`` tells of all its snapshots.
    features : tuple of Feature
        Attributes among them.
    weight : mapping of str to float
        Share that each criterion has in all that moves chances, 0..1.
    """

    table: pa.Table
    rows: Rows
    features: tuple[Feature, ...]
    weight: Mapping[str, float]

    @classmethod
    def of(cls, table: pa.Table, rows: Rows, features: Sequence[Feature], explanation: Explanation) -> Profile:
        """Take the first mature snapshot of each lead; rows are sorted by lead, then moment."""
        place = np.flatnonzero(rows.mature)
        first = np.r_[True, rows.lead[place][1:] != rows.lead[place][:-1]] if len(place) else np.zeros(0, dtype=bool)
        begins = np.flatnonzero(first)
        flags = np.zeros(len(rows), dtype=bool)
        flags[place[begins]] = True
        ever = np.maximum.reduceat(rows.won[place], begins) if len(begins) else np.zeros(0)
        size = np.abs(explanation.parts).mean(axis=0)
        share = size / max(float(size.sum()), 1e-12)
        weight = dict(zip(explanation.names, share.tolist(), strict=True))
        attributes = tuple(f for f in features if f.family == "attribute")
        return cls(table.filter(pa.array(flags)), replace(rows.where(flags), won=ever), attributes, weight)

    def line(self, feature: Feature) -> dict[str, Any]:
        """Best and worst level of one attribute with win rates, and all of them."""
        values = shape(feature, self.table, self.rows)
        named = [value for value in values if value["label"] != _MISSING]
        by_rate = sorted(named, key=lambda value: -value["win_rate"])
        known = 1.0 - sum(float(m.mean()) for label, m in buckets_of(feature, self.table) if label == _MISSING)
        return {
            "criterion": feature.criterion,
            "weight": self.weight.get(feature.criterion),
            "coverage": known,
            "best": by_rate[0] if len(by_rate) > 1 else None,
            "worst": by_rate[-1] if len(by_rate) > 1 else None,
            "shape": values,
        }


def ideal_customer(profile: Profile) -> dict[str, Any] | None:
    """Say which leads win by what they were when first looked at, whatever they did since.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    dict or None
        ``leads``, ``wins``, ``base_rate``; ``weight`` of all such criteria together; ``criteria``, the heaviest first;
        ``stands_out``: the best level of each whose win rate is surely above that of all leads; ``matching``: leads and
        win rate by how many of these a lead has. None where no attribute is used.
    """
    used = [f for f in profile.features if profile.weight.get(f.criterion, 0.0) > 0]
    if not used or not len(profile.rows):
        return None
    base = float(profile.rows.won.mean())
    # A column in which all leads were alike at first tells what became of them, not what they were.
    used.sort(key=lambda f: -profile.weight[f.criterion])
    told = [line for f in used if (line := profile.line(f))["best"] is not None]
    lines = told[:_MOST_CRITERIA]
    out = [line for line in lines if line["best"] is not None and line["best"]["low"] > base]
    return {
        "leads": len(profile.rows),
        "wins": int(profile.rows.won.sum()),
        "base_rate": base,
        "weight": sum(line["weight"] for line in told),
        "criteria": lines,
        "stands_out": [{"criterion": line["criterion"], **line["best"]} for line in out],
        "matching": _matching(profile, out),
    }


def signal_columns(
    columns: Sequence[str], declared: Mapping[str, Sequence[str] | None]
) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Columns that tell of budget and of authority, and whether they were only recognised by their names.

    Parameters
    ----------
    columns : sequence of str
        All that may be used.
    declared : mapping of str to sequence of str or None
        ``[leads] budget`` and ``authority``; None lets names decide.
    """
    found = {}
    for kind, names in SIGNALS.items():
        said = declared.get(kind)
        guessed = tuple(name for name in columns if _is_named(name, names))
        found[kind] = (guessed, True) if said is None else (tuple(said), False)
    return found


def signals(profile: Profile, columns: Mapping[str, tuple[tuple[str, ...], bool]]) -> list[dict[str, Any]]:
    """How leads fare by the columns that tell whether they can pay and can decide.

    Parameters
    ----------
    profile : Profile
    columns : mapping
        From `signal_columns`.

    Returns
    -------
    list of dict
        One of ``budget``, one of ``authority``: ``signal``, ``guessed``, ``lines`` (as of ``Profile.line``) and
        ``unused``: named columns that are no features.
    """
    by_name = {feature.criterion: feature for feature in profile.features}
    return [
        {
            "signal": kind,
            "guessed": guessed,
            "lines": [profile.line(by_name[name]) for name in names if name in by_name],
            "unused": [name for name in names if name not in by_name],
        }
        for kind, (names, guessed) in columns.items()
    ]


def _matching(profile: Profile, out: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Win rate by how many of the levels that stand out a lead has."""
    if len(out) < 2:
        return []
    by_name = {feature.criterion: feature for feature in profile.features}
    matched = np.zeros(len(profile.rows), dtype=np.int64)
    for line in out:
        inside = dict(buckets_of(by_name[line["criterion"]], profile.table))
        matched += inside[line["best"]["label"]]
    found = []
    for many in range(len(out) + 1):
        mine = matched == many
        leads, wins = int(mine.sum()), float(profile.rows.won[mine].sum())
        if leads >= _LEAST_LEADS:
            low, high = binomial_interval(wins, leads)
            found.append({"matched": many, "leads": leads, "win_rate": wins / leads, "low": low, "high": high})
    return found


def _is_named(column: str, names: frozenset[str]) -> bool:
    """Whether a name, or its words next to one another, is one of those; ``title`` alone may be a form of address."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).lower())
    runs = {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    return bool(runs & names)
