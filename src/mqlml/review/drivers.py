"""The drivers of a model as marketing reviews them: importance, direction and win rate by value of each criterion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mqlml.errors import shown
from mqlml.learning.evaluation import binomial_interval
from mqlml.review.reasons import NOT_SUPPLIED
from mqlml.review.stability import split

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.review.reasons import Explanation
    from mqlml.tape.features import Feature, FeatureSet

__all__ = ["buckets_of", "drivers", "shape"]

Floats = npt.NDArray[np.float64]

_MAX_DRIVERS = 20
_MAX_BUCKETS = 6
# Rarer levels could point to a person.
_LEAST_LEADS = 20
# Log-odds between leads that did it and leads that did not: less than half a point at a chance of 50 %.
_LEAST_GAP = 0.02
_COUNTED = frozenset({"events", "assets", "channels", "sessions", "colleagues", "changes", "moves"})
_SUPPLIED = frozenset({"attribute", "age"})


def drivers(
    explanation: Explanation, explained: pa.Table, features: FeatureSet, used: set[str], table: pa.Table, rows: Rows
) -> list[dict[str, Any]]:
    """Rank the criteria and describe each.

    Parameters
    ----------
    explanation : Explanation
        Contributions of a sample of snapshots.
    explained : pa.Table
        Features of that sample.
    features : FeatureSet
    used : set of str
        Features that the model looks at.
    table : pa.Table
        Features of all labelled rows.
    rows : Rows

    Returns
    -------
    list of dict
        As the report shows them, most important first, at most 20; importances are shares of all criteria.
    """
    size = np.abs(explanation.parts).mean(axis=0)
    share = size / max(size.sum(), 1e-12)
    found: list[dict[str, Any]] = []
    for j in np.argsort(-share, kind="stable"):
        name = explanation.names[j]
        if name == NOT_SUPPLIED or share[j] < 0.001 or len(found) == _MAX_DRIVERS:
            continue
        feature = _telling(features, used, name, explained, explanation.parts[:, j])
        values = shape(feature, table, rows)
        found.append(
            {
                "criterion": name,
                "group": explanation.groups[j],
                "importance": float(share[j]),
                "direction": _direction(feature, explained, explanation.parts[:, j]),
                "sentence": _sentence(feature, values),
                "measure": feature.description,
                "coverage": _coverage(table, feature),
                "shape": values,
                "split": split(feature, table, rows),
            }
        )
    return found


def _telling(features: FeatureSet, used: set[str], criterion: str, table: pa.Table, part: Floats) -> Feature:
    """The feature of a criterion whose values go most with its contributions: the one worth a chart."""
    candidates = [f for f in features.features if f.criterion == criterion and f.name in used]
    # "More of it" should mean more events, not more days since the last one.
    counted = [f for f in candidates if f.group == "engagement"]
    return max(counted or candidates, key=lambda f: abs(_rank_correlation(f, table, part)))


def _rank_correlation(feature: Feature, table: pa.Table, part: Floats) -> float:
    """Of a category: with the mean rank of each of its levels (the correlation ratio)."""
    parts = _ranks(part)
    if feature.kind == "category":
        levels = np.array([f"{level}" for level in table[feature.name].to_pylist()])
        _, place, counts = np.unique(levels, return_inverse=True, return_counts=True)
        ranks = (np.bincount(place, parts) / counts)[place]
    else:
        ranks = _ranks(np.nan_to_num(table[feature.name].to_numpy(), nan=1e12))
    if ranks.std() == 0 or parts.std() == 0:
        return 0.0
    return float(np.corrcoef(ranks, parts)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[place]


def _direction(feature: Feature, table: pa.Table, part: Floats) -> str:
    if feature.kind == "category":
        return "mixed"
    if feature.group == "engagement" and feature.kind == "number":
        done = table[feature.name].to_numpy() > 0
        if not 0 < done.sum() < len(done):
            return "mixed"
        gap = part[done].mean() - part[~done].mean()
        return "mixed" if abs(gap) < _LEAST_GAP else "raises" if gap > 0 else "lowers"
    correlation = _rank_correlation(feature, table, part)
    if abs(correlation) < 0.3:
        return "mixed"
    return "raises" if correlation > 0 else "lowers"


def _coverage(table: pa.Table, feature: Feature) -> float:
    """Share of snapshots for which the lead supplied it (an attribute) or ever did it (an event), 0..1."""
    column = table[feature.name]
    if feature.kind == "category":
        return 1.0 - int(column.null_count) / max(len(column), 1)
    values = column.to_numpy()
    present = ~np.isnan(values)
    return float((present & (values > 0)).mean()) if feature.group == "engagement" else float(present.mean())


def buckets_of(feature: Feature, table: pa.Table) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Levels or ranges of a feature's values in words, and which rows are in each, shape (rows,)."""
    column = table[feature.name]
    return _levels(column) if feature.kind == "category" else _ranges(column.to_numpy(), feature)


def shape(feature: Feature, table: pa.Table, rows: Rows) -> list[dict[str, Any]]:
    """Win rate by bucket of the feature's values, with exact 90 % intervals counted in leads.

    Returns
    -------
    list of dict
        ``label``, ``share`` of the rows, ``win_rate`` with ``low`` and ``high`` (0..1) and ``leads``; buckets of fewer
        than 20 leads are left out.
    """
    found = []
    for label, inside in buckets_of(feature, table):
        leads = len(np.unique(rows.lead[inside]))
        if leads < _LEAST_LEADS:
            continue
        rate = float(rows.won[inside].mean())
        low, high = binomial_interval(rate * leads, leads)
        figures = {"share": float(inside.mean()), "win_rate": rate, "low": low, "high": high, "leads": leads}
        found.append({"label": label, **figures})
    return found


def _levels(column: pa.ChunkedArray) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    values = np.asarray(column.cast(pa.string()).to_pylist(), dtype=object)
    names, counts = np.unique(values[values != None].astype(str), return_counts=True)  # noqa: E711 - element-wise
    top = names[np.argsort(-counts, kind="stable")][:_MAX_BUCKETS]
    buckets = [(shown(name), values == name) for name in top]
    missing = np.array([v is None for v in values.tolist()], dtype=bool)
    return [*buckets, ("not supplied", missing)] if missing.any() else buckets


def _ranges(values: Floats, feature: Feature) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Zero or never on its own, the rest in parts of about equal size with whole-number edges where that suits."""
    missing = np.isnan(values)
    never = "not supplied" if feature.family in _SUPPLIED else "never"
    buckets = []
    rest = ~missing
    if feature.group == "engagement":
        buckets.append(("none", rest & (values == 0)))
        rest = rest & (values != 0)
    if rest.any():
        buckets += _quantile_buckets(values, rest, feature.unit)
    return [*buckets, (never, missing)] if missing.any() else buckets


def _quantile_buckets(
    values: Floats, inside: npt.NDArray[np.bool_], unit: str
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    edges = np.unique(np.quantile(values[inside], np.linspace(0, 1, _MAX_BUCKETS - 1)))
    whole = unit in {*_COUNTED, "days", "minutes"}
    edges = np.unique(np.round(edges)) if whole and edges[-1] >= _MAX_BUCKETS else edges
    if len(edges) < 2:
        return [(_number(edges[0]), inside)]
    buckets = []
    for i in range(len(edges) - 1):
        below = values < edges[i + 1] if i < len(edges) - 2 else np.ones(len(values), dtype=bool)
        above = values >= edges[i] if i else np.ones(len(values), dtype=bool)
        last = i == len(edges) - 2
        buckets.append((_span(edges[i], edges[i + 1], last=last, counted=unit in _COUNTED), inside & above & below))
    return buckets


def _span(low: float, high: float, *, last: bool, counted: bool) -> str:
    """Words for ``low <= value < high`` (``<=`` in the last bucket); counts name the numbers they hold."""
    top = high if last or not counted else high - 1
    return _number(low) if top == low else f"{_number(low)} to {_number(top)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.3g}"


def _sentence(feature: Feature, values: Sequence[dict[str, Any]]) -> str:
    if len(values) < 2:
        return f"{feature.description} Too few leads differ in it for a comparison."
    best, worst = max(values, key=lambda b: b["win_rate"]), min(values, key=lambda b: b["win_rate"])
    measure = feature.description.rstrip(".")
    return (
        f"{measure}: leads with '{best['label']}' won in {_percent(best['win_rate'])} of cases, "
        f"with '{worst['label']}' in {_percent(worst['win_rate'])}."
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %" if rate < 0.1 else f"{100 * rate:.0f} %"
