"""Control leads weigh as much as the leads they stand for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.handed import MOST, weigh_control
from mqlml.learning.labels import Rows
from mqlml.learning.moments import DAY

WEEK = 7 * DAY


def history(*handed: tuple[str, int, str | None]) -> SimpleNamespace:
    ids, at, by = zip(*handed, strict=True) if handed else ((), (), ())
    table = pa.table(
        {
            "lead_id": pa.array(ids, pa.string()),
            "handed_at": pa.array(at, pa.timestamp("us", "UTC")),
            "by": pa.array(by, pa.string()),
        }
    )
    leads = pa.table({"lead_id": pa.array([f"L{i}" for i in range(30)])})
    return SimpleNamespace(handovers=table, leads=leads)


def rows(leads: int = 6) -> Rows:
    """Two weeks of snapshots of each lead."""
    lead = np.repeat(np.arange(leads), 2)
    at = np.tile([0, WEEK], leads)
    return Rows(lead, at, at, at + 30 * DAY, np.zeros(2 * leads), lead, "horizon")


def test_weights_when_one_of_four_was_drawn_then_it_stands_for_all_four() -> None:
    found = weigh_control(
        history(("L0", DAY, "control"), ("L4", 2 * DAY, "policy"), ("L5", 3 * DAY, None)),
        rows(),
        every_days=7,
        until=100 * DAY,
    )
    assert found.importance is not None
    assert found.importance[0::2] == pytest.approx([4, 0, 0, 0, 1, 1])
    assert found.importance[1::2] == pytest.approx([1] * 6)
    assert found.fit_weight is found.importance


def test_weights_when_very_few_were_drawn_then_none_weighs_more_than_the_most_and_the_sum_stays() -> None:
    found = weigh_control(history(("L0", DAY, "control")), rows(30), every_days=7, until=None)
    assert found.importance is not None
    assert found.importance[0] == MOST
    assert found.importance[2] == pytest.approx(20 / 29)
    assert found.importance.sum() == pytest.approx(60)


@pytest.mark.parametrize(
    "handed", [(), (("L0", DAY, "policy"),), (("L0", 50 * DAY, "control"),), (("nobody", DAY, "control"),)]
)
def test_weights_when_nobody_known_was_drawn_then_the_rows_are_the_same(handed: tuple) -> None:
    before = rows()
    assert weigh_control(history(*handed), before, every_days=7, until=20 * DAY) is before
    assert before.fit_weight is None


def test_rows_when_cut_then_their_importance_is_cut_too() -> None:
    found = weigh_control(history(("L0", DAY, "control")), rows(), every_days=7, until=None)
    assert len(found.where(found.lead < 2).importance) == 4
