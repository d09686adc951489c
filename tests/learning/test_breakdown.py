"""Months and segments: the same chances, looked at in parts, each with what chance may do to it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mqlml.learning import training
from mqlml.learning.breakdown import by_month, by_segment
from mqlml.learning.labels import Rows
from mqlml.learning.resampling import Resampler
from mqlml.learning.snapshots import DAY, NEVER


def history(n: int = 900, *, timing: str = "horizon") -> tuple[Rows, training.Tested]:
    """Ten rows a day from the first of January 2024; chances are true."""
    generator = np.random.default_rng(0)
    p = generator.uniform(0.05, 0.5, n)
    won = (generator.random(n) < p).astype(float)
    at = 1_704_067_200_000_000 + np.arange(n) // 10 * DAY
    row = np.arange(n)
    when = at if timing == "horizon" else np.full(n, NEVER)
    rows = Rows(row, at, when, at + 30 * DAY, won, row, timing)  # type: ignore[arg-type]
    return rows, training.Tested(row, np.full(n, "test"), p, p, p, {}, np.ones(n, dtype=bool))


def test_by_month_when_counted_then_every_tested_row_is_in_one_month_with_an_interval() -> None:
    rows, tested = history()
    found = by_month(rows, tested, seed=0)
    assert [line["month"] for line in found] == ["2024-01", "2024-02", "2024-03"]
    assert [line["snapshots"] for line in found] == [310, 290, 300]
    first = found[0]
    assert first["won"] == pytest.approx(rows.won[:310].mean())
    assert first["promised"] == pytest.approx(tested.p[:310].mean())
    assert first["low"] < first["won"] < first["high"]
    assert all(line["low"] <= line["promised"] <= line["high"] for line in found)
    assert first["auc"] == pytest.approx(roc_auc_score(rows.won[:310], tested.p[:310]))


def test_by_month_when_there_are_no_dates_then_there_are_no_months() -> None:
    assert by_month(*history(timing="none"), seed=0) == []


def test_by_segment_when_a_value_is_rare_then_it_is_left_out() -> None:
    rows, tested = history()
    source = np.where(np.arange(900) < 40, "fair", np.where(np.arange(900) < 400, "web", "mail"))
    resampler = Resampler(rows.group, seed=0, draws=50)
    found = by_segment(rows.won, tested.p, rows.lead, {"source": source}, resampler)
    assert [(line["value"], line["leads"]) for line in found] == [("mail", 500), ("web", 360)]
