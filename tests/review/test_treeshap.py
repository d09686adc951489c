"""Contributions of trees: by hand, as LightGBM and shap compute them, and refused where they would be wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import pytest

from mqlml.review.treekernel import add_grouped
from mqlml.review.treeshap import TreeEnsemble

COLUMNS = 6

# Root: column 0 at most 0.5 (60 of 100 rows) -> 10; else column 1 at most 2 (10 of 40 rows) -> 20; else 40.
BY_HAND = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=a b
feature_infos=none none
tree_sizes=400

Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
split_gain=1 1
threshold=0.5 2
decision_type=2 2
left_child=-1 -2
right_child=1 -3
leaf_value=10 20 40
leaf_weight=1 1 1
leaf_count=60 10 30
internal_value=0 0
internal_weight=1 1
internal_count=100 40
is_linear=0
shrinkage=1


end of trees
"""

RECIPES = {
    "shallow": {"num_leaves": 4, "max_depth": 2},
    "product": {"num_leaves": 12, "max_depth": 6},
    "wide": {"num_leaves": 31, "max_depth": 6, "min_data_in_leaf": 5},
    "deep": {"num_leaves": 63, "max_depth": -1, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0},
    "zero as missing": {"num_leaves": 15, "zero_as_missing": True},
    "no missing type": {"num_leaves": 15, "use_missing": False},
    "bagged rows": {"num_leaves": 15, "bagging_fraction": 0.5, "bagging_freq": 1},
    "weighed": {"num_leaves": 15, "weighed": True},
}


def people(rows: int = 1500, columns: int = COLUMNS) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers with gaps, zeros and repeated values, and an outcome that depends on several of them."""
    random = np.random.default_rng(7)
    x = random.normal(size=(rows, columns))
    x[:, 1] = random.poisson(2, rows)
    x[random.random(x.shape) < 0.1] = np.nan
    x[random.random(x.shape) < 0.2] = 0.0
    filled = np.nan_to_num(x, nan=-1.0)
    z = filled[:, 0] + filled[:, 1] * filled[:, 2] - filled[:, 2] ** 2 + random.logistic(size=rows)
    return x, (z > 0.5).astype(float)


def train(recipe: dict, *, seed: int = 0, rounds: int = 12, columns: int = COLUMNS) -> lgb.Booster:
    x, y = people(columns=columns)
    recipe = dict(recipe)
    weight = np.random.default_rng(1).uniform(0.1, 5, len(y)) if recipe.pop("weighed", False) else None
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed, "deterministic": True}
    data = lgb.Dataset(x, y, weight=weight, params={**parameters, **recipe})
    return lgb.train({**parameters, **recipe}, data, rounds)


def unusual(x: np.ndarray) -> np.ndarray:
    """Add rows that no training row resembles."""
    rows = [np.full(COLUMNS, value) for value in (np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-30, np.inf, -np.inf, 1e300)]
    return np.vstack([x, rows])


@pytest.fixture(scope="module")
def boosters() -> list[lgb.Booster]:
    """Return three bags of the shape the product trains."""
    return [train({**RECIPES["product"], "feature_fraction": 0.7}, seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def ensemble(boosters: list[lgb.Booster]) -> TreeEnsemble:
    return TreeEnsemble.parse([booster.model_to_string() for booster in boosters], COLUMNS)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # v() = 0.6 * 10 + 0.4 * (0.25 * 20 + 0.75 * 40) = 20; v(b) = 6 + 0.4 * 20 = 14; v(a) = 35; v(a, b) = 20.
        ([1.0, 1.0], [(15 + 6) / 2, (-6 - 15) / 2, 20]),
        # v(b) = 6 + 0.4 * 40 = 22; v(a) = 35; v(a, b) = 40.
        ([1.0, 3.0], [(15 + 18) / 2, (2 + 5) / 2, 20]),
        # v(b) = 14; v(a) = v(a, b) = 10.
        ([0.5, 2.0], [(-10 - 4) / 2, (-6 + 0) / 2, 20]),
        # Without a missing type NaN is read as zero: left at both nodes.
        ([np.nan, np.nan], [(-10 - 4) / 2, (-6 + 0) / 2, 20]),
    ],
)
def test_contributions_of_a_tree_with_two_splits_then_equal_the_game_worked_by_hand(row, expected):
    result = TreeEnsemble.parse([BY_HAND], 2).contributions(np.array([row]))
    np.testing.assert_allclose(result, [expected], atol=1e-12)


def test_contributions_when_a_column_repeats_on_a_path_then_it_is_one_player():
    text = BY_HAND.replace("split_feature=0 1", "split_feature=0 0")
    result = TreeEnsemble.parse([text], 2).contributions(np.array([[1.0, 0.0], [9.0, 0.0]]))
    np.testing.assert_allclose(result, [[0, 0, 20], [20, 0, 20]], atol=1e-12)


@pytest.mark.parametrize("name", RECIPES)
def test_contributions_when_compared_with_lightgbm_then_equal(name):
    booster = train(RECIPES[name])
    x = unusual(people()[0])
    result = TreeEnsemble.parse([booster.model_to_string()], COLUMNS).contributions(x)
    assert np.abs(result - booster.predict(x, pred_contrib=True)).max() < 1e-9
    assert np.abs(result.sum(axis=1) - booster.predict(x, raw_score=True)).max() < 1e-9


def test_contributions_when_paths_have_many_columns_then_equal_lightgbm_without_a_table():
    recipe = {**RECIPES["deep"], "num_leaves": 200, "feature_fraction_bynode": 0.1}
    booster = train(recipe, columns=40, rounds=3)
    ensemble = TreeEnsemble.parse([booster.model_to_string()], 40)
    x = people(columns=40)[0][:200]
    assert len(ensemble._tables.deep.leaf) > 100
    assert np.abs(ensemble.contributions(x) - booster.predict(x, pred_contrib=True)).max() < 1e-9


def test_contributions_of_several_bags_then_are_the_mean_of_lightgbms(boosters, ensemble):
    x = unusual(people()[0])
    expected = np.mean([booster.predict(x, pred_contrib=True) for booster in boosters], axis=0)
    np.testing.assert_allclose(ensemble.contributions(x), expected, rtol=0, atol=1e-9)
    assert ensemble.base == pytest.approx(expected[0, -1], abs=1e-12)


@pytest.mark.filterwarnings("ignore:LightGBM binary classifier:UserWarning")
def test_contributions_when_compared_with_shap_then_equal(boosters, ensemble):
    shap = pytest.importorskip("shap")
    x = people()[0][:100]
    expected = np.mean([np.asarray(shap.TreeExplainer(b).shap_values(x)).reshape(100, -1) for b in boosters], axis=0)
    np.testing.assert_allclose(ensemble.contributions(x)[:, :-1], expected, rtol=0, atol=1e-9)


def test_contributions_when_every_tree_is_constant_then_only_the_base():
    booster = train({"min_data_in_leaf": 10_000}, rounds=2)
    ensemble = TreeEnsemble.parse([booster.model_to_string()] * 2, COLUMNS)
    x = people()[0][:5]
    np.testing.assert_allclose(ensemble.contributions(x), booster.predict(x, pred_contrib=True), atol=1e-12)
    assert ensemble.base != 0


def test_contributions_when_a_constant_tree_stands_among_others_then_equal_lightgbm(boosters):
    constant = train({"min_data_in_leaf": 10_000}, rounds=1)
    ensemble = TreeEnsemble.parse([boosters[0].model_to_string(), constant.model_to_string()], COLUMNS)
    x = people()[0]
    expected = (boosters[0].predict(x, pred_contrib=True) + constant.predict(x, pred_contrib=True)) / 2
    np.testing.assert_allclose(ensemble.contributions(x), expected, atol=1e-9)


def test_contributions_when_threads_rows_and_layout_change_then_same_bits(ensemble):
    x = np.tile(people()[0], (4, 1))
    order = np.random.default_rng(0).permutation(len(x))
    expected = ensemble.contributions(x, threads=1)
    np.testing.assert_array_equal(ensemble.contributions(np.asfortranarray(x), threads=5), expected)
    np.testing.assert_array_equal(ensemble.contributions(x[order]), expected[order])
    np.testing.assert_array_equal(ensemble.contributions(x[1003:1004]), expected[1003:1004])


def test_contributions_when_several_callers_share_a_new_ensemble_then_same_bits(boosters):
    ensemble = TreeEnsemble.parse([booster.model_to_string() for booster in boosters], COLUMNS)
    x = people()[0]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ensemble.contributions, [x] * 8))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_contributions_when_there_are_no_rows_then_none_come_back(ensemble):
    assert ensemble.contributions(np.empty((0, COLUMNS))).shape == (0, COLUMNS + 1)


def test_contributions_when_layouts_and_types_differ_then_one_compiled_version(ensemble):
    x = np.nan_to_num(people()[0]).round()
    for matrix in (x, np.asfortranarray(x), x.astype(np.float32), x[::2]):
        ensemble.contributions(matrix)
    assert len(add_grouped.signatures) == 1


@pytest.mark.parametrize("shape", [(4, COLUMNS - 1), (4, COLUMNS + 1), (COLUMNS,)])
def test_contributions_when_columns_are_missing_or_too_many_then_refused(ensemble, shape):
    with pytest.raises(ValueError, match=r"matrix has shape .*, expected \(rows, 6\)"):
        ensemble.contributions(np.zeros(shape))


def test_parse_when_a_split_is_categorical_then_refused():
    x = np.random.default_rng(0).integers(0, 8, size=(800, 2)).astype(float)
    data = lgb.Dataset(x, (x[:, 0] % 3 == 0).astype(float), categorical_feature=[0])
    booster = lgb.train({"objective": "binary", "verbosity": -1, "min_data_per_group": 1}, data, 2)
    with pytest.raises(ValueError, match="model 0, tree 0: categorical splits cannot be explained"):
        TreeEnsemble.parse([booster.model_to_string()], 2)


def test_parse_when_a_tree_is_linear_then_refused():
    x, y = people()
    booster = lgb.train({"linear_tree": True, "verbosity": -1, "objective": "regression"}, lgb.Dataset(x, y), 2)
    with pytest.raises(ValueError, match="linear trees cannot be explained"):
        TreeEnsemble.parse([booster.model_to_string()], COLUMNS)


def test_parse_when_the_model_is_a_random_forest_then_refused():
    booster = train({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, rounds=2)
    with pytest.raises(ValueError, match="random forest"):
        TreeEnsemble.parse([booster.model_to_string()], COLUMNS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tree\n", "leaf\n", "not a complete LightGBM model"),
        ("end of trees", "", "not a complete LightGBM model"),
        ("num_class=1", "num_class=3", "num_class is 3, expected 1"),
        ("max_feature_idx=1", "max_feature_idx=2", "max_feature_idx is 2, expected 1"),
        ("tree_sizes=400", "tree_sizes=400 400", "'tree_sizes' does not list the 1 trees"),
        ("Tree=0", "Tree=1", "tree 0: damaged"),
        ("num_leaves=3", "num_leaves=x", "tree 0: damaged"),
        ("num_leaves=3", "num_leaves=4", "'split_feature' has 2 values, expected 3"),
        ("num_cat=0", "num_cat=1", "categorical splits cannot be explained"),
        ("decision_type=2 2", "decision_type=2 3", "categorical splits cannot be explained"),
        ("decision_type=2 2", "decision_type=2 14", "'decision_type' is out of range"),
        ("decision_type=2 2", "decision_type=2 18", "'decision_type' is out of range"),
        ("split_feature=0 1", "split_feature=0 2", r"'split_feature' is outside 0\.\.1"),
        ("split_feature=0 1", "split_feature=0 x", "no whole number"),
        ("threshold=0.5 2", "threshold=0.5 nan", "'threshold' is out of range"),
        ("threshold=0.5 2\n", "", "field 'threshold' is missing"),
        ("leaf_value=10 20 40", "leaf_value=10 20 4o", "no number"),
        ("leaf_count=60 10 30", "leaf_count=60 -10 50", "'leaf_count' is out of range"),
        ("leaf_count=60 10 30", "leaf_count=60 10 20", "'internal_count' is not the sum"),
        ("internal_count=100 40", "internal_count=100 0", "'internal_count' is below 1"),
        ("left_child=-1 -2", "left_child=-1 -4", "'left_child' does not form a tree"),
        ("left_child=-1 -2", "left_child=-1 -1", "its nodes do not form a tree"),
        ("right_child=1 -3", "right_child=0 -3", "'right_child' does not form a tree"),
        ("right_child=1 -3", "right_child=1 99999999999999999999", "'right_child' is out of range"),
    ],
)
def test_parse_when_the_text_is_damaged_then_says_where(old, new, message):
    assert BY_HAND.count(old) >= 1
    with pytest.raises(ValueError, match=message):
        TreeEnsemble.parse([BY_HAND.replace(old, new, 1)], 2)


def test_parse_when_there_is_no_text_then_refused():
    with pytest.raises(ValueError, match="no model text"):
        TreeEnsemble.parse([], 2)


def test_parse_when_every_cut_of_a_text_is_tried_then_never_anything_but_a_value_error():
    text = train(RECIPES["shallow"], rounds=2).model_to_string()
    end = text.index("end of trees")
    for cut in range(0, end, 23):
        with pytest.raises(ValueError, match="model 0"):
            TreeEnsemble.parse([text[:cut]], COLUMNS)


def test_parse_when_lightgbms_record_of_parameters_is_gone_then_same_model(boosters):
    text = boosters[0].model_to_string()
    whole, cut = (TreeEnsemble.parse([t], COLUMNS) for t in (text, text.partition("\nparameters:\n")[0]))
    x = people()[0][:50]
    np.testing.assert_array_equal(whole.contributions(x), cut.contributions(x))
