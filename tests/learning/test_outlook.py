"""What can be said of a history before it is learned from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.audit import AuditInput
from mqlml.learning.outlook import attributes_alone, reach_of_test
from mqlml.learning.windows import Part


def history(signal: float, n: int = 2_000) -> AuditInput:
    """Leads of which a share is won by the value of one of two columns, the others by chance."""
    rng = np.random.default_rng(3)
    level = rng.integers(0, 2, n)
    won = np.where(rng.random(n) < signal, level, rng.integers(0, 2, n)).astype(float)
    columns = {"told": np.where(level == 1, "a", "b"), "noise": rng.choice(["x", "y", "z"], n)}
    rows = np.arange(n)
    return AuditInput(pa.table(columns), won, created=rows, group=rows, lead_order=rows)


def test_alone_when_a_column_tells_half_of_the_outcomes_then_the_interval_holds_its_auc():
    # P(level = outcome) is 0.75; a score of two levels then has an AUC of 0.75
    found = attributes_alone(history(0.5), ["told", "noise"])
    assert found is not None
    assert found.low < 0.75 < found.high
    assert found.high - found.low < 0.1
    assert (found.columns, found.forward) == (2, True)


def test_alone_when_nothing_tells_then_chance_lies_in_the_interval():
    found = attributes_alone(history(0.0), ["told", "noise"])
    assert found is not None
    assert found.low < 0.5 < found.high


def test_alone_when_there_is_nothing_to_judge_then_none():
    assert attributes_alone(history(0.5), []) is None
    assert attributes_alone(history(0.5, n=8), ["told"]) is None


@pytest.mark.parametrize(("wins", "suffices"), [(0, "no"), (9, "no"), (30, "roughly"), (100, "yes")])
def test_reach_when_wins_grow_then_more_can_be_told(wins, suffices):
    reach = reach_of_test(Part("test", 0, 1, 9_000, 1_000, wins, ""))
    assert reach["suffices"] == suffices


def test_reach_when_wins_are_four_times_as_many_then_half_as_wide():
    few, many = (reach_of_test(Part("test", 0, 1, 1, leads, wins, "")) for leads, wins in ((500, 50), (2_000, 200)))
    assert many["give_or_take"] == pytest.approx(few["give_or_take"] / 2, rel=0.02)
    assert many["least"] < few["least"]
