"""Every feature as plain DuckDB SQL, written from the words that describe it: slow, naive, and easy to check."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tape.oracle import behaviour, counts, facts
from tape.oracle.relations import prepare
from tape.oracle.words import Query, name

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet

FAMILIES: dict[str, Callable[[FeatureSet], Query]] = {
    function.__name__: function
    for function in (
        facts.attribute,
        facts.age,
        counts.count,
        counts.active_days,
        counts.assets,
        counts.recency,
        counts.first_touch,
        counts.intensity,
        counts.value,
        counts.type_intensity,
        counts.asset_counts,
        counts.channels,
        counts.visits,
        counts.momentum,
        behaviour.journey,
        behaviour.sessions,
        behaviour.silence,
        behaviour.tempo,
        behaviour.rhythm,
        behaviour.tracking,
        behaviour.pairs,
        facts.changes,
        facts.stage,
        facts.account,
    )
}


_WITHOUT_EVENTS = ("attribute", "age", "changes", "stage", "account")


def _has(features: FeatureSet, family: str) -> bool:
    """Whether the history had, at training, what a family is about."""
    had = {
        "age": features.age,
        "assets": features.assets,
        "visits": features.assets,
        "asset_counts": features.named_assets,
        "channels": features.channels,
        "stage": features.stages,
        "account": features.accounts,
    }
    return bool(had.get(family, True) and (family in _WITHOUT_EVENTS or features.named_types))


def expected(history: Any, marks: pa.Table, features: FeatureSet) -> dict[str, list[Any]]:
    """Compute the features for every mark: values by feature name, in the order of ``marks``.

    Raises
    ------
    KeyError
        A family has no oracle.
    """
    prepare(history, marks, features)
    by_source: dict[str, dict[str, str]] = {}
    for family in (family for family in features.families if _has(features, family)):
        query = FAMILIES[family](features)
        if query.columns:
            by_source.setdefault(query.source, {}).update(query.columns)
    answer: dict[str, list[Any]] = {}
    for source, aggregates in by_source.items():
        columns = ", ".join(f"{sql} AS {name(feature)}" for feature, sql in aggregates.items())
        rows = history.connection.sql(f"SELECT {columns} FROM {source} GROUP BY row ORDER BY row")
        answer |= {str(k): v for k, v in rows.to_arrow_table().to_pydict().items()}
    return answer
