"""Simpler ways: learned in each round from what the model learned from, and nothing later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from learning.simulated import simulate

from mqlml.learning.baselines import rates_by_points, simpler_ways, source_feature
from mqlml.learning.odoo import OdooLeads, fit_odoo
from mqlml.learning.present import PresentRule
from mqlml.learning.windows import plan_windows


def with_events(table: pa.Table, counts: np.ndarray) -> pa.Table:
    table = table.append_column("events.demo.count_7d", pa.array(counts * 0.0))
    table = table.append_column("events.demo.count_30d", pa.array(counts))
    return table.append_column("events.any.count_30d", pa.array(counts))


def test_simpler_ways_when_everything_is_there_then_each_rung_predicts_every_tested_row() -> None:
    data = simulate("words", seed=0, won=300, lost=300)
    plan = plan_windows(data.rows, origins=4, seed=0)
    counts = np.random.default_rng(0).poisson(1.0, len(data.rows)).astype(float)
    rule = PresentRule("mine", "", counts, None)
    ways = simpler_ways(with_events(data.table, counts), data.rows, plan, present=rule)
    assert list(ways) == ["win rate by source", "present rule", "Odoo's method", "Odoo's method with engagement"]
    tested = sum(int(r.test.sum()) for r in plan.rounds)
    for p in ways.values():
        assert len(p) == tested
        assert ((p > 0) & (p < 1)).all()


def test_simpler_ways_when_later_rows_change_then_earlier_chances_do_not() -> None:
    data = simulate("words", seed=1, won=300, lost=300)
    plan = plan_windows(data.rows, origins=4, seed=0)
    counts = np.random.default_rng(1).poisson(1.0, len(data.rows)).astype(float)
    table = with_events(data.table, counts)
    rule = PresentRule("mine", "", counts, None)
    before = simpler_ways(table, data.rows, plan, present=rule)
    later = data.rows.known > plan.rounds[-1].origin
    flipped = replace(data.rows, won=np.where(later, 1 - data.rows.won, data.rows.won))
    after = simpler_ways(table, flipped, plan, present=rule)
    for name, p in before.items():
        assert np.array_equal(p, after[name]), name


def test_simpler_ways_when_odoo_counts_the_last_round_then_it_is_the_algorithm_on_the_rows_learned_from() -> None:
    data = simulate("words", seed=2, won=300, lost=300)
    plan = plan_windows(data.rows, origins=4, seed=0)
    last = plan.rounds[-1]
    p = simpler_ways(data.table, data.rows, plan, present=None)["Odoo's method"][-int(last.test.sum()) :]
    names = [n for n in data.table.column_names if pa.types.is_dictionary(data.table.schema.field(n).type)]
    codes = np.column_stack([data.table[n].combine_chunks().indices.to_numpy() for n in names]).astype(np.int64)
    model = fit_odoo(OdooLeads.plain(codes[last.fit]), data.rows.won[last.fit])
    assert p == pytest.approx(model.probability(OdooLeads.plain(codes[last.test])))


def test_simpler_ways_when_there_are_no_words_and_no_events_then_odoo_has_nothing_to_count() -> None:
    data = simulate("one number", seed=3, won=100, lost=100)
    plan = plan_windows(data.rows, origins=4, seed=0)
    numbers = data.table.select([n for n in data.table.column_names if not n.startswith("lead.s")][:7])
    assert simpler_ways(numbers, data.rows, plan, present=None) == {}


def test_source_feature_when_it_is_a_number_then_it_is_none() -> None:
    table = pa.table({"lead.Lead Source": pa.array([1.0]), "lead.channel": pa.array(["web"]).dictionary_encode()})
    assert source_feature(table) == "lead.channel"


def test_rates_by_points_when_few_values_then_smoothed_rates_that_never_fall() -> None:
    points = np.repeat([0.0, 10.0, 20.0], [400, 400, 400])
    won = np.concatenate([np.repeat([1.0, 0.0], [k, 400 - k]) for k in (40, 20, 120)])
    p = rates_by_points(points, won, np.ones(1_200, dtype=bool))
    assert p[0] == pytest.approx((60 + 100 * 0.15) / 900, abs=1e-5), "10 % and 5 % are pooled, since points only rise"
    assert p[-1] == pytest.approx((120 + 50 * 0.15) / 450, abs=1e-5)
    assert p[0] < p[400] < p[800], "the order of the points stays"


def test_rates_by_points_when_points_are_missing_then_they_stand_lowest() -> None:
    generator = np.random.default_rng(0)
    points = generator.normal(size=2_000)
    won = (generator.random(2_000) < 0.2 + 0.1 * (points > 0)).astype(float)
    p = rates_by_points(np.where(np.arange(2_000) % 10 == 0, np.nan, points), won, np.arange(2_000) < 1_500)
    assert p[np.arange(2_000) % 10 == 0].max() <= p[np.arange(2_000) % 10 != 0].min() + 1e-9
    known = np.arange(2_000) % 10 != 0
    assert (np.diff(p[known][np.argsort(points[known])]) >= 0).all()
