"""Nothing at or after a mark changes its row, whatever is added, deleted, edited or reordered there."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tape.feature_sets import EVERYTHING
from tape.worlds import NOW, WORLDS, Telling, World, tell

from mqlml.tape.build import build_features
from mqlml.tape.features import FeatureSet

CASES, MANY_CASES = 300, 10_000
# Worlds of one example share a history, each with leads of its own: a history has a fixed cost. Hypothesis only draws
# them: what fails names its one world, which is small as it is.
TOGETHER = 20
DRAW = settings(deadline=None, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)


def check_futures(make: Any, cases: int, features: FeatureSet = EVERYTHING) -> int:
    """Compare the rows of so many worlds in both futures; return how many were compared."""
    compared = 0

    @settings(DRAW, max_examples=math.ceil(cases / TOGETHER))
    @given(
        worlds=st.lists(WORLDS, min_size=TOGETHER, max_size=TOGETHER),
        order=st.integers(0, 2**32).map(random.Random),
        batch_rows=st.sampled_from([5, 64, 1024]),
        has_old_value=st.booleans(),
    )
    def check(worlds: list[World], order: random.Random, batch_rows: int, has_old_value: bool) -> None:
        nonlocal compared
        told = tell(worlds, has_old_value=has_old_value)
        rows = rows_of(make, told, features, order, batch_rows=100_000)
        again = rows_of(make, told, features, order, batch_rows=batch_rows)
        for number, world in enumerate(worlds):
            mine = [mark for mark in rows if mark[0].startswith(f"{number}/")]
            shuffled = [mark for mark in mine if rows[mark] != again[mark]]
            assert not shuffled, (
                f"the order of the facts or the size of a batch changes the row of {shuffled[0]}: {world}"
            )
            other = {mark: (mark[0].replace("/0/", "/1/"), NOW) for mark in mine if "/0/" in mark[0] and mark[1] == NOW}
            changed = [mark for mark in other if rows[mark] != rows[other[mark]]]
            assert not changed, f"the future changes the row of {changed[0]}: {world}"
        compared += len(worlds)

    check()
    return compared


def rows_of(
    make: Any, told: Telling, features: FeatureSet, order: random.Random, *, batch_rows: int
) -> dict[tuple[str, int], bytes]:
    """Every mark's row as bytes, from facts in a new order."""
    marks = make.marks(*told.marks)
    table = build_features(told.history(make, order), marks, features, batch_rows=batch_rows)
    return dict(zip(told.marks, table_rows(table), strict=True))


def table_rows(table: pa.Table) -> list[bytes]:
    """Every row as bytes: numbers bit by bit, categories as text."""
    columns = [encoded(column) for column in table.drop_columns(["lead_id", "at"]).columns]
    return [b"|".join(row) for row in zip(*columns, strict=True)]


def encoded(column: pa.ChunkedArray) -> list[bytes]:
    if pa.types.is_dictionary(column.type):
        return [repr(value).encode() for value in column.to_pylist()]
    return [value.tobytes() for value in np.asarray(column.to_numpy())]


@pytest.mark.long
def test_row_when_the_future_is_another_then_the_same_bytes(make: Any) -> None:
    assert check_futures(make, CASES) >= CASES == 300


@pytest.mark.slow
def test_row_when_ten_thousand_futures_are_others_then_the_same_bytes(make: Any) -> None:
    assert check_futures(make, MANY_CASES) >= MANY_CASES == 10_000
