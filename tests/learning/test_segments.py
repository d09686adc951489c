"""Segments share one model: their own levels are found where there are any, and are nothing where there are none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from mqlml.learning.encoder import Column, Encoder
from mqlml.learning.evaluation import log_loss
from mqlml.learning.labels import Rows
from mqlml.learning.likelihood import line_loss
from mqlml.learning.model import Model
from mqlml.learning.recipe import Recipe
from mqlml.learning.segments import Segments, SegmentTest, fit_segments, segment_of
from mqlml.learning.snapshots import DAY
from mqlml.learning.training import Training, train_model
from mqlml.learning.windows import plan_windows
from mqlml.review.reasons import Explainer
from mqlml.tape.features import Attribute, FeatureSet

NAMES = np.array([f"region {k:02}" for k in range(12)])


def outcomes(offsets: np.ndarray, *, rows: int, seed: int) -> SegmentTest:
    """Calibrated scores but for each segment's own level; segments of very different sizes."""
    generator = np.random.default_rng(seed)
    share = 1 / np.arange(1, len(offsets) + 1)
    code = generator.choice(len(offsets), rows, p=share / share.sum())
    z = generator.normal(-1.5, 1.0, rows)
    won = (generator.random(rows) < expit(z + offsets[code])).astype(float)
    return SegmentTest(z, won, NAMES[code], np.arange(rows))


def test_fit_segments_when_segments_have_levels_of_their_own_then_nine_in_ten_intervals_hold_them() -> None:
    held, gains = [], []
    for seed in range(40):
        generator = np.random.default_rng(1_000 + seed)
        offsets = generator.normal(0, 0.5, 12)
        found = fit_segments("lead.region", [outcomes(offsets, rows=6_000, seed=seed)])
        later = outcomes(offsets, rows=6_000, seed=5_000 + seed)
        # What moved all alike belongs to no segment: truths are told apart from their own mean, as found.
        common = np.average(offsets, weights=1 / np.arange(1, 13))
        held += [o.low <= offsets[k] - common <= o.high for k, o in enumerate(found.offsets.values())]
        z = later.log_odds + found.of(later.segment)
        gains.append(line_loss(later.log_odds, later.won).mean() - line_loss(z, later.won).mean())
    assert 0.85 <= np.mean(held) <= 0.95
    assert min(gains) > 0


def test_fit_segments_when_segments_do_not_differ_then_next_to_nothing_is_added() -> None:
    added, lost = [], []
    for seed in range(40):
        found = fit_segments("lead.region", [outcomes(np.zeros(12), rows=6_000, seed=seed)])
        later = outcomes(np.zeros(12), rows=6_000, seed=5_000 + seed)
        added.append(max(abs(o.applied) for o in found.offsets.values()))
        z = later.log_odds + found.of(later.segment)
        lost.append(line_loss(z, later.won).mean() - line_loss(later.log_odds, later.won).mean())
    assert np.median(added) < 0.03
    assert max(added) < 0.2
    assert max(lost) < 1e-3
    assert np.mean(lost) < 1e-4


def test_fit_segments_when_a_segment_is_small_then_its_level_is_shrunk_more() -> None:
    offsets = np.array([0.6, -0.6, *[0.0] * 9, 0.6])
    found = fit_segments("lead.region", [outcomes(offsets, rows=3_000, seed=1)]).offsets
    kept = {name: o.applied / o.found for name, o in found.items()}
    assert kept["region 11"] < kept["region 00"] < 1
    widths = {name: o.high - o.low for name, o in found.items()}
    assert widths["region 11"] > 2 * widths["region 00"]


def test_fit_segments_when_a_window_moved_all_segments_alike_then_none_has_a_level() -> None:
    alike = replace(outcomes(np.zeros(12), rows=6_000, seed=3))
    moved = replace(alike, log_odds=alike.log_odds - 1.0)
    one, other = (fit_segments("lead.region", [test]) for test in (alike, moved))
    for name, offset in one.offsets.items():
        assert other.offsets[name].found == pytest.approx(offset.found, abs=1e-6)


def test_of_when_a_segment_is_new_or_alone_then_nothing_is_added() -> None:
    found = fit_segments("lead.region", [outcomes(np.linspace(-1, 1, 12), rows=6_000, seed=0)])
    added = found.of(np.array(["new", "", "region 00"]))
    assert added[:2].tolist() == [0.0, 0.0]
    assert added[2] < -0.3
    single = SegmentTest(np.zeros(9), np.ones(9), np.full(9, "one"), np.arange(9))
    assert fit_segments("lead.region", [single]).offsets == {}
    assert Segments.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_segment_of_when_a_level_has_no_column_then_the_row_has_no_segment() -> None:
    columns = (Column("lead.region", "level", level="a"), Column("lead.size", "value"), Column("lead.region", "other"))
    encoder = Encoder(columns)
    matrix = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    assert segment_of("lead.region", encoder, matrix).tolist() == ["a", ""]
    assert segment_of(None, encoder, matrix).tolist() == ["", ""]


FEATURES = FeatureSet(
    attributes=(Attribute("size", "number", "creation"), Attribute("region", "category", "creation")), age=False
)


def history(leads: int, *, drift: float, seed: int) -> tuple[Rows, pa.Table]:
    """Five regions; two of them part in the second half, one upwards, one downwards."""
    generator = np.random.default_rng(seed)
    at = np.sort(generator.integers(0, 700, leads)) * DAY
    code, size = generator.integers(0, 5, leads), generator.normal(size=leads)
    moved = np.array([drift, -drift, 0.0, 0.0, 0.0])[code] * (at > 350 * DAY)
    won = (generator.random(leads) < expit(-1 + 0.8 * size + moved)).astype(float)
    table = pa.table(
        {"lead_id": [str(i) for i in range(leads)], "lead.size": size, "lead.region": NAMES[code].tolist()}
    )
    return Rows(np.arange(leads), at, at, at + 30 * DAY, won, np.arange(leads), "horizon"), table


@pytest.fixture(scope="module")
def training() -> Training:
    rows, table = history(4_000, drift=1.0, seed=0)
    recipe = Recipe(0, 2, 1, segment="lead.region")
    return train_model(table, rows, FEATURES, plan_windows(rows, origins=3, seed=0), recipe=recipe, min_leads=20)


@pytest.mark.training
def test_train_model_when_segments_part_then_forward_tests_teach_their_levels(training: Training) -> None:
    found = training.model.segments.offsets
    assert found["region 00"].applied > 0.1 > -0.1 > found["region 01"].applied
    assert training.tested.alike is not None
    assert (training.tested.alike != training.tested.p).any()
    rows, table = history(20_000, drift=1.0, seed=9)
    late = rows.when > 350 * DAY
    table = table.filter(pa.array(late))
    with_it, without = (
        log_loss(rows.won[late], m.probability(table), np.ones(int(late.sum())))
        for m in (training.model, replace(training.model, segments=Segments()))
    )
    assert with_it < without


@pytest.mark.training
def test_explainer_when_segments_have_levels_then_reasons_sum_and_stand_at_the_segment(training: Training) -> None:
    table = history(200, drift=1.0, seed=4)[1]
    model = training.model
    found = Explainer(model).explain(table)
    np.testing.assert_allclose(
        found.base + found.parts.sum(axis=1), model.log_odds(model.matrix(table)), rtol=0, atol=1e-9
    )
    plain = Explainer(replace(model, segments=Segments())).explain(table)
    added = model.segments.of(np.asarray(table["lead.region"].to_pylist()))
    place = found.names.index("region")
    np.testing.assert_allclose(found.parts[:, place] - plain.parts[:, place], added, atol=1e-12)
    np.testing.assert_array_equal(np.delete(found.parts, place, 1), np.delete(plain.parts, place, 1))


@pytest.mark.training
def test_from_parts_when_segments_are_stored_then_the_model_comes_back(training: Training) -> None:
    parts = training.model.to_parts()
    again = Model.from_parts(json.loads(parts["model.json"]), parts)
    table = history(200, drift=1.0, seed=4)[1]
    np.testing.assert_array_equal(again.probability(table), training.model.probability(table))
    assert again.segments == training.model.segments
    new = table.set_column(2, "lead.region", pa.array(["new"] * 200))
    alike = replace(again, segments=Segments())
    np.testing.assert_array_equal(again.probability(new), alike.probability(new))
