"""Scores that wait on disk come back whole, with the choice in them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mqlml.decision.selection import Selection
from mqlml.learning.moments import LONG_AGO, NEVER
from mqlml.operation.scoring import SCORES, Scored
from mqlml.workflows.choosing import chosen, waiting


def some_scores(ids: list[str]) -> pa.Table:
    values = {
        "lead_id": ids,
        "probability": [0.5] * len(ids),
        "is_mql": [False] * len(ids),
        "tier": ["cold"] * len(ids),
    }
    return pa.table({f.name: values.get(f.name, pa.nulls(len(ids), f.type)) for f in SCORES}, schema=SCORES)


def test_waiting_when_batches_are_put_aside_then_they_come_back_in_order() -> None:
    with waiting() as aside:
        aside.add(Scored(some_scores(["a", "b"]), None))
        aside.add(Scored(some_scores(["c"]), None))
        kept = aside.close()
        assert kept["lead_id"].to_pylist() == ["a", "b", "c"]
        back = pa.concat_tables(list(aside.batches()))
    assert back.equals(pa.concat_tables([some_scores(["a", "b"]), some_scores(["c"])]))


def test_waiting_when_there_is_nobody_then_nothing_comes_back() -> None:
    with waiting() as aside:
        assert aside.close().num_rows == 0
        assert list(aside.batches()) == []


def test_chosen_when_a_stay_has_no_known_beginning_then_it_is_null() -> None:
    def of(*values: object) -> np.ndarray:
        return np.array(values, dtype=object)

    selection = Selection(
        is_mql=np.array([False, True, True]),
        control=np.array([True, False, False]),
        tier=of("cold", "mql", "hot"),
        change=of("none", "stays", "new"),
        rule=of("r", None, None),
        attached_to=of(None, None, "a"),
        since=np.array([NEVER, LONG_AGO, 1_000_000]),
        counts={},
    )
    table = chosen(some_scores(["b", "c"]), selection, 1, policy_version="v")
    assert table["is_mql"].to_pylist() == [True, True]
    assert table["tier"].to_pylist() == ["mql", "hot"]
    assert [None if m is None else m.isoformat() for m in table["mql_since"].to_pylist()] == [
        None,
        "1970-01-01T00:00:01+00:00",
    ]
    assert table["attached_to"].to_pylist() == [None, "a"]
    assert table["rule"].to_pylist() == [None, None]
    assert table["policy_version"].to_pylist() == ["v", "v"]
