"""The window plan: forward where the history allows, never the same lead or account on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqlml.errors import GateClosed
from mqlml.learning.censoring import Watched
from mqlml.learning.labels import Rows, Young
from mqlml.learning.snapshots import DAY, NEVER
from mqlml.learning.windows import group_folds, plan_windows


def weekly_rows(*, weeks: int, leads_a_week: int, horizon_days: int = 30, rate: float = 0.3, seed: int = 0) -> Rows:
    """Leads created each week, looked at four times, two leads an account."""
    generator = np.random.default_rng(seed)
    n = weeks * leads_a_week
    lead = np.repeat(np.arange(n), 4)
    at = (np.repeat(np.arange(n) // leads_a_week, 4) + np.tile(np.arange(4), n)) * 7 * DAY
    won = np.repeat((generator.random(n) < rate).astype(float), 4)
    return Rows(lead, at, at, at + horizon_days * DAY, won, lead // 2, "horizon")


def test_plan_windows_when_history_is_long_then_four_forward_rounds_with_a_gap_of_one_horizon() -> None:
    rows = weekly_rows(weeks=100, leads_a_week=20)
    plan = plan_windows(rows, origins=4, seed=0)
    assert plan.mode == "forward"
    assert [r.part for r in plan.rounds] == [p for p in ("calibrate", "certify", "compare", "test") for _ in range(2)]
    for r in plan.rounds:
        assert r.origin is not None
        assert (rows.known[r.fit] <= r.origin).all()
        assert (rows.at[r.test] >= r.origin).all()
        assert rows.at[r.fit].max() + 30 * DAY <= rows.at[r.test].min()
        assert not set(rows.group[r.fit]) & set(rows.group[r.test])


def test_plan_windows_when_leads_are_still_open_then_those_left_to_learn_from_are_won_as_often_as_all() -> None:
    generator = np.random.default_rng(0)
    leads, weeks = 3_000, 104
    began = generator.integers(0, weeks - 20, leads)
    lead = np.repeat(np.arange(leads), 16)
    week = np.repeat(began, 16) + np.tile(np.arange(16), leads)
    # Leads that are won leave after a few weeks, the others stay for all sixteen.
    ends = np.where(generator.random(leads) < 0.3, generator.integers(1, 8, leads), 99)
    there = np.tile(np.arange(16), leads) < np.repeat(ends, 16)
    won = ((np.repeat(ends, 16) - np.tile(np.arange(16), leads)) <= 4).astype(float)[there]
    at = week[there] * 7 * DAY
    rows = Rows(lead[there], at, at, at + 28 * DAY, won, lead[there], "horizon")
    for r in plan_windows(rows, origins=4, seed=0).rounds:
        known = rows.known <= r.origin
        assert won[r.fit].mean() == pytest.approx(won[known].mean(), rel=0.12)


def test_plan_windows_when_parts_are_printed_then_no_row_serves_two_purposes() -> None:
    rows = weekly_rows(weeks=100, leads_a_week=20)
    plan = plan_windows(rows, origins=4, seed=0)
    times_tested = np.sum([r.test for r in plan.rounds], axis=0)
    assert times_tested.max() == 1
    assert sum(p.snapshots for p in plan.parts[1:]) == int(plan.tested().sum())


def test_plan_windows_when_history_is_shorter_than_two_horizons_then_accounts_are_left_out_instead() -> None:
    rows = weekly_rows(weeks=20, leads_a_week=40, horizon_days=200)
    plan = plan_windows(rows, origins=4, seed=0)
    assert plan.mode == "cross-fitted"
    assert "not tested forward" in plan.sentence.lower()
    assert plan.tested().all()
    for r in plan.rounds:
        assert not set(rows.group[r.fit]) & set(rows.group[r.test])


def spanning(*, accounts: int, leads: int = 2_000, seed: int = 0) -> Rows:
    """One row a lead, two a day, of accounts that have leads throughout the history."""
    generator = np.random.default_rng(seed)
    lead = np.arange(leads)
    at = lead // 2 * DAY
    won = (generator.random(leads) < 0.4).astype(float)
    return Rows(lead, at, at, at + 30 * DAY, won, generator.integers(0, accounts, leads), "horizon")


def test_plan_windows_when_accounts_span_the_history_then_it_is_forward_in_parts_of_the_accounts() -> None:
    rows = spanning(accounts=80)
    plan = plan_windows(rows, origins=4, seed=0)
    assert plan.mode == "forward"
    assert [r.part for r in plan.rounds] == [p for p in ("calibrate", "certify", "compare", "test") for _ in range(2)]
    assert "Each window was predicted in 2 parts" in plan.sentence
    assert np.sum([r.test for r in plan.rounds], axis=0).max() == 1
    for r in plan.rounds:
        assert r.origin is not None
        assert (rows.known[r.fit] <= r.origin).all()
        assert (rows.at[r.test] >= r.origin).all()
        assert not set(rows.group[r.fit]) & set(rows.group[r.test])


def test_plan_windows_when_one_account_holds_every_lead_then_the_sentence_names_accounts_not_wins() -> None:
    rows = spanning(accounts=1)
    plan = plan_windows(rows, origins=4, seed=0)
    assert plan.mode == "cross-fitted"
    assert "accounts have leads throughout the history, and without those tested 0 of" in plan.sentence
    assert "too few won leads" not in plan.sentence


def test_plan_windows_when_wins_are_few_then_the_sentence_counts_them() -> None:
    plan = plan_windows(weekly_rows(weeks=60, leads_a_week=4, rate=0.2), origins=4, seed=0)
    assert plan.mode == "cross-fitted"
    assert "too few won leads (" in plan.sentence
    assert "(40 and 20" not in plan.sentence
    assert "40 and 20 are needed" in plan.sentence


def test_plan_windows_when_there_is_no_time_then_it_is_static() -> None:
    n = 400
    none = np.full(n, NEVER)
    won = (np.arange(n) % 3 == 0).astype(float)
    rows = Rows(np.arange(n), none, np.zeros(n, dtype=int), np.zeros(n, dtype=int), won, np.arange(n), "none")
    assert plan_windows(rows, origins=4, seed=0).mode == "static"


def test_plan_windows_when_only_an_order_is_known_then_tests_stand_later_in_the_file() -> None:
    n = 4_000
    won = (np.random.default_rng(0).random(n) < 0.2).astype(float)
    order = np.arange(n)
    rows = Rows(order, np.full(n, NEVER), order, order, won, order, "order")
    plan = plan_windows(rows, origins=4, seed=0)
    assert plan.mode == "forward"
    assert all(rows.when[r.fit].max() < rows.when[r.test].min() for r in plan.rounds)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=10, max_size=200), st.integers(2, 6))
def test_group_folds_when_groups_repeat_then_each_stays_whole(pairs: list[tuple[int, bool]], folds: int) -> None:
    group = np.array([g for g, _ in pairs])
    won = np.array([float(w) for _, w in pairs])
    fold = group_folds(group, won, folds=folds, seed=0)
    assert all(len(set(fold[group == g])) == 1 for g in set(group.tolist()))
    assert fold.min() >= 0
    assert fold.max() < folds


def test_group_folds_when_wins_are_rare_then_each_fold_has_its_share() -> None:
    group = np.arange(1_000)
    won = (group < 50).astype(float)
    fold = group_folds(group, won, folds=5, seed=3)
    assert np.bincount(fold[won > 0]).tolist() == [10] * 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_plan_windows_when_fewer_origins_are_wanted_then_the_last_is_the_final_test(count: int) -> None:
    plan = plan_windows(weekly_rows(weeks=100, leads_a_week=20), origins=count, seed=0)
    assert len({r.origin for r in plan.rounds}) == count
    assert plan.rounds[-1].part == "test"


def test_plan_windows_when_some_snapshots_are_young_then_they_are_fitted_on_and_never_tested_on() -> None:
    whole = weekly_rows(weeks=100, leads_a_week=20)
    as_of = int(whole.at.max())
    decided = np.where(whole.won > 0, whole.at + 5 * DAY, NEVER)
    watched = Watched(whole.at, decided, decided)
    weight = watched.weights(as_of, 30 * DAY, watched)
    young = Young(watched, watched, 30 * DAY)
    rows = replace(whole, young=young, weight=weight, mature=whole.known <= as_of).where(weight > 0)
    assert 0 < (~rows.mature).sum() < len(rows) / 5
    plan = plan_windows(rows, origins=4, seed=0)
    assert plan.mode == "forward"
    assert not plan.tested()[~rows.mature].any()
    for r in plan.rounds:
        assert r.origin is not None
        then = rows.seen_from(r.origin)
        assert (then.weight[r.fit] > 0).all()
        assert (rows.at[r.fit] < r.origin).all()
        assert (rows.known[r.fit] > r.origin).any(), "young ones among them, as they were then"
        early = (rows.known > r.origin) & r.fit
        assert (then.won[early] == 1).all(), "here only wins tell a label before the horizon is over"


def test_plan_windows_when_not_refitted_then_one_model_predicts_the_last_windows() -> None:
    rows = weekly_rows(weeks=100, leads_a_week=20)
    plan = plan_windows(rows, origins=4, seed=0, refit=False)
    assert [r.part for r in plan.frozen] == ["certify", "compare", "test"]
    first = plan.frozen[0]
    for r in plan.frozen:
        assert r.origin == first.origin
        assert (r.fit == first.fit).all()
        assert (rows.known[r.fit] <= first.origin).all()
        assert not set(rows.group[r.fit]) & set(rows.group[r.test])
    assert "certified here" in next(p.purpose for p in plan.parts if p.part == "certify")
    usual = plan_windows(rows, origins=4, seed=0)
    assert not usual.frozen
    assert {r.origin for r in usual.rounds} >= {first.origin}


def test_plan_windows_when_not_refitted_and_two_tests_fit_then_they_certify_and_test() -> None:
    plan = plan_windows(weekly_rows(weeks=100, leads_a_week=20), origins=2, seed=0, refit=False)
    assert [r.part for r in plan.rounds] == ["certify", "test"]


def test_plan_windows_when_not_refitted_and_the_history_is_short_then_it_says_what_is_needed() -> None:
    with pytest.raises(GateClosed, match=r"needs two forward tests.*about 40 before the first and 20 in each"):
        plan_windows(weekly_rows(weeks=20, leads_a_week=40, horizon_days=200), origins=4, seed=0, refit=False)
    with pytest.raises(GateClosed, match=r"origins is 1\. Hint: set \[model\] origins = 4"):
        plan_windows(weekly_rows(weeks=100, leads_a_week=20), origins=1, seed=0, refit=False)
