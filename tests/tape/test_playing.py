"""Playing in parallel: results keep their order, little is under way at a time, keys are never cut in two."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mqlml.tape import playing
from mqlml.tape.playing import cut, in_order
from mqlml.tape.state import EVENT, MARK, Tape


def tape(key: list[int], kind: list[int]) -> Tape:
    n = len(key)
    zeros, long = np.zeros(n, np.int32), np.zeros(n, np.int64)
    return Tape(
        key=np.array(key, np.int32),
        time=np.arange(n),
        kind=np.array(kind, np.int8),
        lead=long,
        type=zeros,
        asset=long,
        channel=zeros,
        value=np.zeros(n),
        known=long,
    )


def test_results_when_threads_are_quick_and_slow_then_in_the_order_of_the_items() -> None:
    def late(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    with ThreadPoolExecutor(4) as pool:
        assert list(in_order(pool, late, range(20), weight=lambda _: 1, most=6)) == [i * i for i in range(20)]


def test_items_when_heavy_then_few_are_under_way_and_the_heaviest_alone() -> None:
    weights = [1, 1, 1, 5, 9, 2, 2, 1]
    now, seen, lock = [], [], threading.Lock()

    def work(weight: int) -> int:
        with lock:
            now.append(weight)
            seen.append(list(now))
        time.sleep(0.01)
        with lock:
            now.remove(weight)
        return weight

    with ThreadPoolExecutor(4) as pool:
        assert list(in_order(pool, work, weights, weight=int, most=5)) == weights
    assert all(sum(together) <= 5 or together == [9] for together in seen)


def test_items_when_one_fails_then_its_error_and_the_rest_is_not_begun() -> None:
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        return 1 // item

    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError, match="by zero"):
        list(in_order(pool, work, [1, 0, 2, 3, 4, 5, 6], weight=lambda _: 1, most=2))
    assert 6 not in begun


def test_cut_when_rows_are_many_then_between_keys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "_TAPE_ROWS", 4)
    whole = tape([0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3, 3], [EVENT] * 12)
    assert [part.key.tolist() for part in cut(whole, 1)] == [[0, 0, 0, 1], [2] * 6, [3, 3]]


def test_cut_when_marks_are_many_then_few_rows_are_written_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "_OUTPUT_BYTES", 8 * 10 * 3)
    whole = tape([0, 0, 1, 1, 2, 3, 3, 3, 3, 4], [MARK, MARK, EVENT, MARK, EVENT, MARK, MARK, MARK, MARK, MARK])
    parts = list(cut(whole, 10))
    assert [sorted(set(part.key.tolist())) for part in parts] == [[0, 1, 2], [3], [4]]
    assert np.concatenate([part.time for part in parts]).tolist() == list(range(10))
