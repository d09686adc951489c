"""The feature table: order, types, batches cut anywhere, leads of any size, attributes that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mqlml.errors import DataRefused
from mqlml.tape.build import build_features
from mqlml.tape.features import Attribute, FeatureSet

FEATURES = FeatureSet(event_types=("web", "mail"), valued_types=("web",), assets=True)
CREATION = FeatureSet(
    attributes=(Attribute("utm[source]", "category", "creation"), Attribute("size", "number", "creation")), age=False
)


def busy_history(make: Any, leads: int, events: int) -> Any:
    rng = np.random.default_rng(3)
    people = [{"lead_id": f"l{i}", "account_id": f"a{i // 3}" if i % 2 else None} for i in range(leads)]
    rows = [
        {
            "lead_id": f"l{rng.integers(leads)}",
            "occurred_at": int(make.start + rng.integers(100) * make.day),
            "event_type": ["web", "mail"][rng.integers(2)],
            "value": float(rng.normal()),
            "asset": str(rng.integers(9)),
        }
        for _ in range(events)
    ]
    return people, rows


@pytest.mark.parametrize("batch_rows", [1, 2, 7, 64, 4096])
def test_table_when_batches_cut_keys_anywhere_then_the_same_bytes(make: Any, batch_rows: int) -> None:
    people, rows = busy_history(make, leads=20, events=400)
    marks = make.marks(*((f"l{i}", make.start + day * make.day) for day in (90, 40, 7) for i in range(20)))
    whole = build_features(make.history(people, events=rows), marks, FEATURES)
    parts = build_features(make.history(people, events=rows[::-1]), marks, FEATURES, batch_rows=batch_rows)
    assert all(
        np.asarray(whole[name]).tobytes() == np.asarray(parts[name]).tobytes()
        for name in (f.name for f in FEATURES.features)
    )


def test_table_when_marks_are_reordered_or_repeated_then_rows_follow_them(make: Any) -> None:
    people, rows = busy_history(make, leads=6, events=60)
    pairs = [(f"l{i}", make.start + day * make.day) for i in range(6) for day in (30, 60)]
    order = [7, 3, 3, 11, 0]
    history = make.history(people, events=rows)
    table = build_features(history, make.marks(*pairs), FEATURES)
    again = build_features(history, make.marks(*(pairs[i] for i in order)), FEATURES)
    for name in (f.name for f in FEATURES.features):
        np.testing.assert_array_equal(again[name], table[name].take(pa.array(order)))


def test_table_when_one_lead_has_200_000_events_then_it_streams_through(make: Any) -> None:
    seconds = np.random.default_rng(0).permutation(200_000)
    events = pa.table(
        {
            "lead_id": pa.array(["a"] * seconds.size),
            "occurred_at": pa.array(make.start + seconds * 1_000_000, pa.timestamp("us")),
            "recorded_at": pa.nulls(seconds.size, pa.timestamp("us")),
            "event_type": pa.array(["web"] * seconds.size),
            "value": pa.array(np.ones(seconds.size)),
            "channel": pa.nulls(seconds.size, pa.string()),
            "asset": pc.cast(pa.array(seconds % 1000), pa.string()),
            "campaign": pa.nulls(seconds.size, pa.string()),
        }
    )
    marks = make.marks(("a", make.start + 2 * make.day), ("a", make.start + 3 * make.day))
    history = make.history([{"lead_id": "a"}], events=events)
    table = build_features(history, marks, FEATURES, batch_rows=10_000)
    assert table["events.web.count_ever"].to_pylist() == [172_800, 200_000]
    assert table["events.web.count_1d"].to_pylist() == [86_400, 27_200]
    assert table["events.web.value_30d"].to_pylist() == [172_800, 200_000]
    assert table["events.any.assets_30d"].to_pylist() == [1000, 1000]


def test_attributes_when_known_at_creation_then_typed_and_in_mark_order(make: Any) -> None:
    history = make.history(
        [{"lead_id": lead, "created_at": None} for lead in "bca"],
        attributes={"utm[source]": ["x", "unused", None], "size": [2.0, 3.0, None]},
    )
    table = build_features(history, make.marks(("b", None), ("a", None), ("b", None)), CREATION)
    assert table.column_names == ["lead_id", "at", "lead.utm[source]", "lead.size"]
    assert table["lead.utm[source]"].type == pa.dictionary(pa.int32(), pa.string())
    assert table["lead.utm[source]"].to_pylist() == ["x", None, "x"]
    assert table["lead.utm[source]"].chunk(0).dictionary.to_pylist() == ["x"]
    np.testing.assert_array_equal(table["lead.size"], [2.0, np.nan, 2.0])


def test_event_features_when_the_mark_has_no_time_then_missing(make: Any) -> None:
    table = build_features(make.history([{"lead_id": "a"}], events=[]), make.marks(("a", None)), FEATURES)
    assert all(np.isnan(table[f.name][0].as_py()) for f in FEATURES.features)


def test_table_when_there_are_no_marks_then_no_rows_and_all_columns(make: Any) -> None:
    table = build_features(make.history([{"lead_id": "a"}], events=[]), make.marks(), FEATURES)
    assert table.num_rows == 0
    assert table.column_names == ["lead_id", "at", *(f.name for f in FEATURES.features)]


def test_numbers_when_a_category_was_learned_then_they_are_read_as_text(make: Any) -> None:
    features = FeatureSet(attributes=(Attribute("zone", "category", "creation"),), age=False)
    history = make.history([{"lead_id": "a"}, {"lead_id": "b"}], attributes={"zone": [7.0, 2.5]})
    table = build_features(history, make.marks(("a", None), ("b", None)), features)
    assert table["lead.zone"].to_pylist() == ["7", "2.5"]


def test_build_when_attributes_do_not_fit_then_refused_with_all_of_them(make: Any) -> None:
    history = make.history([{"lead_id": "a"}], attributes={"size": ["big"]})
    with pytest.raises(DataRefused, match=r"(?s)column 'utm\[source\]'.*not there.*column 'size'.*holds text"):
        build_features(history, make.marks(("a", None)), CREATION)


def test_build_when_a_mark_names_nobody_then_error(make: Any) -> None:
    with pytest.raises(ValueError, match="1 of 2 marks name a lead that is not in the history, first 'nobody'"):
        build_features(make.history([{"lead_id": "a"}]), make.marks(("a", 1), ("nobody", 1)), CREATION)


def test_build_when_done_or_failed_then_the_connection_is_as_before(make: Any) -> None:
    history = make.history([{"lead_id": "a"}], events=[])
    relations = history.connection.sql("SHOW ALL TABLES").fetchall()
    limit = history.connection.sql("SELECT current_setting('memory_limit')").fetchall()
    build_features(history, make.marks(("a", 1)), FEATURES)
    history.connection.execute("DROP TABLE events")
    with pytest.raises(Exception, match="events"):
        build_features(history, make.marks(("a", 1)), FEATURES)
    history.connection.execute("CREATE TABLE events AS SELECT 1 AS lead_id")
    assert len(history.connection.sql("SHOW ALL TABLES").fetchall()) == len(relations)
    assert history.connection.sql("SELECT current_setting('memory_limit')").fetchall() == limit


def test_build_when_the_consumer_fails_midway_then_its_own_error_is_seen_and_the_connection_free(make: Any) -> None:
    from mqlml.tape import local

    people, rows = busy_history(make, leads=5, events=50)
    history = make.history(people, events=rows)
    marks = pa.table({"lead_id": ["l0"], "time": [make.start + 50 * make.day], "position": [0]})

    def consume() -> None:
        with local.tape_rows(history, marks, FEATURES, batch_rows=1) as tape:
            next(iter(tape.batches))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        consume()
    assert history.connection.sql("SELECT 1").fetchall() == [(1,)]
