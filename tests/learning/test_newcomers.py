"""Leads with a level nobody has seen get no more than what held for levels left out."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from mqlml.learning.encoder import Encoder, mask_levels
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.learning.logistic import fit_logistic
from mqlml.learning.newcomers import Newcomer, fit_newcomers, newcomer_rows
from mqlml.learning.propensity import Blend, fit_blend
from mqlml.learning.recipe import Recipe
from mqlml.tape.features import Attribute, FeatureSet

N = 4_000
FEATURES = FeatureSet(
    event_types=("demo",),
    windows_days=(7,),
    half_lives_days=(7,),
    attributes=(Attribute("course", "category", "creation"), Attribute("size", "number", "creation")),
)
COURSES = np.array(["a", "b", "c", "d", "e"])


def leads(*, demos_matter: bool, new: bool = False, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    """Courses in which a demo is a good sign or a bad one; ``size`` always helps."""
    generator = np.random.default_rng(seed)
    course = generator.integers(0, 5, N)
    demos, size = generator.poisson(1.0, N).astype(float), generator.normal(0, 1, N)
    sign = np.array([2.0, -2.0, 1.5, -1.5, 0.0])[course] if demos_matter else np.zeros(N)
    won = (generator.random(N) < expit(-0.5 + 0.7 * size + sign * (demos - 1))).astype(float)
    columns: dict[str, object] = {}
    for feature in FEATURES.features:
        if feature.name == "lead.course":
            columns[feature.name] = pa.array(["new"] * N if new else COURSES[course]).dictionary_encode()
        elif feature.name == "lead.size":
            columns[feature.name] = size
        else:
            columns[feature.name] = demos if feature.event_type == "demo" else generator.uniform(0, 9, N)
    return pa.table(columns), won


def rules_for(
    matrix: np.ndarray,
    won: np.ndarray,
    encoder: Encoder,
    *names: str,
    strength: float = 0.3,
    blend: Blend | None = None,
) -> tuple[Newcomer, ...]:
    recipe, group = Recipe(seed=0, bags=2, threads=1), np.arange(len(won))
    blend = blend or Blend(fit_logistic(matrix, won, strength=strength, seed=0), (), 0.0)
    return fit_newcomers(matrix, won, encoder, open_features=names, group=group, blend=blend, recipe=recipe)


def fitted(*, demos_matter: bool) -> tuple[Newcomer, ...]:
    table, won = leads(demos_matter=demos_matter)
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(N), min_leads=20)
    matrix = encoder.transform(mask_levels(table, encoder, lead=np.arange(N), seed=0))
    names = encoder.without_others(table)
    assert names == ("lead.course",)
    return rules_for(matrix, won, encoder, *names)


def test_fit_newcomers_when_what_was_learned_holds_for_levels_left_out_then_there_is_no_rule() -> None:
    assert fitted(demos_matter=False) == ()


def test_fit_newcomers_when_levels_contradict_each_other_then_little_is_said_of_a_new_one() -> None:
    rules = fitted(demos_matter=True)
    assert [rule.feature for rule in rules] == ["lead.course"]
    assert 0.0 <= rules[0].slope < 0.8


def test_fit_newcomers_when_fits_of_few_rows_are_too_bold_then_levels_are_not_blamed() -> None:
    table, won = leads(demos_matter=False)
    table, won = table.slice(0, 400), won[:400]
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(400), min_leads=5)
    noise = np.random.default_rng(1).normal(size=(400, 60))
    matrix = np.hstack([encoder.transform(table), noise])
    assert rules_for(matrix, won, encoder, "lead.course", strength=30.0) == ()


def test_fit_newcomers_when_only_the_trees_carry_over_then_there_is_no_rule() -> None:
    generator = np.random.default_rng(2)
    course, size = generator.integers(0, 5, N), generator.normal(0, 1, N)
    # Far from the middle is good in every course; each course adds a slope of its own, which misleads elsewhere.
    slope = np.array([1.5, -1.5, 1.5, -1.5, 0.0])[course]
    won = (generator.random(N) < expit(3 * (abs(size) - 0.8) + 0.3 * slope * size)).astype(float)
    rest = {f.name: generator.uniform(0, 9, N) for f in FEATURES.features}
    table = pa.table(rest | {"lead.course": pa.array(COURSES[course]).dictionary_encode(), "lead.size": size})
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(N), min_leads=20)
    matrix, lead = encoder.transform(table), np.arange(N)
    blend, _, _ = fit_blend(matrix, won, lead=lead, group=lead, recipe=Recipe(seed=0, bags=2, threads=1))
    assert blend.weight > 0.8
    alone = Blend(blend.logistic, (), 0.0)
    assert [rule.feature for rule in rules_for(matrix, won, encoder, "lead.course", blend=alone)] == ["lead.course"]
    assert rules_for(matrix, won, encoder, "lead.course", blend=blend) == ()


def test_fit_newcomers_when_other_was_taught_by_rare_levels_then_there_is_no_rule() -> None:
    table, won = leads(demos_matter=True)
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(N), min_leads=20)
    matrix = encoder.transform(table)
    assert rules_for(matrix, won, encoder) == ()


def test_fit_newcomers_when_there_are_few_levels_then_a_new_one_has_the_base_rate_in_the_models_order() -> None:
    table, won = leads(demos_matter=False)
    few = np.isin(np.asarray(table["lead.course"].to_pylist()), ["a", "b", "c"])
    table, won = table.filter(pa.array(few)), won[few]
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(len(won)), min_leads=20)
    matrix = encoder.transform(table)
    (rule,) = rules_for(matrix, won, encoder, "lead.course")
    own = np.array([2.0, -3.0, 0.0])
    assert expit(rule.log_odds(own)) == pytest.approx(won.mean(), abs=1e-11)
    assert np.argsort(expit(rule.log_odds(own))).tolist() == [1, 2, 0]


def test_moved_when_the_level_of_the_model_moves_then_newcomers_move_as_much() -> None:
    rule, own = Newcomer("lead.course", 0.4, -0.1), np.array([-1.0, 2.0])
    assert rule.moved(0.3).log_odds(own + 0.3) == pytest.approx(rule.log_odds(own) + 0.3)


def test_newcomer_rows_when_several_rules_could_speak_then_the_most_careful_does() -> None:
    table = pa.table({"x": pa.array(["a", "b"] * 50), "y": pa.array(["c", "d"] * 50)})
    features = FeatureSet(attributes=(Attribute("x", "category", "creation"), Attribute("y", "category", "creation")))
    renamed = table.rename_columns(["lead.x", "lead.y"])
    encoder = fit_encoder(renamed, features.attribute_features, lead=np.arange(100), min_leads=5)
    asked = pa.table({"lead.x": ["a", "new", "new", None], "lead.y": ["new", "c", "new", "c"]})
    rules = (Newcomer("lead.x", 0.5, 0.0), Newcomer("lead.y", 0.2, 0.0))
    assert newcomer_rows(rules, encoder, encoder.transform(asked)).tolist() == [1, 0, 1, -1]


def test_to_dict_when_written_as_json_then_the_rule_comes_back() -> None:
    rule = Newcomer("lead.course", 0.4, -0.1)
    assert Newcomer.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
