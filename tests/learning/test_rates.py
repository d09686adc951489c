"""Columns of many levels as rates: shrunk by chance, never told by their own outcomes, rare levels folded away."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit
from sklearn.preprocessing import TargetEncoder

from mqlml.learning.encoder import Encoder, mask_levels
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.learning.evaluation import log_loss
from mqlml.learning.labels import Rows
from mqlml.learning.model import Model
from mqlml.learning.rates import Evidence, RatedLevels, level_rates
from mqlml.learning.recipe import Recipe
from mqlml.learning.shrinkage import between_variance
from mqlml.learning.snapshots import DAY
from mqlml.learning.training import train_model
from mqlml.learning.windows import plan_windows
from mqlml.review.reasons import Explainer
from mqlml.tape.features import Attribute, FeatureSet

FEATURES = FeatureSet(
    attributes=(Attribute("size", "number", "creation"), Attribute("campaign", "category", "creation")), age=False
)
CANARY = "Canary Campaign"


def drawn(leads: int, levels: int, *, spread: float, seed: int) -> tuple[Rows, pa.Table]:
    """Leads of small accounts, one number that counts, and campaigns whose log-odds differ by ``spread``."""
    generator = np.random.default_rng(seed)
    effect = np.random.default_rng(7).normal(0, spread, levels)
    account = np.sort(generator.integers(0, leads * 3 // 4, leads))
    code, size = generator.integers(0, levels, leads), generator.normal(size=leads)
    won = (generator.random(leads) < expit(-1.5 + 0.6 * size + effect[code])).astype(float)
    at = np.sort(generator.integers(0, 700, leads)) * DAY
    names = np.array([f"c{k:03}" for k in range(levels)], dtype=object)[code]
    names[0] = CANARY
    table = pa.table({"lead_id": [str(i) for i in range(leads)], "lead.size": size, "lead.campaign": names.tolist()})
    return Rows(np.arange(leads), at, at, at + 30 * DAY, won, account, "horizon"), table


def trained(rows: Rows, table: pa.Table, features: FeatureSet, *, seed: int) -> Model:
    plan = plan_windows(rows, origins=2, seed=seed)
    return train_model(table, rows, features, plan, recipe=Recipe(seed, 2, 1), min_leads=20).model


@pytest.fixture(scope="module")
def model() -> Model:
    """A model of 60 campaigns that truly differ."""
    return trained(*drawn(2_400, 60, spread=1.0, seed=0), FEATURES, seed=0)


def test_level_rates_when_rows_are_single_then_they_are_scikit_learns_at_the_estimated_smoothing() -> None:
    generator = np.random.default_rng(0)
    code = generator.integers(0, 40, 4_000)
    won = (generator.random(4_000) < expit(generator.normal(-1, 0.7, 40))[code]).astype(float)
    found = level_rates(code, 40, Evidence(won, np.arange(4_000)))
    usual, counts = won.mean(), np.bincount(code)
    rates = np.bincount(code, won) / counts
    smooth = usual * (1 - usual) / between_variance(rates, usual * (1 - usual) / counts)
    theirs = TargetEncoder(smooth=smooth, target_type="binary").fit(code[:, None], won.astype(int)).encodings_[0]
    np.testing.assert_allclose(expit(found + logit(usual)), theirs, rtol=1e-9)


def test_level_rates_when_levels_do_not_differ_then_hardly_anything_is_said() -> None:
    generator = np.random.default_rng(1)
    code = generator.integers(0, 500, 12_000)
    won = (generator.random(12_000) < 0.2).astype(float)
    raw = logit(np.clip(np.bincount(code, won) / np.bincount(code), 0.01, 0.99)) - logit(won.mean())
    found = level_rates(code, 500, Evidence(won, np.arange(12_000)))
    assert found.std() < 0.1 * raw.std()


def test_level_rates_when_an_account_repeats_itself_then_it_counts_once() -> None:
    code = np.repeat(np.arange(40), 50)
    won = np.repeat(np.arange(40) % 4 == 0, 50).astype(float)
    once = level_rates(code, 40, Evidence(won, np.repeat(np.arange(40), 50)))
    often = level_rates(code, 40, Evidence(won, np.arange(2_000)))
    assert np.abs(once).max() < 0.3 * np.abs(often).max()


def test_columns_when_an_accounts_outcomes_change_then_its_own_rates_do_not() -> None:
    generator = np.random.default_rng(2)
    group, code = np.repeat(np.arange(400), 3), generator.integers(0, 20, 1_200)
    won = (generator.random(1_200) < expit(generator.normal(-1, 1, 20))[code]).astype(float)
    mine = group == 17
    flipped = np.where(mine, 1 - won, won)
    out = group >= 300
    # The folds keep their wins even: a change that leaves the account among the winning ones keeps the folds as well.
    assert won[mine].any()
    assert flipped[mine].any()
    before, after = (RatedLevels({4: code}, Evidence(w, group), seed=0) for w in (won, flipped))
    np.testing.assert_array_equal(before.columns()[4][mine], after.columns()[4][mine])
    assert (before.columns()[4] != after.columns()[4]).any()
    # Of accounts held out nothing is used, neither for their own rows nor for others'.
    others = np.where(out & np.isin(group, group[won > 0]), 1.0, won)
    assert (others != won).any()
    held_out = RatedLevels({4: code}, Evidence(others, group), seed=0)
    np.testing.assert_array_equal(held_out.columns(out)[4], before.columns(out)[4])
    told = level_rates(code[~out], 20, Evidence(won[~out], group[~out]))
    np.testing.assert_allclose(before.columns(out)[4][out], told[code[out]])


def test_fit_encoder_when_a_category_has_more_than_30_frequent_levels_then_it_is_one_number() -> None:
    rows, table = drawn(2_400, 60, spread=1.0, seed=0)
    evidence = Evidence(rows.won, rows.group)
    found = fit_encoder(table, FEATURES.features, lead=rows.lead, min_leads=20, evidence=evidence)
    columns = [c for c in found.columns if c.feature == "lead.campaign"]
    assert [c.kind for c in columns] == ["rate", "other"]
    assert 30 < len(columns[0].rates) <= 60
    assert Encoder.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    fewer = table.filter(pa.array(np.isin(table["lead.campaign"].to_pylist(), [f"c{k:03}" for k in range(30)])))
    n = len(fewer)
    plain = fit_encoder(
        fewer, FEATURES.features, lead=np.arange(n), min_leads=20, evidence=Evidence(np.zeros(n), np.arange(n))
    )
    assert "rate" not in {c.kind for c in plain.columns}


def test_transform_when_a_level_is_rare_new_or_hidden_then_it_has_the_overall_rate_and_is_other(model: Model) -> None:
    rows, table = drawn(2_400, 60, spread=1.0, seed=0)
    places = {c.kind: j for j, c in enumerate(model.encoder.columns) if c.feature == "lead.campaign"}
    new = pa.table({"lead.size": [0.0, 0.0, 0.0], "lead.campaign": ["never seen", CANARY, None]})
    matrix = model.matrix(new)
    assert matrix[:, places["rate"]].tolist() == [0.0, 0.0, 0.0]
    assert matrix[:, places["other"]].tolist() == [1.0, 1.0, 0.0]
    assert model.encoder.unseen(new).tolist() == [True, True, False]
    masked = model.matrix(mask_levels(table, model.encoder, lead=rows.lead, seed=0))
    hidden = (masked[:, places["other"]] > 0) & (model.matrix(table)[:, places["other"]] == 0)
    assert hidden.sum() > 20
    assert (masked[hidden, places["rate"]] == 0).all()


@pytest.mark.training
def test_model_when_a_level_is_rare_then_it_stands_nowhere_in_the_bundle(model: Model) -> None:
    stored = b"".join(model.to_parts().values())
    assert CANARY.encode() not in stored
    assert b"c001" in stored


@pytest.mark.training
def test_explainer_when_a_category_is_a_number_then_its_reason_is_its_own_and_reasons_sum(model: Model) -> None:
    table = drawn(300, 60, spread=1.0, seed=5)[1]
    found = Explainer(model).explain(table)
    assert "campaign" in found.names
    np.testing.assert_allclose(
        found.base + found.parts.sum(axis=1), model.log_odds(model.matrix(table)), rtol=0, atol=1e-9
    )
    rate = next(j for j, c in enumerate(model.encoder.columns) if c.kind == "rate")
    part = found.parts[:, found.names.index("campaign")]
    assert np.corrcoef(part, model.matrix(table)[:, rate])[0, 1] > 0.9


def fresh_loss(spread: float, levels: int, leads: int, features: FeatureSet, *, seed: int) -> float:
    rows, table = drawn(20_000, levels, spread=spread, seed=1_000_000 + seed)
    p = trained(*drawn(leads, levels, spread=spread, seed=seed), features, seed=seed).probability(table)
    return log_loss(rows.won, p, np.ones(len(p)))


ALONE = FeatureSet(attributes=FEATURES.attributes[:1], age=False)


@pytest.mark.slow
def test_model_when_500_levels_are_noise_then_it_is_no_worse_than_without_the_column() -> None:
    lost = [
        fresh_loss(0.0, 500, 12_000, FEATURES, seed=s) - fresh_loss(0.0, 500, 12_000, ALONE, seed=s) for s in range(20)
    ]
    assert max(lost) <= 0.003, lost


@pytest.mark.slow
def test_model_when_300_levels_differ_then_most_of_what_they_tell_is_found() -> None:
    for seed in range(3):
        rows, table = drawn(20_000, 300, spread=0.7, seed=1_000_000 + seed)
        code = np.array([int(name[1:]) if name != CANARY else 0 for name in table["lead.campaign"].to_pylist()])
        effect = np.random.default_rng(7).normal(0, 0.7, 300)
        truth = expit(-1.5 + 0.6 * table["lead.size"].to_numpy() + effect[code])
        best = log_loss(rows.won, truth, np.ones(len(truth)))
        with_it, without = (fresh_loss(0.7, 300, 12_000, f, seed=seed) for f in (FEATURES, ALONE))
        assert (without - with_it) > 0.6 * (without - best), (best, with_it, without)
