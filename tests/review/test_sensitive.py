from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.review.sensitive import MISSING, RARE, Watched, by_group, groups_of


def test_groups_when_values_are_rare_then_they_stand_together() -> None:
    values = pa.chunked_array([["f"] * 60 + ["m"] * 70 + ["x"] * 49 + ["y"] * 3 + [None] * 50])
    found = groups_of(values)
    names, counts = np.unique(found, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"f": 60, "m": 70, RARE: 52, MISSING: 50}


def test_groups_when_there_are_many_values_then_at_most_eight_are_left() -> None:
    values = pa.chunked_array([[str(k) for k in range(12) for _ in range(60)]])
    assert len(set(groups_of(values).tolist())) == 8


def test_groups_when_numbers_then_they_are_quarters() -> None:
    found = groups_of(pa.chunked_array([[*map(float, range(1, 101)), None]]))
    names, counts = np.unique(found, return_counts=True)
    assert sorted(counts.tolist()) == [1, 25, 25, 25, 25]
    assert "1 to below 25.75" in names
    assert "75.25 to 100" in names
    assert found[-1] == MISSING
    assert set(groups_of(pa.chunked_array([[7.0] * 60])).tolist()) == {"7 to 7"}
    assert set(groups_of(pa.chunked_array([pa.nulls(60, pa.float64())])).tolist()) == {MISSING}


@pytest.fixture
def seen() -> Watched:
    """100 leads with two snapshots each; the first 60 are of group a. Every fifth becomes MQL, every tenth wins."""
    lead = np.repeat(np.arange(100), 2)
    mql = (lead % 5 == 0) & (np.arange(200) % 2 == 1)
    won = ((lead % 10 == 0) & (np.arange(200) % 2 == 1)).astype(float)
    return Watched(lead, lead, np.full(200, 0.1), won, mql)


def test_by_group_when_counted_by_hand_then_it_is_the_same(seen: Watched) -> None:
    groups = {"gender": np.where(seen.lead < 60, "a", "b")}
    first, second = by_group(seen, groups, seed=1)
    assert (first["column"], first["value"], first["leads"], first["wins"]) == ("gender", "a", 60, 6)
    assert second["leads"] == 40
    assert first["mqls"]["value"] == pytest.approx(0.2)
    assert first["win_rate"]["value"] == pytest.approx(0.5)
    assert first["won"]["value"] == pytest.approx(6 / 120)
    assert first["promised"]["value"] == pytest.approx(0.1)
    assert first["difference"]["value"] == pytest.approx(-0.05)
    for name in ("mqls", "win_rate", "won", "difference"):
        assert first[name]["low"] < first[name]["value"] < first[name]["high"]


def test_by_group_when_a_group_is_small_then_it_is_not_shown(seen: Watched) -> None:
    groups = {"gender": np.where(seen.lead < 81, "a", "b")}
    assert [line["value"] for line in by_group(seen, groups, seed=1)] == ["a"]


def test_by_group_when_nobody_becomes_mql_then_their_win_rate_is_not_measured(seen: Watched) -> None:
    none = Watched(seen.lead, seen.account, seen.p, seen.won, np.zeros(200, dtype=bool))
    line = by_group(none, {"gender": np.full(200, "a")}, seed=1)[0]
    assert line["win_rate"] == {"value": None, "low": None, "high": None}
    empty = np.zeros(0)
    nobody = Watched(empty.astype(int), empty.astype(int), empty, empty, empty.astype(bool))
    assert by_group(nobody, {"gender": np.zeros(0, dtype=str)}, seed=1) == []
