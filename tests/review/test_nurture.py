"""Near misses and what preceded crossing the line, counted by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.labels import Rows
from mqlml.review.nurture import lacking, near_misses, preceded
from mqlml.review.reasons import Explanation
from mqlml.tape.features import FeatureSet

FEATURES = FeatureSet(event_types=("visit", "form"), windows_days=(1, 7, 30), age=True)
AGE = next(f.criterion for f in FEATURES.features if f.name == "time.age_days")


def test_lacking_when_age_or_fit_weigh_most_then_what_a_lead_can_still_do_is_named() -> None:
    names, groups = ("visit", AGE, "form", "industry"), ("engagement", "timing", "engagement", "fit")
    parts = np.array([[-0.3, -2.0, -0.4, -3.0], [-0.5, 0.0, 0.2, 0.0], [0.1, -1.0, -0.01, 0.0]])
    assert lacking(Explanation(names, groups, 0.0, parts), FEATURES).tolist() == [2, 0, -1]
    assert lacking(Explanation((AGE,), ("timing",), 0.0, parts[:, :1]), FEATURES).tolist() == [-1, -1, -1]


def test_near_misses_when_leads_are_nurtured_then_those_within_reach_are_counted_with_what_they_lack() -> None:
    p = np.array([0.41, 0.45, 0.39, 0.49, 0.45, 0.6])
    nurture = np.array([True, True, True, True, False, False])
    lacks = np.array([2, 2, 0, -1, 0, 0], dtype=np.int16)
    found = near_misses(p, nurture, lacks, ("a", "b", "c"), threshold=0.5, labels={"c": "a call"})
    assert found == {"leads": 4, "near_misses": 3, "near": 0.8, "missing": [{"signal": "a call", "leads": 2}]}


def a_history(crossing: int) -> tuple[pa.Table, Rows, np.ndarray]:
    """Three snapshots a lead; ``crossing`` leads cross at the second, as many stay, one is above from the start."""
    leads = 2 * crossing + 1
    lead, week = np.repeat(np.arange(leads), 3), np.tile(np.arange(3), leads)
    crosses, always = lead < crossing, lead == leads - 1
    p = np.where((crosses & (week >= 1)) | always, 0.6, 0.2)
    visits = np.where(crosses & (week == 1) & (lead < crossing // 2), 2.0, 0.0)
    visits[(~crosses) & (week == 2) & (lead % 2 == 0)] = 1.0
    table = pa.table({"events.visit.count_7d": visits, "events.form.count_7d": (week == 0).astype(float)})
    at = week.astype(np.int64)
    return table, Rows(lead, at, at, at, np.zeros(3 * leads), lead, "horizon"), p


def test_preceded_when_leads_cross_then_the_step_before_is_compared_with_steps_that_stayed() -> None:
    table, rows, p = a_history(40)
    order = np.random.default_rng(0).permutation(len(p))
    found = preceded(table, rows, order, p[order], FEATURES, threshold=0.5, labels={"visit": "a visit"})
    assert (found["crossings"], found["days"]) == (40, 7)
    # 20 of 40 visited before they crossed; of the others' 80 later snapshots, 20
    assert found["things"] == [{"thing": "a visit", "leads": 20, "crossed": 0.5, "stayed": pytest.approx(0.25)}]


def test_preceded_when_hardly_a_lead_crosses_then_nothing_is_said() -> None:
    table, rows, p = a_history(29)
    found = preceded(table, rows, np.arange(len(p)), p, FEATURES, threshold=0.5, labels={})
    assert (found["crossings"], found["things"]) == (29, [])
    nobody = preceded(table, rows, np.arange(0), p[:0], FEATURES, threshold=0.5, labels={})
    assert (nobody["crossings"], nobody["things"]) == (0, [])
