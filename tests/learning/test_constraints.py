"""Decisions on criteria: the model obeys them in both halves."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.constraints import Constraints
from mqlml.learning.encoder import Column, Encoder
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.learning.logistic import fit_logistic
from mqlml.learning.propensity import fit_blend
from mqlml.learning.recipe import Recipe
from mqlml.tape.columns import Feature

CLICKS = Feature("events.click.count_7d", "count", "engagement", "click", "events", "Clicks.", window_days=7)
LAST = Feature("events.click.days_since_last", "recency", "timing", "click", "days", "Since.")
SIZE = Feature("lead.size", "attribute", "fit", "size", "as recorded", "Size.")
COUNTRY = Feature("lead.country", "attribute", "fit", "country", "category", "Country.", kind="category")
FEATURES = (CLICKS, LAST, SIZE, COUNTRY)


def world(rows: int = 4_000) -> tuple[pa.Table, np.ndarray]:
    """Leads that win more often with more clicks, fewer days since, and a middling size."""
    generator = np.random.default_rng(0)
    clicks, days = generator.poisson(3, rows).astype(float), generator.exponential(20, rows)
    size = generator.normal(0, 1, rows)
    country = generator.choice(["AT", "DE"], rows)
    z = -1.5 + 0.4 * clicks - 0.03 * days - size**2 + 0.5 * (country == "AT")
    won = (generator.random(rows) < 1 / (1 + np.exp(-z))).astype(float)
    table = pa.table({CLICKS.name: clicks, LAST.name: days, SIZE.name: size, COUNTRY.name: pa.array(country.tolist())})
    return table, won


def encoded(constraints: Constraints) -> tuple[Encoder, np.ndarray, np.ndarray]:
    table, won = world()
    encoder = fit_encoder(table, FEATURES, lead=np.arange(len(won)), min_leads=20, constraints=constraints)
    return encoder, encoder.transform(table), won


def test_signs_when_a_criterion_has_a_direction_then_days_since_turn_and_categories_are_free() -> None:
    constraints = Constraints(direction={"click": 1, "size": -1, "country": 1})
    columns = [Column(f.name, "value") for f in FEATURES] + [Column(CLICKS.name, "missing")]
    assert constraints.signs(columns, FEATURES).tolist() == [1, -1, -1, 0, 0]
    assert constraints.without_direction(FEATURES) == ("country",)


def test_encoder_when_a_criterion_is_barred_or_capped_then_it_is_gone_or_counts_no_more() -> None:
    encoder, matrix, _ = encoded(Constraints(barred=frozenset({"country", "size"}), caps={"click": 2.0}))
    assert {c.feature for c in encoder.columns} == {CLICKS.name, LAST.name}
    assert sorted(set(matrix[:, 0])) == [0.0, 1.0, 2.0]
    assert matrix[:, 1].max() > 2
    beyond = pa.table({CLICKS.name: [50.0], LAST.name: [1.0]})
    assert encoder.transform(beyond)[0, 0] == 2.0


def test_encoder_when_written_and_read_then_the_cap_is_kept() -> None:
    encoder, _, _ = encoded(Constraints(caps={"click": 2.0}))
    assert Encoder.from_dict(encoder.to_dict()) == encoder


@pytest.mark.parametrize("sign", [1, -1])
def test_logistic_when_signs_are_given_then_no_coefficient_has_the_other_one(sign: int) -> None:
    _, matrix, won = encoded(Constraints())
    signs = np.full(matrix.shape[1], sign, dtype=np.int8)
    beta = fit_logistic(matrix, won, strength=0.3, seed=0, signs=signs).beta
    assert (beta * sign >= 0).all()
    assert (beta != 0).any()


@pytest.mark.parametrize("criterion", ["click", "size"])
@pytest.mark.parametrize("direction", [1, -1])
def test_blend_when_a_criterion_has_a_direction_then_the_chance_never_goes_the_other_way(
    criterion: str, direction: int
) -> None:
    constraints = Constraints(direction={criterion: direction})
    encoder, matrix, won = encoded(constraints)
    lead = np.arange(len(won))
    recipe = Recipe(seed=0, bags=3, threads=1, constraints=constraints)
    signs = constraints.signs(encoder.columns, FEATURES)
    blend = fit_blend(matrix, won, lead=lead, group=lead, recipe=recipe, signs=signs)[0]
    assert blend.trees
    for j in np.flatnonzero(signs):
        walked = np.repeat(matrix[:50], 40, axis=0)
        walked[:, j] = np.tile(np.linspace(matrix[:, j].min(), matrix[:, j].max(), 40), 50)
        for half in blend.halves(walked):
            steps = np.diff(half.reshape(50, 40), axis=1) * signs[j]
            assert steps.min() >= -1e-9
