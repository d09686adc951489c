"""Thresholds from a replay that can be counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqlml.config import Policy as Settings
from mqlml.decision.choosing import set_policy
from mqlml.decision.policy import Policy
from mqlml.decision.replay import Replay, make_replay
from mqlml.learning.labels import Rows
from mqlml.learning.snapshots import DAY, NEVER


def replay_of(leads: list[tuple[int, list[float], bool]], *, sampled: float = 1.0) -> Replay:
    """Make a replay of leads given as first week, weekly chances and whether they were won."""
    lead = np.repeat(np.arange(len(leads)), [len(p) for _, p, _ in leads])
    week = np.concatenate([first + np.arange(len(p)) for first, p, _ in leads])
    p = np.concatenate([p for _, p, _ in leads])
    won = np.repeat([float(w) for _, _, w in leads], [len(p) for _, p, _ in leads])
    at = week * 7 * DAY
    rows = Rows(lead, at, at, at + 30 * DAY, won, lead, "horizon", sampled)
    return make_replay(rows, np.arange(len(lead)), p, every_days=7)


def steady(weeks: int = 20, a_week: int = 10) -> Replay:
    """Ten new leads a week with chances 0.05 to 0.50, each looked at twice; the better half is won."""
    leads = [(week, [0.05 * (k + 1)] * 2, k >= 5) for week in range(weeks) for k in range(a_week)]
    return replay_of(leads)


def test_crossings_when_a_lead_stays_above_then_it_counts_once() -> None:
    replay = replay_of([(0, [0.1, 0.3, 0.4], True), (0, [0.5, 0.2], False), (1, [0.1], False)])
    assert replay.lead[replay.crossings(0.3)].tolist() == [0, 1]
    assert replay.week[replay.crossings(0.3)].tolist() == [1, 0]


def test_set_policy_when_sales_can_take_three_a_week_then_the_three_best_of_ten_pass() -> None:
    policy = set_policy(Settings(capacity_per_week=3), steady(), base_rate=0.2)
    assert policy.kind == "capacity"
    assert policy.threshold == pytest.approx(0.40)
    outcome = steady().outcome(policy.threshold or 0)
    assert outcome.per_week == {"median": 3.0, "p10": 3.0, "p90": 3.0}
    assert outcome.win_rate.value == 1.0
    assert outcome.share_of_wins.value == pytest.approx(3 / 5)
    assert outcome.lift.value == pytest.approx(2.0)


def test_set_policy_when_accounts_were_sampled_then_volumes_are_those_of_all_leads() -> None:
    leads = [(week, [0.05 * (k + 1)], k >= 5) for week in range(20) for k in range(10)]
    policy = set_policy(Settings(capacity_per_week=6), replay_of(leads, sampled=0.5), base_rate=0.2)
    assert policy.threshold == pytest.approx(0.40), "three sampled leads a week stand for six"


def test_set_policy_when_cost_and_value_are_given_then_the_threshold_is_their_ratio() -> None:
    policy = set_policy(Settings(cost=30.0, value=200.0), steady(), base_rate=0.2)
    assert policy.threshold == pytest.approx(0.15)
    assert policy.kind == "cost"


def test_set_policy_when_rules_combine_then_the_strictest_decides() -> None:
    both = Settings(capacity_per_week=3, cost=30.0, value=200.0)
    assert set_policy(both, steady(), base_rate=0.2).threshold == pytest.approx(0.40)
    dear = Settings(capacity_per_week=3, cost=90.0, value=200.0)
    assert set_policy(dear, steady(), base_rate=0.2).threshold == pytest.approx(0.45)


def test_set_policy_when_nobody_set_a_rule_then_a_fifth_is_handed_over_and_said() -> None:
    policy = set_policy(Settings(), steady(), base_rate=0.2)
    assert policy.kind == "share"
    assert policy.assumption is not None
    assert "agree on one with sales" in policy.assumption
    assert steady().outcome(policy.threshold or 0).share_of_leads == pytest.approx(0.2)


def static_replay() -> Replay:
    n = 100
    none = np.full(n, NEVER)
    rows = Rows(np.arange(n), none, np.zeros(n, int), np.zeros(n, int), np.ones(n), np.arange(n), "none")
    return make_replay(rows, np.arange(n), np.linspace(0.01, 1.0, n), every_days=7)


def test_set_policy_when_there_are_no_dates_then_capacity_is_a_number_for_each_file() -> None:
    policy = set_policy(Settings(capacity_per_week=5), static_replay(), base_rate=0.2)
    assert policy.threshold is None
    assert policy.take == 5
    p = np.array([0.1, 0.9, 0.9, 0.3, 0.9, 0.2, 0.8])
    chosen = policy.mqls(p, np.array(list("gfedcba")))
    assert chosen.tolist() == [False, True, True, True, True, False, True]


def test_mqls_when_chances_tie_at_the_limit_then_the_lower_id_is_taken() -> None:
    policy = Policy("capacity", "", None, 1.0, 0.0, take=1)
    assert policy.mqls(np.array([0.5, 0.5]), np.array(["b", "a"])).tolist() == [False, True]


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=50), st.floats(0.1, 0.9))
def test_tiers_when_any_chances_are_given_then_they_partition_and_agree_with_mql(p: list[float], t: float) -> None:
    policy = Policy("cost", "", t, hot=min(t + 0.05, 1), nurture=t / 2)
    chances = np.array(p)
    mql = policy.mqls(chances, np.arange(len(p)).astype(str))
    tiers = policy.tiers(chances, mql)
    assert set(tiers) <= {"hot", "mql", "nurture", "cold"}
    assert (np.isin(tiers, ["hot", "mql"]) == mql).all()


def test_version_when_anything_changes_then_it_changes_and_a_copy_keeps_it() -> None:
    policy = set_policy(Settings(cost=30.0, value=200.0), steady(), base_rate=0.2)
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))).version == policy.version
    other = set_policy(Settings(cost=31.0, value=200.0), steady(), base_rate=0.2)
    assert other.version != policy.version


def test_outcome_when_intervals_are_asked_for_then_they_hold_the_value() -> None:
    replay = steady()
    outcome = replay.outcome(0.3, replay.resampler(seed=0))
    for interval in (outcome.win_rate, outcome.share_of_wins, outcome.lift):
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low <= interval.value <= interval.high
