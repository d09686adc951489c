"""The spool: every row comes back once, under its range of keys, from memory or from the file."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mqlml.errors import EngineError
from mqlml.tape.spool import Limits, Spool
from mqlml.tape.state import Tape

KEYS = 40
EVERYTHING = Limits(memory=0, chunk_rows=100, buckets=7, part_rows=1)


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def batches(seed: int = 0) -> list[pa.RecordBatch]:
    random = np.random.default_rng(seed)
    n = 1_000
    key = np.minimum(random.geometric(0.1, n) - 1, KEYS - 1).astype(np.int32)
    rows = pa.table(
        {
            "key": key,
            "time": random.permutation(n),
            "kind": np.ones(n, np.int8),
            "lead": random.integers(0, 3, n).astype(np.int32),
            "type": random.integers(0, 5, n).astype(np.int32),
            "asset": np.where(np.arange(n) < 300, -1, np.arange(n)),
            "channel": np.full(n, -1, np.int32),
            "value": pa.array(random.normal(size=n), mask=random.random(n) < 0.1),
            "known": random.permutation(n),
        }
    )
    return list(rows.to_batches(max_chunksize=30))


def spooled(pool: Executor, limits: Limits) -> tuple[list[Tape], Tape]:
    with Spool(limits) as spool:
        spool.fill(batches(), keys=KEYS, pool=pool)
        tapes = [part.sort() for part in spool.parts()]
    return tapes, Tape(*(np.concatenate(columns) for columns in zip(*tapes, strict=True)))


@pytest.mark.parametrize(
    "limits",
    [
        EVERYTHING,
        Limits(memory=20_000, chunk_rows=64, buckets=3, part_rows=200),
        Limits(chunk_rows=1, buckets=1024),
        Limits(buckets=1, part_rows=1),
    ],
)
def test_rows_when_limits_differ_then_the_same_tape(pool: Executor, limits: Limits) -> None:
    _, usual = spooled(pool, Limits())
    tapes, whole = spooled(pool, limits)
    for name in Tape._fields:
        assert getattr(whole, name).tobytes() == getattr(usual, name).tobytes(), name
    borders = [(tape.key[0], tape.key[-1]) for tape in tapes]
    assert all(before[1] < after[0] for before, after in pairwise(borders))


def test_parts_when_nothing_came_then_none(pool: Executor) -> None:
    with Spool() as spool:
        spool.fill([], keys=1, pool=pool)
        assert list(spool.parts()) == []


def test_parts_when_rows_are_many_then_none_is_smaller_than_asked_but_the_last(pool: Executor) -> None:
    with Spool(Limits(buckets=KEYS, part_rows=100)) as spool:
        spool.fill(batches(), keys=KEYS, pool=pool)
        rows = [part.rows for part in spool.parts()]
    assert sum(rows) == 1_000
    assert min(rows[:-1]) >= 100


def test_spool_when_the_disk_is_full_then_said(pool: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with Spool(EVERYTHING) as spool, pytest.raises(EngineError, match=r"cannot be written: No space left.*\n?.*TMPDIR"):
        spool.fill(batches(), keys=KEYS, pool=pool)


def test_spool_when_the_rows_fail_to_come_then_their_own_error(pool: Executor) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches()
        raise KeyError("mine")

    with Spool(EVERYTHING) as spool, pytest.raises(KeyError, match="mine"):
        spool.fill(broken(), keys=KEYS, pool=pool)
