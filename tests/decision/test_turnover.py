"""What moved a lead: new facts or the new model."""

from __future__ import annotations

import numpy as np
import pytest

from mqlml.decision.turnover import ListSide, moves, turnover

OLD = ListSide(np.array([0.5, 0.2, 0.4, 0.1]), np.array([True, False, True, False]))
NEW = ListSide(np.array([0.5, 0.4, 0.2, 0.1]), np.array([True, True, False, False]))
EARLIER = ListSide(np.array([0.5, 0.2, np.nan, 0.5]), np.array([True, False, False, True]))


def test_moves_when_every_case_is_there_then_each_has_its_word():
    before, after = np.array([True, False, True, False]), np.array([True, True, False, False])
    assert moves(before, after).tolist() == ["stays", "enters", "leaves", "none"]


def test_turnover_when_an_earlier_list_is_known_then_data_and_model_are_told_apart():
    found = turnover(OLD, NEW, earlier=EARLIER, gone=2)
    assert found.by_data.tolist() == ["stays", "none", "enters", "leaves"]
    assert found.by_model.tolist() == ["stays", "enters", "leaves", "none"]
    # logit(0.4) - logit(0.2) = log((2/3) / (1/4))
    assert found.model_effect == pytest.approx([0, np.log(8 / 3), -np.log(8 / 3), 0])
    assert found.data_effect[[0, 1, 3]] == pytest.approx([0, 0, -np.log(9)])
    assert np.isnan(found.data_effect[2])
    assert found.counts == {
        "candidates": 4,
        "old_list": 2,
        "new_list": 2,
        "by_model": {"enters": 1, "leaves": 1, "stays": 1},
        "by_data": {"enters": 1, "leaves": 1, "stays": 1, "no candidates any more": 2},
    }


def test_turnover_when_no_earlier_list_is_known_then_only_the_model_is_told():
    found = turnover(OLD, NEW)
    assert found.by_data is None
    assert found.data_effect is None
    assert found.counts["by_data"] is None
