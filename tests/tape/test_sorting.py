"""Sorting: exactly the order of the tape, whatever the order of arrival, with every tie broken as SQL breaks it."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqlml.tape.ordering import Rows
from mqlml.tape.sorting import COLUMNS, sorted_tape, spread
from mqlml.tape.state import EVENT, Tape

ORDER = "key, time, kind, lead, type, asset, channel, value NULLS FIRST, known"
SCHEMA = pa.schema([(name, pa.from_numpy_dtype(dtype)) for name, dtype in COLUMNS.items()])
few = st.integers(0, 2)
row = st.tuples(
    few,
    st.sampled_from([-(2**62), 0, 1, 2**60]),
    few,
    few,
    few,
    st.sampled_from([-1, 0, 2**40]),
    st.integers(-1, 1),
    st.sampled_from([None, -1.5, 0.0, 2.0]),
    few,
)


def table(rows: list[tuple[object, ...]]) -> pa.Table:
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)],
        schema=SCHEMA,
    )


def arrays(rows: pa.Table, *absent: str) -> Rows:
    columns = {name: np.array(rows[name].to_numpy(), COLUMNS[name]) for name in COLUMNS}
    return Rows(**columns)._replace(**{name: np.empty(0, COLUMNS[name]) for name in absent})


def by_duckdb(rows: pa.Table) -> Tape:
    ordered = duckdb.sql(f"SELECT * FROM rows ORDER BY {ORDER}").to_arrow_table()
    return Tape(**{name: ordered[name].to_numpy() for name in COLUMNS})


def assert_same(ours: Tape, theirs: Tape) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


@settings(deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=120))
def test_tape_when_rows_tie_in_any_way_then_ordered_as_sql_orders_them(rows: list[tuple[object, ...]]) -> None:
    assert_same(sorted_tape(arrays(table(rows))), by_duckdb(table(rows)))


@pytest.mark.parametrize("start", ["shuffled", "sorted", "reversed"])
def test_tape_when_one_key_has_many_rows_then_ordered_as_sql_orders_them(start: str) -> None:
    random = np.random.default_rng(5)
    n = 20_000
    rows = pa.table(
        {
            "key": (random.random(n) < 0.1).astype(np.int32) + 7,
            "time": random.integers(0, n // 2, n),
            "kind": random.integers(0, 3, n).astype(np.int8),
            **{name: random.integers(0, 3, n).astype(np.int32) for name in ("lead", "type")},
            "asset": random.integers(-1, 3, n),
            "channel": random.integers(-1, 3, n).astype(np.int32),
            "value": random.normal(size=n),
            "known": random.integers(0, n, n),
        }
    )
    expected = by_duckdb(rows)
    if start != "shuffled":
        rows = duckdb.sql(f"SELECT * FROM rows ORDER BY {ORDER}").to_arrow_table()
    if start == "reversed":
        rows = rows.take(pa.array(np.arange(n)[::-1]))
    assert_same(sorted_tape(arrays(rows)), expected)


def test_tape_when_columns_are_left_out_then_they_hold_what_stands_for_nothing() -> None:
    rows = table([(1, 5, 0, 1, 2, 9, 3, 4.0, 8), (1, 2, 0, 0, 3, 9, 3, 4.0, 8)])
    tape = sorted_tape(arrays(rows, "kind", "asset", "channel", "value", "known"))
    assert tape.time.tolist() == tape.known.tolist() == [2, 5]
    assert (tape.type.tolist(), tape.lead.tolist(), tape.kind.tolist()) == ([3, 2], [0, 1], [EVENT, EVENT])
    assert (tape.asset.tolist(), tape.channel.tolist(), tape.value.tolist()) == ([-1, -1], [-1, -1], [0.0, 0.0])


@pytest.mark.parametrize("buckets", [1, 3, 1024])
def test_spread_when_batches_come_in_pieces_then_each_bucket_holds_its_keys(buckets: int) -> None:
    keys = np.random.default_rng(0).integers(0, 50, 500)
    rows = table([(int(key), i, 1, 0, 0, i % 3 - 1, -1, 0.0, i) for i, key in enumerate(keys)])
    starts, columns = spread(rows.to_batches(max_chunksize=7), keys=50, buckets=buckets)
    assert set(columns) == {"key", "time", "lead", "type", "asset"}  # in the others every row has the same
    assert starts.tolist() == np.searchsorted(np.sort(keys * buckets // 50), np.arange(buckets + 1)).tolist()
    for bucket in range(buckets):
        inside = columns["time"][starts[bucket] : starts[bucket + 1]]
        assert sorted(inside) == np.flatnonzero(keys * buckets // 50 == bucket).tolist()
    np.testing.assert_array_equal(columns["asset"], columns["time"] % 3 - 1)


def test_spread_when_some_batches_leave_columns_out_then_they_are_filled_in() -> None:
    whole = table([(0, 5, 0, 1, 2, 9, 3, 4.0, 8)])
    _, columns = spread(
        [whole.select(["key", "time", "lead", "type"]).to_batches()[0], whole.to_batches()[0]], keys=1, buckets=1
    )
    held = {name: columns[name].tolist() for name in ("kind", "asset", "channel", "value", "known")}
    assert held == {"kind": [EVENT, 0], "asset": [-1, 9], "channel": [-1, 3], "value": [0.0, 4.0], "known": [5, 8]}
