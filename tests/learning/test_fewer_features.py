"""Fewer features: ranked by what they add, left out only where an unseen window loses nothing that matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from learning.simulated import FEATURES, NUMBERS, simulate

from mqlml.learning.fewer_features import Fewer, judge_fewer, leave_out, smallest_sets
from mqlml.learning.fewer_tests import carried_by, find_fewer
from mqlml.learning.inner_tests import Losses, inner_tests
from mqlml.learning.labels import Rows
from mqlml.learning.logistic import Logistic
from mqlml.learning.propensity import Blend
from mqlml.learning.recipe import Recipe
from mqlml.learning.windows import plan_windows
from mqlml.tape.features import Attribute, FeatureSet

pytestmark = pytest.mark.long

CARRIED = {"g": 0.0, "f": 0.5, "e": 3.5, "d": 6.0, "c": 10.0, "b": 30.0, "a": 50.0}
N = 400
NOISE = np.random.default_rng(0).normal(0, 0.1, N)
NOISE -= NOISE.mean()


def sets(*names: str) -> list[frozenset[str]]:
    return [frozenset(name) for name in names]


def rows(mean: float, noise: float = 0.0) -> Losses:
    return Losses(mean + noise * NOISE, np.arange(N))


def test_smallest_sets_when_few_features_carry_most_then_each_share_has_its_set() -> None:
    assert smallest_sets(CARRIED, ()) == sets("ab", "abc", "abcd", "abcde")


def test_smallest_sets_when_features_must_stay_then_they_are_in_all_and_count() -> None:
    # 6 with d and g; 56, 86, 96 and 99.5 with a, b, c and e: 90 and 95 % are the same set.
    assert smallest_sets(CARRIED, {"d", "g"}) == sets("dgab", "dgabc", "dgabce")


def test_smallest_sets_when_features_add_as_much_then_the_earlier_go_first() -> None:
    assert smallest_sets(dict.fromkeys("abcdefghij", 1.0), ())[0] == frozenset("abcdefgh")


@pytest.mark.parametrize("carried", [{}, {"a": 1.0}, {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}])
def test_smallest_sets_when_nothing_can_go_then_there_are_none(carried: dict[str, float]) -> None:
    assert smallest_sets(carried, ()) == []


def test_carried_by_when_levels_of_a_category_speak_then_they_count_together() -> None:
    # Columns: x; levels "red" and "blue" of colour, of which every row has one.
    matrix = np.array([[1.0, 1, 0], [3.0, 0, 1]])
    blend = Blend(Logistic(0.0, np.array([2.0, 1.0, -1.0]), np.array([2.0, 0.5, 0.5]), 1.0), (), 0.0)
    # x adds -2 and 2; colour adds 0.5 + 0.5 and -0.5 - 0.5.
    assert carried_by(blend, matrix, ["x", "colour", "colour"]) == pytest.approx({"x": 2.0, "colour": 1.0})


def test_leave_out_when_a_set_loses_at_most_a_thousandth_then_the_smallest_such_is_checked() -> None:
    lost = {frozenset("ab"): 0.6007, frozenset("abc"): 0.6005, frozenset("abcd"): 0.5990}
    checked: list[frozenset[str]] = []

    def unseen(kept: frozenset[str]) -> Losses:
        checked.append(kept)
        return rows(0.5 + 0.001 * (kept == frozenset("abc")))

    found = leave_out("abcde", list(lost), lambda kept: lost[kept], unseen, whole=0.6, seed=0)
    assert checked == [frozenset("abcde"), frozenset("abc")], "one comparison on the unseen window"
    assert found.without == found.left_out == ("d", "e")
    assert (found.of, found.kept, found.searched) == (5, 3, (0.6, 0.6005))
    assert "3 of 5 are kept" in found.sentence
    assert "+0.20 %" in found.sentence
    assert found.told()["features kept"] == "3 of 5"
    assert found.to_dict()["left out"] == ["d", "e"]


def test_leave_out_when_every_smaller_set_loses_then_all_stay_and_nothing_is_checked() -> None:
    def unseen(_: frozenset[str]) -> Losses:
        pytest.fail("it must not be looked at")

    found = leave_out("abc", sets("a", "ab"), lambda _: 0.61, unseen, whole=0.6, seed=0)
    assert found == Fewer(3)
    assert not found.taken
    assert found.kept == 3
    assert "all 3 stay" in found.sentence
    assert found.to_dict()["left out"] == []


@pytest.mark.parametrize(("lost", "taken"), [(-0.01, True), (0.0024, True), (0.0026, False)])
def test_judge_fewer_when_the_same_is_lost_everywhere_then_half_a_percent_decides(lost: float, taken: bool) -> None:
    found = judge_fewer("abc", ("c",), (0.6, 0.6), rows(0.5), rows(0.5 + lost), seed=0)
    assert found.at_most == pytest.approx(lost)
    assert found.taken is taken
    assert found.left_out == (("c",) if taken else ())


def test_judge_fewer_when_accounts_disagree_then_the_bound_is_that_of_a_mean() -> None:
    before, after = rows(0.5), rows(0.5, noise=1.0)
    found = judge_fewer("abc", ("c",), (0.6, 0.6), before, after, seed=0)
    by_hand = 1.2816 * NOISE.std() / np.sqrt(N)
    assert found.at_most == pytest.approx(by_hand, abs=0.001)
    assert not found.taken
    assert "all 3 stay" in found.sentence
    assert found.to_dict()["tried with"] == 2


def test_judge_fewer_when_there_is_one_account_then_nothing_is_sure() -> None:
    one = Losses(np.full(N, 0.5), np.zeros(N, dtype=np.int64))
    found = judge_fewer("abc", ("c",), (0.6, 0.6), one, Losses(one.loss + 0.01, one.group), seed=0)
    assert not found.taken


def planted(strengths: tuple[float, ...], *, noise: int, seed: int) -> tuple[Rows, pa.Table, FeatureSet]:
    """Leads that win by a few true columns; the others are noise."""
    data = simulate("noise", seed=seed, won=1_500, lost=1_500)
    generator = np.random.default_rng(seed)
    lead = data.rows.lead
    values = generator.normal(size=(int(lead.max()) + 1, len(strengths) + noise))
    z = values[:, : len(strengths)] @ np.array(strengths)
    won = (generator.random(len(z)) < 1 / (1 + np.exp(-z))).astype(float)
    names = [f"true{i}" for i in range(len(strengths))] + [f"noise{i}" for i in range(noise)]
    table = pa.table({f"lead.{name}": values[lead, j] for j, name in enumerate(names)})
    features = FeatureSet(attributes=tuple(Attribute(name, "number", "creation") for name in names), age=False)
    return replace(data.rows, won=won[lead]), table, features


def found_in(rows: Rows, table: pa.Table, features: FeatureSet, *, stay: tuple[str, ...] = ()) -> Fewer:
    plan = plan_windows(rows, origins=4, seed=0)
    found = find_fewer(table, rows, features, plan, recipe=Recipe(0, 2, 1), min_leads=20, stay=stay)
    assert isinstance(found, Fewer), found
    return found


def test_find_fewer_when_noise_is_planted_then_it_goes_and_the_truth_stays() -> None:
    rows, table, features = planted((1.0, -0.7, 0.5), noise=30, seed=1)
    found = found_in(rows, table, features, stay=("lead.noise7",))
    assert found.taken, found.sentence
    kept = {f.name for f in features.without(found.left_out).features}
    assert {"lead.true0", "lead.true1", "lead.true2", "lead.noise7"} <= kept
    assert len(kept) <= 20


def test_find_fewer_when_one_number_carries_the_signal_then_it_is_never_left_out() -> None:
    for seed in range(3):
        data = simulate("one number", seed=seed, won=900, lost=900)
        found = found_in(data.rows, data.table, FEATURES)
        assert f"lead.{NUMBERS[0]}" not in found.without, found.sentence


def test_find_fewer_when_every_feature_tells_something_then_all_stay() -> None:
    rows, table, features = planted((0.6, 0.6, 0.6, 0.6), noise=0, seed=2)
    assert found_in(rows, table, features).left_out == ()


def test_inner_tests_when_later_outcomes_are_turned_round_then_they_are_the_same() -> None:
    data = simulate("many weak", seed=3, won=700, lost=700)
    plan = plan_windows(data.rows, origins=4, seed=3)
    first = min(r.origin for r in plan.rounds if r.part == "certify" and r.origin is not None)
    later = data.rows.known > first
    assert later.mean() > 0.3
    turned = replace(data.rows, won=np.where(later, 1 - data.rows.won, data.rows.won))
    one, other = (inner_tests(data.table, rows, plan, seed=3) for rows in (data.rows, turned))
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    np.testing.assert_array_equal(one.rows.won, other.rows.won)
    assert max(one.rows.known) <= first
    for a, b in zip((*one.early, *one.late), (*other.early, *other.late), strict=True):
        assert a.origin == b.origin
        np.testing.assert_array_equal(a.fit, b.fit)
        np.testing.assert_array_equal(a.test, b.test)


def test_find_fewer_when_wins_are_few_then_it_says_so() -> None:
    data = simulate("many weak", seed=3, won=200, lost=200)
    plan = plan_windows(data.rows, origins=4, seed=3)
    found = find_fewer(data.table, data.rows, FEATURES, plan, recipe=Recipe(3, 2, 1), min_leads=20)
    assert isinstance(found, str)
    assert "too few" in found
