"""Checks of monitoring on hand-made arrays: what is fine stays fine, what changed is found, what lacks is said."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from mqlml.learning.moments import DAY, NEVER
from mqlml.operation import monitoring_drift as drift
from mqlml.operation import monitoring_flow as flow
from mqlml.operation import monitoring_outcomes as outcome
from mqlml.operation import monitoring_sales as sales
from mqlml.operation.monitoring import CHECKS, Measured, judge, missing, retrain
from mqlml.operation.monitoring_domain import told_apart
from mqlml.operation.monitoring_reasons import reasons
from mqlml.operation.reference import Cells, frozen_reference, moving, numbers_cells, swing


def test_judge_when_two_of_three_are_sure_then_holm_s_steps_decide() -> None:
    # Holm at 5 %: 0.01 <= 0.05 / 3, then 0.02 <= 0.05 / 2, then 0.2 > 0.05.
    found = [Measured("MON-02", "b", 0.02), Measured("MON-01", "a", 0.01), Measured("MON-05", "c", 0.2)]
    assert [(c.code, c.state) for c in judge(found)] == [("MON-01", "alarm"), ("MON-02", "alarm"), ("MON-05", "fine")]


def test_judge_when_odd_alone_but_not_among_many_then_it_is_watched() -> None:
    found = [Measured("MON-01", "a", 0.03), *(Measured(f"MON-{k:02}", "x", 0.9) for k in range(2, 10))]
    assert judge(found)[0].state == "watch"


def test_judge_when_the_change_is_small_then_it_never_alarms() -> None:
    assert judge([Measured("MON-01", "a", 1e-12, large=False)])[0].state == "watch"


def test_judge_when_not_measured_then_the_action_says_what_is_missing() -> None:
    check = judge([missing("MON-04", "Needs 20 control leads.")])[0]
    assert (check.state, check.action) == ("not measured", "Needs 20 control leads.")


def test_checks_when_listed_then_each_has_a_name_a_family_and_an_action() -> None:
    assert list(CHECKS) == [f"MON-{k:02}" for k in range(1, 18)]
    assert {family for _, family, _ in CHECKS.values()} == {"outcomes", "leads", "data", "sales"}


def test_retrain_when_the_world_changed_then_now_else_by_new_wins_and_age() -> None:
    alarm = judge([Measured("MON-07", "a", 1e-9)])
    calm = judge([Measured("MON-07", "a", 0.5)])
    assert retrain(alarm, age_days=3, new_wins=0, wins=100)["when"] == "now"
    assert retrain(calm, age_days=3, new_wins=50, wins=100)["when"] == "soon"
    assert retrain(calm, age_days=400, new_wins=1, wins=100)["when"] == "soon"
    assert retrain(calm, age_days=40, new_wins=1, wins=100)["when"] == "as planned"


def scores(true: float, *, n: int = 3000, seed: int = 0) -> outcome.Matured:
    """Calibrated chances of single leads; wins come at ``true`` times them."""
    rng = np.random.default_rng(seed)
    p = expit(-2 + rng.normal(size=n))
    won = (rng.random(n) < true * p).astype(float)
    nobody = np.zeros(n, dtype=bool)
    return outcome.Matured(np.arange(n), np.arange(n), np.zeros(n, dtype=np.int64), p, won, p > 0.25, nobody)


def test_promises_when_kept_then_no_check_is_odd() -> None:
    kept = scores(1.0)
    found = [check(kept, seed=0, **{key: None}) for check, key in PROMISES]
    assert [m.p_value > 0.05 for m in found if m.p_value is not None] == [True, True, True]


def test_promises_when_three_of_ten_wins_are_gone_then_win_rate_and_level_are_odd() -> None:
    broken = scores(0.7)
    assert outcome.mql_win_rate(broken, promised=None, seed=0).p_value < 0.001  # type: ignore[operator]
    level = outcome.level(broken, tested=None, seed=0)
    assert level.p_value < 1e-6  # type: ignore[operator]
    assert level.large
    assert level.figures["observed_over_expected"]["value"] == pytest.approx(0.7, abs=0.06)


PROMISES = ((outcome.mql_win_rate, "promised"), (outcome.level, "tested"), (outcome.slope, "tested"))


def test_win_rate_when_the_promise_was_vague_then_its_error_counts() -> None:
    broken = scores(0.85)
    sure = outcome.mql_win_rate(broken, promised=None, seed=0).p_value
    vague = outcome.mql_win_rate(broken, promised={"value": 0.3, "low": 0.2, "high": 0.4}, seed=0).p_value
    assert sure is not None
    assert vague is not None
    assert vague > sure


def test_win_rate_when_a_lead_is_on_several_lists_then_its_first_one_counts() -> None:
    n = 60
    lead = np.repeat(np.arange(n), 2)
    p = np.tile([0.3, 0.9], n)
    flags = np.ones(2 * n, dtype=bool)
    at = np.tile([0, 7 * DAY], n)
    won = (lead < 18).astype(float)
    found = outcome.mql_win_rate(outcome.Matured(lead, lead, at, p, won, flags, ~flags), promised=None, seed=0)
    assert found.figures["mqls"] == n
    assert found.figures["chances"] == pytest.approx(0.3)
    assert found.p_value == pytest.approx(1.0)


def test_slope_when_chances_are_twice_too_extreme_then_it_is_a_half() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=4000)
    won = (rng.random(4000) < expit(z)).astype(float)
    nobody = np.zeros(4000, dtype=bool)
    every = np.arange(4000)
    found = outcome.slope(outcome.Matured(every, every, every, expit(2 * z), won, nobody, nobody), tested=None, seed=0)
    assert found.figures["slope"]["value"] == pytest.approx(0.5, abs=0.05)
    assert found.p_value < 1e-6  # type: ignore[operator]


def test_control_leads_when_few_then_it_says_what_is_missing_and_what_was_missed() -> None:
    found = outcome.control_leads(scores(1.0, n=400), per_week=0)
    assert not found.measured
    assert "set [policy] control_per_week" in found.sentence


def test_control_leads_when_they_win_far_more_often_than_promised_then_odd() -> None:
    n = 100
    every, low = np.arange(n), np.full(n, 0.05)
    won = (every % 4 == 0).astype(float)
    found = outcome.control_leads(
        outcome.Matured(every, every, every, low, won, every < 0, every < 60), per_week=5
    )  # fmt: skip
    assert found.figures["won"] == 15
    assert found.p_value < 1e-4  # type: ignore[operator]


def test_numbers_cells_when_equal_to_a_bound_then_below_it_and_missing_last() -> None:
    assert numbers_cells([1.0, 2.0], np.array([0.5, 1.0, 1.5, 3.0, np.nan])).tolist() == [0, 0, 1, 2, 4]


def test_cells_when_a_level_is_unknown_then_rare_and_null_is_not_supplied() -> None:
    cells = Cells("category", ("a", "b"))
    assert cells.of(pa.chunked_array([["b", "z", None]])).tolist() == [1, 2, 3]
    assert cells.names == ("a", "b", "rare or new", "not supplied")


def test_moving_when_counts_are_as_expected_then_nothing_else_pearson() -> None:
    assert moving(np.array([50.0, 50.0]), np.array([0.5, 0.5])) == 0
    assert moving(np.array([60.0, 40.0]), np.array([0.5, 0.5])) == pytest.approx(4.0)


def test_swing_when_leads_are_drawn_by_lot_then_it_is_that_of_chi_square() -> None:
    counts = np.random.default_rng(0).multinomial(400, [0.2] * 5, size=400).astype(float)
    found = swing(counts)
    assert found["mean"] == pytest.approx(4.0, rel=0.1)
    assert found["df"] == pytest.approx(4.0, rel=0.2)


def cross_sections(weeks: int = 30, n: int = 300) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Leads of their own in every week: one number, one category with a rare value."""
    rng = np.random.default_rng(0)
    rows = weeks * n
    source = np.where(rng.random(rows) < 0.5, "web", "fair").astype(object)
    source[:3] = "a rare one"
    table = pa.table({"x": rng.normal(size=rows), "source": source.tolist()})
    return table, np.repeat(np.arange(weeks), n) * 7 * DAY, np.arange(rows)


def reference() -> dict:
    """Freeze the cross-sections."""
    table, at, lead = cross_sections()
    found = frozen_reference(
        table, at=at, lead=lead, features=["x", "source"], chances=lambda t: expit(t["x"].to_numpy() - 2),
        event_types={"visit": 500, "odd": 3}, min_level_count=20,
    )  # fmt: skip
    assert found is not None
    return found


def test_reference_when_frozen_then_rare_values_are_folded_away() -> None:
    found = reference()
    assert "a rare one" not in str(found)
    assert found["features"]["source"]["bounds"] == ["fair", "web"]
    assert found["event_types"] == {"visit": 500}
    assert found["rare_events"] == 3
    assert len(found["features"]["x"]["bounds"]) == 9
    assert sum(found["features"]["x"]["shares"]) == pytest.approx(1.0)


def test_reference_when_there_are_no_dates_then_none() -> None:
    table, at, lead = cross_sections()
    assert (
        frozen_reference(
            table, at=np.full(len(at), NEVER), lead=lead, features=["x"], chances=lambda t: np.zeros(len(t)),
            event_types={}, min_level_count=20,
        )
        is None
    )  # fmt: skip


def today(shift: float = 0.0, new: float = 0.0, n: int = 300) -> pa.Table:
    """Another cross-section, shifted or with a new source."""
    rng = np.random.default_rng(7)
    source = np.where(rng.random(n) < 0.5, "web", "fair").astype(object)
    source[: int(new * n)] = "tiktok"
    return pa.table({"x": rng.normal(size=n) + shift, "source": source.tolist()})


def test_features_when_nothing_changed_then_fine() -> None:
    found, shifts = drift.features(reference(), today())
    assert found.p_value is not None
    assert found.p_value > 0.05
    assert len(shifts) == 2


def test_features_when_a_number_moved_then_it_is_named_first() -> None:
    found, shifts = drift.features(reference(), today(shift=0.6))
    assert found.p_value < 1e-4  # type: ignore[operator]
    assert shifts[0].name == "x"
    assert "1 of 2 features moved" in found.sentence


def test_chances_when_the_bundle_is_old_then_it_says_train_again() -> None:
    assert drift.chances(None, np.ones(100)).sentence == drift.OLD_BUNDLE
    assert not drift.features(None, today())[0].measured
    assert not drift.new_categories(None, today(), np.arange(300)).measured


def test_new_categories_when_a_fifth_is_new_then_named_and_counted_by_account() -> None:
    found = drift.new_categories(reference(), today(new=0.2), np.arange(300))
    assert found.p_value < 1e-9  # type: ignore[operator]
    assert "source 'tiktok' (60 accounts)" in found.sentence
    alone = drift.new_categories(reference(), today(new=0.2), np.zeros(300, dtype=np.int64))
    assert alone.p_value == 1.0


def test_told_apart_when_today_differs_then_area_and_p_value_say_so() -> None:
    rng = np.random.default_rng(0)
    moment = np.repeat(np.arange(9), 60)
    matrix = rng.normal(size=(540, 4))
    same = told_apart(matrix, moment, np.arange(540), seed=0)
    matrix[moment == 0] += 0.8
    moved = told_apart(matrix, moment, np.arange(540), seed=0)
    assert same.p_value > 0.01  # type: ignore[operator]
    assert moved.p_value < 1e-3  # type: ignore[operator]
    assert moved.figures["auc"]["value"] > 0.75


def test_told_apart_when_there_is_no_past_then_it_says_what_is_missing() -> None:
    assert "at 6 past moments" in told_apart(np.zeros((60, 1)), np.zeros(60, dtype=int), np.arange(60), seed=0).sentence


def test_new_mqls_when_lists_are_weekly_then_who_was_not_on_the_one_before() -> None:
    lists = [(0, frozenset("ab")), (7 * DAY, frozenset("bc")), (14 * DAY, frozenset("cde"))]
    assert flow.new_mqls(lists) == [(7 * DAY, 1), (14 * DAY, 2)]
    assert flow.new_mqls(lists[:1]) == []


def test_volume_when_thrice_as_usual_then_odd_and_without_lists_not_measured() -> None:
    before = [10.0, 12, 9, 11, 10, 8, 13, 10]
    assert flow.volume(30, before, usual=None).p_value < 0.01  # type: ignore[operator]
    assert flow.volume(11, before, usual=None).p_value > 0.5  # type: ignore[operator]
    assert not flow.volume(None, before, usual=None).measured


def test_event_flow_when_a_type_falls_silent_then_it_is_named() -> None:
    usual = [100.0, 110, 95, 105, 98, 102, 107, 99]
    found = flow.event_flow({"visit": [*usual, 101], "form": [*usual, 0]})
    assert found.p_value < 1e-4  # type: ignore[operator]
    assert "form: 0, usually 102" in found.sentence


def test_new_event_types_when_many_leads_do_one_then_odd() -> None:
    found = flow.new_event_types({"visit": 900}, {"visit": 50, "quiz": 9}, few=20, days=365)
    assert found.p_value < 1e-6  # type: ignore[operator]
    assert flow.new_event_types({"visit": 900}, {"visit": 50}, few=20, days=365).p_value == 1.0


def test_freshness_when_four_days_are_missing_then_odd() -> None:
    now = 400 * DAY
    hourly = np.arange(now - 100 * DAY, now, DAY // 24)
    assert flow.freshness(now, {"events": hourly}).p_value > 0.05  # type: ignore[operator]
    late = flow.freshness(now, {"events": hourly[: -4 * 24]})
    assert late.p_value < 1e-6  # type: ignore[operator]
    assert "events 4.0 days old" in late.sentence


def handed(*, accepted_lately: int, n: int = 400) -> sales.Handed:
    """A hand-over a day; sales accepts six of ten, lately another number of ten; half are touched after a day."""
    now = 1000 * DAY
    at = now - np.arange(n, 0, -1) * DAY
    lately = at >= now - 105 * DAY
    yes = np.arange(n) % 10 < np.where(lately, accepted_lately, 6)
    touched = np.where(np.arange(n) % 2 == 0, at + DAY, NEVER)
    none = np.full(n, None, dtype=object)
    why = np.where(~yes, "no budget", None)
    never = np.full(n, NEVER)
    teams = np.where(np.arange(n) % 2 == 0, "North", "South").astype(object)
    return sales.Handed(
        np.arange(n), np.arange(n), at, np.where(yes, at + DAY, NEVER), np.where(yes, NEVER, at + DAY),
        np.where(touched < now, touched, NEVER), np.where(np.arange(n) % 5 == 0, at + 30 * DAY, never),
        why, teams, none, now,
    )  # fmt: skip


def test_acceptance_when_it_falls_then_odd_and_when_it_stays_then_not() -> None:
    assert sales.acceptance(handed(accepted_lately=6)).p_value > 0.5  # type: ignore[operator]
    fell = sales.acceptance(handed(accepted_lately=2))
    assert fell.p_value < 1e-4  # type: ignore[operator]
    assert fell.figures["before"] == pytest.approx(0.6, abs=0.02)


def test_first_touch_when_half_are_never_touched_then_told() -> None:
    found = sales.first_touch(handed(accepted_lately=6), within_days=2)
    assert found.figures["now"] == pytest.approx(0.5, abs=0.02)


def test_not_won_when_half_were_never_worked_then_watched() -> None:
    found = sales.not_won(handed(accepted_lately=6), horizon_days=60, within_days=2)
    assert found.watch
    parts = found.figures["parts"]
    assert parts["late"]["handed_over"] == 0
    # Of ten hand-overs five are touched in time, one of which is won; of the five others one is won too.
    assert parts["never"]["not_won"] == parts["in time"]["not_won"]


def test_by_part_when_two_teams_then_both_are_counted() -> None:
    found = handed(accepted_lately=6)
    lines = sales.by_part(found, found.recipient, within_days=2)
    assert {line["part"]: line["touched_in_time"] > 0 for line in lines} == {"North": True, "South": False}


def test_reasons_when_one_value_explains_them_then_a_rule_is_proposed_in_words() -> None:
    found = handed(accepted_lately=6)
    year = found.at >= found.now - 365 * DAY
    rejected = found.rejected < NEVER
    industry = np.where(rejected & (np.arange(400) % 3 == 0), "education", "software")
    told = reasons(found, pa.table({"industry": industry.tolist()}))
    assert told.watch
    rule = told.figures["proposed"][0]
    assert (rule["column"], rule["value"], rule["reason"]) == ("industry", "education", "no budget")
    assert rule["rejected"] == rule["handed_over"] == int((year & (industry == "education")).sum())
    assert "Proposed rule: keep leads with industry = 'education' from sales" in told.sentence


def test_reasons_when_no_value_explains_them_then_sales_is_to_be_asked() -> None:
    luck = np.where(np.random.default_rng(0).random(400) < 0.5, "a", "b")
    told = reasons(handed(accepted_lately=6), pa.table({"column": luck.tolist()}))
    assert not told.watch
    assert "ask sales" in told.sentence
