"""Reasons that sum, agree with the shap package, and say what is true of the lead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.calibration import Calibrator
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.learning.model import Model
from mqlml.learning.newcomers import Newcomer
from mqlml.learning.propensity import fit_blend
from mqlml.learning.recipe import Recipe
from mqlml.operation.golden import check_golden_rows, make_golden_rows
from mqlml.review.drivers import drivers
from mqlml.review.reasons import NOT_SUPPLIED, Explainer, difference_from_shap
from mqlml.review.sentences import FactWriter, top_reasons
from mqlml.tape.features import Attribute, FeatureSet

N = 3_000
FEATURES = FeatureSet(
    event_types=("demo",),
    windows_days=(7, 30),
    half_lives_days=(7,),
    attributes=(Attribute("industry", "category", "creation"), Attribute("size", "number", "creation")),
)


def leads(n: int = N, seed: int = 0) -> tuple[pa.Table, np.ndarray]:
    """Features by name, and outcomes that follow demos and industry."""
    generator = np.random.default_rng(seed)
    demos = generator.poisson(0.4, n).astype(float)
    industry = generator.choice(["software", "retail", None], n, p=[0.4, 0.4, 0.2])
    columns: dict[str, object] = {}
    for feature in FEATURES.features:
        if feature.name == "lead.industry":
            columns[feature.name] = pa.array(industry, pa.string()).dictionary_encode()
        elif feature.name == "lead.size":
            columns[feature.name] = np.where(generator.random(n) < 0.3, np.nan, generator.lognormal(3, 1, n))
        elif feature.family == "recency":
            columns[feature.name] = np.where(demos > 0, generator.uniform(0, 30, n), np.nan)
        else:
            columns[feature.name] = demos if feature.family == "count" else generator.uniform(0, 90, n)
    z = -2 + 1.2 * demos + 0.8 * (industry == "software")
    return pa.table(columns), (generator.random(n) < 1 / (1 + np.exp(-z))).astype(float)


@pytest.fixture(scope="module")
def model() -> Model:
    table, won = leads()
    every = np.arange(N)
    encoder = fit_encoder(table, FEATURES.features, lead=every, min_leads=20)
    matrix = encoder.transform(table)
    blend, _, _ = fit_blend(matrix, won, lead=every, group=every, recipe=Recipe(0, 2, 1))
    blend = type(blend)(blend.logistic, blend.trees, 0.5)
    return Model(FEATURES, encoder, blend, Calibrator(0.9, -0.1), np.linspace(0, 1, 101))


def test_explain_when_summed_then_it_is_the_calibrated_log_odds(model: Model) -> None:
    table, _ = leads(500, seed=1)
    explanation = Explainer(model).explain(table)
    p = model.probability(table)
    assert np.abs(explanation.base + explanation.parts.sum(axis=1) - np.log(p / (1 - p))).max() < 1e-9
    assert explanation.names[-1] == NOT_SUPPLIED


def test_explain_when_a_level_was_never_seen_then_its_rule_stands_at_that_level(model: Model) -> None:
    table, _ = leads(60, seed=1)
    industry = pa.array(["shipping"] * 30 + ["retail"] * 30).dictionary_encode()
    table = table.set_column(table.column_names.index("lead.industry"), "lead.industry", industry)
    careful = replace(model, newcomers=(Newcomer("lead.industry", 0.25, -0.5),))
    own, told = Explainer(model).explain(table), Explainer(careful).explain(table)
    p, plain = careful.probability(table), model.probability(table)
    assert np.abs(told.base + told.parts.sum(axis=1) - np.log(p / (1 - p))).max() < 1e-9
    assert np.log(p / (1 - p))[:30] == pytest.approx(0.25 * np.log(plain / (1 - plain))[:30] - 0.5)
    assert (p[30:] == plain[30:]).all()
    demo = own.names.index("demo")
    assert told.parts[:30, demo] == pytest.approx(0.25 * own.parts[:30, demo])


def test_explain_when_an_attribute_is_missing_then_its_part_stands_under_not_supplied(model: Model) -> None:
    table, _ = leads(500, seed=1)
    explanation = Explainer(model).explain(table)
    missing = table["lead.industry"].is_null().to_numpy()
    part = explanation.parts[:, explanation.names.index("industry")]
    assert (part[missing] == 0).all()
    assert (part[~missing] != 0).all()
    complete = ~missing & ~np.isnan(table["lead.size"].to_numpy())
    assert (explanation.parts[complete, -1] == 0).all()


def test_difference_from_shap_when_trees_are_explained_then_there_is_none(model: Model) -> None:
    table, _ = leads(50, seed=2)
    assert model.blend.trees
    assert difference_from_shap(model, model.matrix(table)) < 1e-9


def test_top_reasons_when_a_lead_asked_for_demos_then_that_comes_first(model: Model) -> None:
    table, _ = leads(500, seed=3)
    keen = int(np.argmax(table["events.demo.count_7d"].to_numpy()))
    said = top_reasons(Explainer(model).explain(table), FactWriter(FEATURES, table))
    assert len(said) == 500
    assert any("'demo' in the last 7 days (raises the chance)" in text for text in said[keen])
    assert all(1 <= len(texts) <= 3 for texts in said)


def test_fact_when_numbers_are_the_leads_own_then_they_are_said_with_units(model: Model) -> None:
    table = leads(3, seed=4)[0]
    changes = {
        "lead.industry": pa.array(["a\nb" + "x" * 100, None, "retail"], pa.string()),
        "lead.size": pa.array([1234.0, np.nan, np.nan]),
        "events.demo.count_7d": pa.array([0.0, 0.0, 2.0]),
        "events.demo.count_30d": pa.array([3.0, 0.0, 5.0]),
        "events.demo.days_since_last": pa.array([12.0, np.nan, 0.5]),
        "time.age_days": pa.array([1.5, 40.0, 0.2]),
    }
    for name, column in changes.items():
        table = table.set_column(table.column_names.index(name), name, column)
    ever = pa.array([4.0, 0.0, 5.0])
    facts = FactWriter(FEATURES, table)
    assert facts.fact("size", 0) == "size: 1,234"
    assert facts.fact("industry", 0).startswith("industry: a\\nb")
    assert len(facts.fact("industry", 0)) < 60
    assert facts.fact("demo", 0) == "3 × 'demo' in the last 30 days"
    assert facts.fact("demo", 1) == "no 'demo' so far"
    assert facts.fact("demo", 2) == "2 × 'demo' in the last 7 days"
    assert facts.fact(NOT_SUPPLIED, 1) == "not supplied: industry, size"
    assert facts.fact("age of the lead", 0) == "1 day since the lead was created"
    assert facts.recency("demo", 2) == 0.5
    assert facts.recency("industry", 0) == float("inf")

    def without(*measures: str) -> FactWriter:
        return FactWriter(FEATURES.without({f"events.demo.{m}" for m in measures}), table)

    table = table.set_column(table.column_names.index("events.demo.count_ever"), "events.demo.count_ever", ever)
    fewer = without("count_7d")
    assert [fewer.fact("demo", row) for row in range(2)] == ["3 × 'demo' in the last 30 days", "no 'demo' so far"]
    fewer = without("count_7d", "count_30d")
    assert [fewer.fact("demo", row) for row in range(2)] == ["last 'demo' 12 days ago", "no 'demo' so far"]
    fewer = without("count_30d", "days_since_last")
    assert [fewer.fact("demo", row) for row in range(2)] == ["4 × 'demo' so far", "no 'demo' so far"]
    fewer = without("count_30d", "days_since_last", "count_ever")
    # What is not looked at is not denied.
    assert fewer.fact("demo", 0) == "no 'demo' in the last 7 days"
    assert fewer.told("demo", 0).feature == "events.demo.count_7d"
    assert fewer.fact("demo", 2) == "2 × 'demo' in the last 7 days"
    assert fewer.recency("demo", 2) == float("inf")


def test_drivers_when_ranked_then_the_strongest_is_first_and_shares_sum_to_one(model: Model) -> None:
    from mqlml.learning.labels import Rows

    table, won = leads()
    every = np.arange(N)
    rows = Rows(every, every, every, every, won, every, "horizon")
    explainer = Explainer(model)
    used = {c.feature for c in model.encoder.columns}
    found = drivers(explainer.explain(table), table, FEATURES, used, table, rows)
    assert found[0]["criterion"] == "demo"
    assert found[0]["direction"] == "raises"
    assert sum(d["importance"] for d in found) <= 1 + 1e-9
    industry = next(d for d in found if d["criterion"] == "industry")
    rates = {b["label"]: b["win_rate"] for b in industry["shape"]}
    assert rates["software"] > rates["retail"]
    assert industry["direction"] == "mixed", "a category is neither more nor less"
    assert all(b["low"] <= b["win_rate"] <= b["high"] for d in found for b in d["shape"])


def test_golden_rows_when_the_model_is_another_then_it_is_refused(model: Model) -> None:
    from pathlib import Path

    from mqlml.errors import DataRefused

    golden = make_golden_rows(model)
    check_golden_rows(model, golden, Path("bundle"))
    other = Model(model.features, model.encoder, model.blend, Calibrator(0.8, 0.0), model.reference)
    with pytest.raises(DataRefused, match="MQL-golden-rows bundle: the bundle gives other chances"):
        check_golden_rows(other, golden, Path("bundle"))
