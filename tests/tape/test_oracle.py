"""Every feature equals plain SQL written from its description: marks joined with what was known, then aggregated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mqlml.tape.build import build_features
from mqlml.tape.features import BASE_FAMILIES, Attribute, Feature, FeatureSet
from mqlml.tape.vocabulary import learn_feature_set

SEEDS = range(8)
LEADS = [f"lead {number}" for number in range(10)]
TYPES = ["web", "mail", "form", "chat", "call", "webinar"]


def random_history(make: Any, rng: np.random.Generator, *, has_old_value: bool) -> Any:
    """Coarse times, so that many facts share a moment with each other, with marks and with window borders."""
    leads = [
        {"lead_id": lead, "account_id": [None, "acme", "bolt"][rng.integers(3)], "created_at": moment(make, rng)}
        for lead in LEADS
    ]
    events = [random_event(make, rng) for _ in range(250)]
    events += [dict(events[i]) for i in rng.integers(len(events), size=20)]
    changes = [random_change(make, rng, has_old_value) for _ in range(25)]
    attributes = {
        "stage": [str(rng.choice(["new", "old"])) for _ in LEADS],
        "score": [float(rng.integers(9)) for _ in LEADS],
        "source": [[None, "ad", "fair"][rng.integers(3)] for _ in LEADS],
        "size": [[None, 0.0, 2.5][rng.integers(3)] for _ in LEADS],
    }
    return make.history(leads, events=events, changes=changes, attributes=attributes)


def moment(make: Any, rng: np.random.Generator) -> int:
    return int(make.start + rng.integers(480) * (make.day // 4) + rng.choice([0, 0, 0, -1, 1]))


def random_event(make: Any, rng: np.random.Generator) -> dict[str, Any]:
    occurred_at = moment(make, rng)
    delay = [None, None, 0, -make.day, make.day, 20 * make.day][rng.integers(6)]
    return {
        "lead_id": [*LEADS, "nobody"][min(int(rng.geometric(0.2)) - 1, 10)],
        "occurred_at": occurred_at,
        "recorded_at": None if delay is None else occurred_at + delay,
        "event_type": str(rng.choice(TYPES, p=[0.35, 0.2, 0.15, 0.1, 0.1, 0.1])),
        "value": [None, np.nan, np.inf, -np.inf, *rng.integers(-40, 400, size=6) / 4][rng.integers(10)],
        "channel": [None, "email", "phone"][rng.integers(3)],
        "asset": [None, "a", "b", "c", "ä"][rng.integers(5)],
    }


def random_change(make: Any, rng: np.random.Generator, has_old_value: bool) -> dict[str, Any]:
    values = ["new", "old", "lost", None, ""], ["1", "2.5", "-3e2", "many", "nan", "inf", None]
    number = int(rng.integers(2))
    return {
        "lead_id": str(rng.choice(LEADS)),
        "changed_at": moment(make, rng),
        "field": ["stage", "score"][number],
        "value": values[number][rng.integers(len(values[number]))],
        "old_value": values[number][rng.integers(len(values[number]))] if has_old_value else None,
        "has_old_value": has_old_value,
    }


def sql_of(feature: Feature, features: FeatureSet) -> str:
    """One aggregate over what was known of the lead before the mark (``seen``, a row for every such event)."""
    if feature.family == "attribute":
        return attribute_sql(next(a for a in features.attributes if a.name == feature.criterion))
    if feature.family == "age":
        return "days_between(any_value(created_at), any_value(moment))"
    window = "true" if feature.window_days is None else f"occurred_at >= moment - to_hours({24 * feature.window_days})"
    known = ", ".join(f"'{name}'" for name in features.event_types)
    kind = {None: "true", "other": f"event_type NOT IN ({known})"}.get(
        feature.event_type, f"event_type = '{feature.event_type}'"
    )
    chosen = f"FILTER (event_type IS NOT NULL AND {kind}"
    inside = f"{chosen} AND {window})"
    return {
        "count": f"count(*) {inside}",
        "active_days": f"count(DISTINCT occurred_at::DATE) {inside}",
        "assets": f"count(DISTINCT asset) {inside}",
        "value": f"coalesce(sum(CASE WHEN isfinite(value) THEN value END) {inside}, 0)",
        "recency": f"days_between(max(occurred_at) {chosen}), any_value(moment))",
        "first_touch": f"days_between(min(occurred_at) {chosen}), any_value(moment))",
        "intensity": f"coalesce(sum(0.5 ** (days_between(occurred_at, moment) / {feature.window_days})) {chosen}), 0)",
    }[feature.family]


def attribute_sql(attribute: Attribute) -> str:
    if attribute.source == "creation":
        return f'any_value("{attribute.name}")'
    clean = "c.value" if attribute.kind == "category" else "finite(c.value)"
    mine = f"FROM changes c WHERE c.lead_id = any_value(seen.lead_id) AND c.field = '{attribute.name}'"
    before = f"{mine} AND c.changed_at < any_value(seen.moment)"
    first = f"(SELECT c.old_value {mine} ORDER BY c.changed_at, c.value NULLS FIRST, c.old_value NULLS FIRST LIMIT 1)"
    today = f'any_value("{attribute.name}")'
    return f"""CASE
        WHEN EXISTS (SELECT 1 {before})
            THEN (SELECT {clean} {before} ORDER BY c.changed_at DESC, {clean} DESC NULLS LAST LIMIT 1)
        WHEN NOT (SELECT any_value(has_old_value) FROM changes) THEN NULL
        WHEN EXISTS (SELECT 1 {mine}) THEN {first if attribute.kind == "category" else f"finite({first})"}
        ELSE {today} END"""


def oracle(history: Any, marks: pa.Table, features: FeatureSet) -> pa.Table:
    connection = history.connection
    people = history.leads.select(["lead_id", "created_at"])
    for name in history.attributes.column_names:
        people = people.append_column(name, history.attributes[name])
    connection.register("people", people)
    connection.register("asked", marks.append_column("row", pa.array(range(marks.num_rows))))
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE OR REPLACE MACRO days_between(a, b) AS (epoch_us(b) - epoch_us(a)) / 86400e6")
    connection.execute(
        "CREATE OR REPLACE MACRO finite(t) AS CASE WHEN isfinite(TRY_CAST(t AS DOUBLE)) THEN TRY_CAST(t AS DOUBLE) END"
    )
    dropped = ", ".join(f"'{name}'" for name in ("", *features.dropped_types))
    columns = ", ".join(f'{sql_of(f, features)} AS "{f.name}"' for f in features.features)
    return connection.sql(f"""
        WITH seen AS (
            SELECT a.row, a.lead_id, a."at"::TIMESTAMP AS moment, p.* EXCLUDE (lead_id, created_at),
                   p.created_at::TIMESTAMP AS created_at, e.* EXCLUDE (lead_id)
            FROM asked a JOIN people p ON p.lead_id = a.lead_id
            LEFT JOIN events e ON e.lead_id = a.lead_id AND e.event_type NOT IN ({dropped})
                 AND e.occurred_at < a."at"::TIMESTAMP AND (e.recorded_at IS NULL OR e.recorded_at < a."at"::TIMESTAMP)
        )
        SELECT {columns} FROM seen GROUP BY row ORDER BY row
    """).to_arrow_table()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_feature_when_the_history_is_random_then_equals_plain_sql(make: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    history = random_history(make, rng, has_old_value=seed % 2 == 0)
    marks = make.marks(*((str(rng.choice(LEADS)), moment(make, rng)) for _ in range(120)))
    features = learn_feature_set(
        history,
        make.config(
            features={"max_event_types": 3, "families": BASE_FAMILIES}, events={"path": "e", "by_sales": ["call"]}
        ),
        until=None,
        attributes=["stage", "size", "source", "score"],
    )
    assert len(features.valued_types) == 4
    assert features.assets
    ours, theirs = build_features(history, marks, features), oracle(history, marks, features)
    for feature in features.features:
        mine, other = ours[feature.name].to_pylist(), theirs[feature.name].to_pylist()
        if feature.kind == "category":
            assert mine == other, feature.name
        else:
            tolerance = 1e-12 if feature.family == "intensity" else 0
            expected = [np.nan if v is None else float(v) for v in other]
            np.testing.assert_allclose(mine, expected, rtol=tolerance, err_msg=feature.name)
