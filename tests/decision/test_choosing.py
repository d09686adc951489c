"""Rules to thresholds: counted by hand, the strictest holds, and what cannot be met is refused with what could be."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from decision.test_policy import replay_of, steady
from hypothesis import given
from hypothesis import strategies as st

from mqlml.config import Policy as Settings
from mqlml.decision.basis import Basis
from mqlml.decision.choosing import set_policy
from mqlml.decision.drift import drift, newest_part
from mqlml.decision.evidence import Evidence, net_benefit
from mqlml.decision.policy import Policy
from mqlml.decision.replay import Replay
from mqlml.decision.sensitivity import sensitivity
from mqlml.decision.value import Worth, learned_worth
from mqlml.errors import GateClosed, UsageError
from mqlml.learning.snapshots import DAY
from mqlml.review.decision import decision


def choose(settings: Settings, replay: Replay | None = None, **known: object) -> Policy:
    return set_policy(settings, replay or steady(), base_rate=0.2, **known)  # type: ignore[arg-type]


def certifiable(weeks: int = 40) -> Replay:
    """Forty weeks of ten leads, the first half in the window "certify", the second in "test"."""
    replay = steady(weeks=weeks)
    return replace(replay, part=(replay.week >= weeks // 2).astype(np.int64), parts=("certify", "test"))


def accounts() -> Replay:
    """Ten accounts with two leads each; the second lead has the higher chance in the same week."""
    replay = replay_of([(week, [0.2 + 0.3 * (k % 2)], k % 2 == 1) for week in range(5) for k in range(4)])
    return replace(replay, group=replay.lead // 2)


def test_set_policy_when_a_floor_is_given_then_it_is_the_threshold() -> None:
    assert choose(Settings(floor=0.33)).threshold == pytest.approx(0.33)


def test_set_policy_when_wins_are_to_be_kept_then_the_highest_threshold_that_keeps_them() -> None:
    policy = choose(Settings(recall=0.6))
    # ranks 6 to 10 of each week win, with chances 0.30 to 0.50: three of five are kept from 0.40 on
    assert policy.threshold == pytest.approx(0.40)
    assert policy.kind == "recall"


def test_set_policy_when_recall_and_capacity_contradict_then_both_ways_out_are_named() -> None:
    with pytest.raises(GateClosed, match=r"100 % of the wins|90 % of the wins") as refused:
        choose(Settings(recall=0.9, capacity_per_week=3))
    assert "recall 0.6 or less" in str(refused.value)
    assert "allow 5 MQLs a week" in str(refused.value)


def test_set_policy_when_no_lead_pays_then_the_highest_cost_that_one_meets_is_named() -> None:
    with pytest.raises(GateClosed, match=r"reached a chance of 90 %; the highest was 50 %.*a cost of 100 or less"):
        choose(Settings(cost=180.0, value=200.0))
    with pytest.raises(GateClosed, match=r"a floor of 0.5 or less can be met"):
        choose(Settings(floor=0.7))


def test_set_policy_when_everybody_has_the_same_chance_then_the_capacity_that_could_be_met_is_named() -> None:
    same = replay_of([(week, [0.3], False) for week in range(10) for _ in range(8)])
    with pytest.raises(GateClosed, match="allow at least 8 a week"):
        choose(Settings(capacity_per_week=5), same)


def test_set_policy_when_certified_capped_and_never_below_break_even_then_the_strictest_holds() -> None:
    replay = certifiable()
    rules = {"precision": 0.5, "capacity_per_week": 4, "cost": 20.0, "value": 200.0}
    policy = choose(Settings(**rules), replay, certifiable=True)
    assert policy.kind == "capacity+cost+precision"
    assert policy.threshold == pytest.approx(0.35), "four a week is stricter than half winning and than ten per cent"
    assert policy.certificate is not None
    assert (policy.certificate["leads"], policy.certificate["wins"]) == (80, 80)
    alone = choose(Settings(precision=0.5), replay, certifiable=True)
    assert (alone.threshold or 0) < 0.35


def test_set_policy_when_the_model_has_learned_from_every_window_then_nothing_is_certified() -> None:
    with pytest.raises(GateClosed, match=r"set \[model\] refit = false"):
        choose(Settings(precision=0.5), certifiable(), certifiable=False)


def test_set_policy_when_leads_have_values_then_chance_times_value_must_reach_the_cost() -> None:
    replay = replay_of([(0, [0.1], True), (0, [0.1], False), (0, [0.4], True)])
    rich = replace(replay, more=MappingProxyType({"worth_column": np.array([1_000.0, 100.0, 100.0])}))
    worth = Worth("lead.size", None, 100.0)
    settings = Settings(cost=30.0, value_column="size")
    policy = choose(settings, rich, worths={"column": worth})
    assert policy.kind == "value"
    chosen = policy.mqls(np.array([0.1, 0.1, 0.4]), np.array(list("abc")), np.array([1_000.0, 100.0, 100.0]))
    assert chosen.tolist() == [True, False, True]
    with pytest.raises(GateClosed, match=r"best chance times value was 100.*a cost of 100 or less"):
        choose(Settings(cost=300.0, value_column="size"), rich, worths={"column": worth})


def test_set_policy_when_no_win_has_a_value_then_learning_it_is_refused() -> None:
    with pytest.raises(GateClosed, match=r"no won lead has a value above 0.*give value as a number"):
        choose(Settings(cost=30.0, value="learned"))


def test_set_policy_when_accounts_are_counted_then_one_lead_of_each_with_the_higher_chance() -> None:
    policy = choose(Settings(floor=0.1, unit="account"), accounts())
    assert policy.unit == "account"
    replay = accounts().by_account()
    crossed = replay.crossings(0.1)
    assert len(crossed) == 10
    assert (replay.p[crossed] == 0.5).all()


def test_learned_worth_when_a_source_has_few_wins_then_it_is_near_the_mean_of_all() -> None:
    value = np.array([100.0] * 30 + [400.0])
    source = np.array(["ads"] * 30 + ["fair"])
    worth = learned_worth(value, source, "lead.source", named={"ads", "fair"})
    assert worth is not None
    mean = (3_000 + 400) / 31
    assert worth.levels == {
        "ads": pytest.approx((3_000 + 10 * mean) / 40),
        "fair": pytest.approx((400 + 10 * mean) / 11),
    }
    assert worth.default == pytest.approx(mean)
    assert learned_worth(np.full(3, np.nan), None, None, named=()) is None


@given(st.integers(1, 9), st.integers(0, 5))
def test_set_policy_when_more_can_be_worked_then_the_threshold_is_not_higher(k: int, more: int) -> None:
    less, larger = (choose(Settings(capacity_per_week=c)).threshold for c in (k, k + more))
    assert (larger or 0) <= (less or 0)


@given(st.floats(1, 40), st.floats(0.1, 10), st.floats(100, 1_000))
def test_set_policy_when_leads_cost_more_then_the_threshold_is_not_lower(
    cost: float, more: float, value: float
) -> None:
    cheap, dear = (choose(Settings(cost=c, value=value)).threshold for c in (cost, cost + more))
    assert (dear or 0) >= (cheap or 0)


@given(st.floats(0.05, 0.9), st.floats(0.01, 0.1))
def test_set_policy_when_more_wins_are_to_be_kept_then_the_threshold_is_not_higher(keep: float, more: float) -> None:
    few, many = (choose(Settings(recall=r)).threshold for r in (keep, keep + more))
    assert (many or 0) <= (few or 0)


@given(st.integers(1, 9), st.floats(0.02, 0.45))
def test_set_policy_when_rules_are_added_then_the_threshold_is_never_lower(k: int, floor: float) -> None:
    both = choose(Settings(capacity_per_week=k, floor=floor)).threshold or 0
    assert both == max(choose(Settings(capacity_per_week=k)).threshold or 0, floor)


def test_evidence_when_counted_by_hand_then_every_figure_agrees() -> None:
    replay = steady()
    n = len(replay.p)
    more = {
        "accepted": (replay.p > 0.44).astype(float),
        "value": np.where(replay.won > 0, 300.0, np.nan),
        "present": (replay.p > 0.24).astype(float),
    }
    line = Evidence(replace(replay, more=MappingProxyType(more)), seed=0, cost=50.0).line(0.40)
    assert n == 400
    assert (line["mqls"], line["wins"]) == (60, 60)
    assert line["of_100"] == {"handed": None, "accepted": pytest.approx(200 / 3), "opportunity": None, "won": 100.0}
    assert line["share_of_wins"]["value"] == pytest.approx(0.6)
    assert line["lift"]["value"] == pytest.approx(2.0)
    # the present rule takes ranks 5 to 10 of ten, five of which win
    assert line["lift_over_present"]["value"] == pytest.approx(6 / 5)
    assert line["value"]["per_mql"]["value"] == pytest.approx(300.0)
    assert line["value"]["net_per_week"] == pytest.approx(3 * 250.0)
    assert line["win_rate"]["low"] < 1.0, "sixty wins of sixty do not show that everybody wins"


def test_net_benefit_when_counted_by_hand_then_it_agrees() -> None:
    lines = net_benefit(steady(), [0.2, 0.4])
    # of 10 leads 7 cross at 0.2 (5 win); calling all wins 5 of 10
    assert lines[0]["model"] == pytest.approx(100 * (5 - 2 * 0.25) / 10)
    assert lines[0]["all"] == pytest.approx(100 * (5 - 5 * 0.25) / 10)
    assert lines[1]["model"] == pytest.approx(30.0)


def test_drift_when_the_newest_window_wins_less_then_it_warns() -> None:
    replay = certifiable()
    quiet = newest_part(replay)
    assert quiet is not None
    assert drift(*quiet, 0.3)["warning"] is None
    poor = replace(replay, won=np.where(replay.part == 1, 0.0, replay.won))
    cut = newest_part(poor)
    assert cut is not None
    # five leads a week from twenty weeks, and those of the week before at their second look
    assert "0 % of 105 MQLs were won, before it 100 %" in str(drift(*cut, 0.3)["warning"])
    assert "promise of 50 % does not hold" in str(drift(*cut, 0.3, promised=0.5)["warning"])


def basis(replay: Replay) -> Basis:
    return Basis(
        replay, 0.2, 7, 30, "won", certifiable=True, worths={"learned": Worth("lead.source", {"ads": 2.0}, 1.0)}
    )


def test_basis_when_stored_then_it_comes_back_the_same() -> None:
    replay = replace(certifiable(), more=MappingProxyType({"value": np.where(certifiable().won > 0, 5.0, np.nan)}))
    back = Basis.of_table(basis(replay).to_table())
    for name in ("lead", "week", "p", "won", "part", "start_week"):
        np.testing.assert_array_equal(getattr(back.replay, name), getattr(replay, name))
    np.testing.assert_array_equal(back.replay.more["value"], replay.more["value"])
    assert (back.worths, back.replay.parts, back.replay.first_moment) == (
        basis(replay).worths,
        replay.parts,
        replay.first_moment,
    )
    ruled = {"leads": 2, "by_rule": {"competitor": 2}, "not_judged": ["customer"]}
    left_out = replace(basis(replay), ruled=ruled)
    assert Basis.of_table(left_out.to_table()).ruled == ruled
    assert decision(choose(Settings(floor=0.3)), left_out)["ruled"] == (
        "2 leads under rules, not counted here (competitor 2). "
        "Rules that need today's value of a column could not be applied to past weeks: 'customer'."
    )
    assert decision(choose(Settings(floor=0.3)), back)["ruled"] is None


def test_until_when_a_date_is_given_then_only_weeks_known_by_then_count() -> None:
    known = basis(certifiable()).until((10 * 7 + 30) * DAY)
    assert known.replay.week.max() == 10
    with pytest.raises(UsageError, match="the first was on 1970-01-31"):
        basis(certifiable()).until(29 * DAY)


def test_sensitivity_when_capacity_changes_then_the_threshold_moves_against_it() -> None:
    lines = sensitivity(Settings(capacity_per_week=4, cost=20.0, value=200.0), basis(certifiable()))
    capacity = [(v["setting"], v["threshold"]) for v in lines if v["rule"] == "capacity_per_week"]
    assert [setting for setting, _ in capacity] == [2, 3, 5, 6, 8]
    assert [t for _, t in capacity] == sorted((t for _, t in capacity), reverse=True)
    assert {v["rule"] for v in lines} == {"capacity_per_week", "cost", "value"}
