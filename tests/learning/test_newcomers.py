"""Leads with a level nobody has seen get no more than what held for levels left out."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit

from mqlml.learning.encoder import Encoder, fit_encoder, mask_levels
from mqlml.learning.logistic import Logistic, fit_logistic
from mqlml.learning.newcomers import Newcomer, fit_newcomers, newcomer_rows
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


def fitted(*, demos_matter: bool) -> tuple[Encoder, Logistic, tuple[Newcomer, ...]]:
    table, won = leads(demos_matter=demos_matter)
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(N), min_leads=20)
    matrix = encoder.transform(mask_levels(table, encoder, lead=np.arange(N), seed=0))
    logistic = fit_logistic(matrix, won, strength=0.3, seed=0)
    names = encoder.without_others(table)
    assert names == ("lead.course",)
    rules = fit_newcomers(matrix, won, encoder, open_features=names, logistic=logistic, seed=0)
    return encoder, logistic, rules


@pytest.fixture(scope="module")
def rule_of() -> tuple[Encoder, Logistic, Newcomer]:
    encoder, logistic, rules = fitted(demos_matter=True)
    return encoder, logistic, Newcomer("lead.course", 0.4, -0.1) if not rules else rules[0]


def test_fit_newcomers_when_what_was_learned_holds_for_levels_left_out_then_there_is_no_rule() -> None:
    assert fitted(demos_matter=False)[2] == ()


def test_fit_newcomers_when_levels_contradict_each_other_then_little_is_said_of_a_new_one() -> None:
    _, _, rules = fitted(demos_matter=True)
    assert [rule.feature for rule in rules] == ["lead.course"]
    assert 0.0 <= rules[0].slope < 0.8


def test_fit_newcomers_when_other_was_taught_by_rare_levels_then_there_is_no_rule() -> None:
    table, won = leads(demos_matter=True)
    encoder = fit_encoder(table, FEATURES.features, lead=np.arange(N), min_leads=20)
    matrix = encoder.transform(table)
    logistic = fit_logistic(matrix, won, strength=0.3, seed=0)
    assert fit_newcomers(matrix, won, encoder, open_features=(), logistic=logistic, seed=0) == ()


def test_log_odds_when_nothing_can_be_said_then_everybody_has_the_base_rate(
    rule_of: tuple[Encoder, Logistic, Newcomer],
) -> None:
    encoder, logistic, _ = rule_of
    table, _ = leads(demos_matter=True, new=True)
    matrix = encoder.transform(table)
    nothing = Newcomer("lead.course", 0.0, float(logit(0.3)))
    counts = nothing.counted(encoder, matrix)
    assert expit(nothing.log_odds(logistic, counts, matrix)) == pytest.approx(0.3)


def test_log_odds_when_split_into_contributions_then_they_sum(rule_of: tuple[Encoder, Logistic, Newcomer]) -> None:
    encoder, logistic, rule = rule_of
    matrix = encoder.transform(leads(demos_matter=True, new=True)[0])
    counts = rule.counted(encoder, matrix)
    parts = rule.contributions(logistic, counts, matrix)
    assert rule.base(logistic) + parts.sum(axis=1) == pytest.approx(rule.log_odds(logistic, counts, matrix), abs=1e-12)
    alone = rule.log_odds(logistic, counts[5:6], matrix[5:6])
    assert alone[0] == rule.log_odds(logistic, counts, matrix)[5], "whatever batch a lead comes in"


def test_counted_when_a_lead_never_did_something_then_it_is_not_held_against_it(
    rule_of: tuple[Encoder, Logistic, Newcomer],
) -> None:
    encoder, _, rule = rule_of
    table, _ = leads(demos_matter=True, new=True)
    counts = rule.counted(encoder, encoder.transform(table))
    demos = table["events.demo.count_ever"].to_numpy()
    by_name = {f.name: f for f in FEATURES.features}
    for j, column in enumerate(encoder.columns):
        if by_name[column.feature].event_type == "demo":
            assert (counts[:, j] == (demos > 0)).all()
        else:
            assert (counts[:, j] == (column.feature != "lead.course")).all()


def test_newcomer_rows_when_several_rules_could_speak_then_the_most_careful_does() -> None:
    table = pa.table({"x": pa.array(["a", "b"] * 50), "y": pa.array(["c", "d"] * 50)})
    features = FeatureSet(attributes=(Attribute("x", "category", "creation"), Attribute("y", "category", "creation")))
    renamed = table.rename_columns(["lead.x", "lead.y"])
    encoder = fit_encoder(renamed, features.attribute_features, lead=np.arange(100), min_leads=5)
    asked = pa.table({"lead.x": ["a", "new", "new", None], "lead.y": ["new", "c", "new", "c"]})
    rules = (Newcomer("lead.x", 0.5, 0.0), Newcomer("lead.y", 0.2, 0.0))
    assert newcomer_rows(rules, encoder, encoder.transform(asked)).tolist() == [1, 0, 1, -1]


def test_to_dict_when_written_as_json_then_the_rule_comes_back() -> None:
    rule = Newcomer("lead.course", 0.4, -0.1).moved(0.3)
    assert Newcomer.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    assert rule.intercept == pytest.approx(0.2)
