"""The design matrix: by name, finite, and with a place for levels nobody has seen."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.encoder import Encoder, mask_levels, without_repeats
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.tape.features import Feature


def feature(name: str, *, kind: str = "number", family: str = "attribute") -> Feature:
    return Feature(name, family, "fit", name, "", "", kind=kind)  # type: ignore[arg-type]


def text(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode()


TABLE = pa.table(
    {
        "lead.source": text(["web"] * 40 + ["fair"] * 30 + ["rare"] * 5 + [None] * 25),
        "lead.size": pa.array([*np.arange(90.0), *[np.nan] * 10]),
        "events.any.days_since_last": pa.array([*np.arange(95.0), *[np.nan] * 5]),
        "lead.same": pa.array(np.ones(100)),
    }
)
FEATURES = [
    feature("lead.source", kind="category"),
    feature("lead.size"),
    feature("events.any.days_since_last", family="recency"),
    feature("lead.same"),
]
LEADS = np.arange(100)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return fit_encoder(TABLE, FEATURES, lead=LEADS, min_leads=10)


def test_fit_encoder_when_levels_are_rare_then_they_share_other(encoder: Encoder) -> None:
    source = [(c.kind, c.level) for c in encoder.columns if c.feature == "lead.source"]
    assert source == [("level", "fair"), ("level", "web"), ("other", None), ("missing", None)]


def test_fit_encoder_when_a_column_never_changes_then_it_is_left_out(encoder: Encoder) -> None:
    assert "lead.same" not in {c.feature for c in encoder.columns}


def test_transform_when_a_lead_never_did_it_then_it_stands_behind_the_longest_ago(encoder: Encoder) -> None:
    matrix = encoder.transform(TABLE)
    j = next(j for j, c in enumerate(encoder.columns) if c.feature == "events.any.days_since_last")
    assert matrix[99, j] == matrix[:95, j].max()


def test_transform_when_a_number_is_missing_then_it_is_median_and_marked(encoder: Encoder) -> None:
    matrix = encoder.transform(TABLE)
    value, missing = (j for j, c in enumerate(encoder.columns) if c.feature == "lead.size")
    assert matrix[95, value] == pytest.approx(np.median(np.log1p(np.arange(90.0))))
    assert matrix[95, missing] == 1.0
    assert matrix[5, missing] == 0.0


def test_transform_when_values_are_unseen_infinite_or_null_then_everything_is_finite(encoder: Encoder) -> None:
    wild = pa.table(
        {
            "lead.source": text(["new", None, "web"]),
            "lead.size": pa.array([np.inf, -1e300, np.nan]),
            "events.any.days_since_last": pa.array([None, 1.0, 2.0]),
        }
    )
    matrix = encoder.transform(wild)
    assert np.isfinite(matrix).all()
    other = next(j for j, c in enumerate(encoder.columns) if c.kind == "other")
    assert matrix[:, other].tolist() == [1.0, 0.0, 0.0]
    assert encoder.unseen(wild).tolist() == [True, False, False]


def test_transform_when_columns_and_dictionaries_are_reordered_then_nothing_changes(encoder: Encoder) -> None:
    turned = TABLE.select(TABLE.column_names[::-1])
    plain = turned.set_column(
        turned.column_names.index("lead.source"), "lead.source", turned["lead.source"].cast(pa.string())
    )
    assert (encoder.transform(plain) == encoder.transform(TABLE)).all()


def test_without_others_when_every_level_has_a_column_then_the_feature_is_named(encoder: Encoder) -> None:
    assert encoder.without_others(TABLE) == (), "rare levels are folded into one"
    assert encoder.without_others(TABLE.slice(0, 70)) == ("lead.source",)
    assert encoder.columns[encoder.other_place("lead.source")].kind == "other"


def test_mask_levels_when_fitted_then_some_leads_have_an_unseen_level(encoder: Encoder) -> None:
    lead = np.repeat(np.arange(1_000), 2)
    table = pa.table({"lead.source": text(["web"] * 2_000)})
    only = Encoder(tuple(c for c in encoder.columns if c.feature == "lead.source"))
    hidden = only.unseen(mask_levels(table, only, lead=lead, seed=0))
    assert 20 <= hidden.sum() <= 100
    assert (hidden[::2] == hidden[1::2]).all(), "a lead is hidden as a whole"


def test_to_dict_when_written_as_json_then_the_encoder_comes_back(encoder: Encoder) -> None:
    assert Encoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder


def test_without_repeats_when_a_column_says_what_an_earlier_one_says_then_it_goes() -> None:
    size = np.arange(90.0) / 10
    other = np.random.default_rng(0).normal(size=90)
    table = pa.table({"lead.size": size, "lead.cents": -100 * size, "lead.other": other, "lead.near": size + other})
    columns = [feature(name) for name in table.column_names]
    encoder = fit_encoder(table, columns, lead=LEADS[:90], min_leads=10)
    fewer, matrix = without_repeats(encoder, encoder.transform(table))
    assert [c.feature for c in fewer.columns] == ["lead.size", "lead.other", "lead.near"]
    assert np.array_equal(matrix, fewer.transform(table))


def test_without_repeats_when_a_level_says_what_another_column_says_then_it_stays() -> None:
    team = ["a", "b"] * 45
    table = pa.table({"lead.team": text(team), "lead.is_a": np.equal(team, "a").astype(float)})
    columns = [feature("lead.team", kind="category"), feature("lead.is_a")]
    encoder = fit_encoder(table, columns, lead=LEADS[:90], min_leads=10)
    fewer, _ = without_repeats(encoder, encoder.transform(table))
    assert [(c.feature, c.kind) for c in fewer.columns] == [
        ("lead.team", "level"),
        ("lead.team", "level"),
        ("lead.team", "other"),
    ]


@pytest.mark.parametrize(("usual", "least", "kept"), [(95, 5, True), (95, 6, False), (3, 60, True), (50, 50, True)])
def test_fit_encoder_when_few_rows_differ_from_the_most_common_number_then_it_is_left_out(
    usual: int, least: int, kept: bool
) -> None:
    table = pa.table({"lead.size": np.where(np.arange(100) < usual, 7.0, np.arange(100.0))})
    encoder = fit_encoder(table, [feature("lead.size")], lead=LEADS, min_leads=least)
    assert bool(encoder.columns) == kept


def test_fit_encoder_when_titles_differ_from_lead_to_lead_then_their_groups_are_columns() -> None:
    titles = [f"{rank} {i}" for i in range(20) for rank in ("Head of Sales", "Software Engineer", "Wizard")]
    table = pa.table({"lead.title": text([*titles, None, "Wizard 3"])})
    title = replace(feature("lead.title", kind="category"), criterion="title")
    found = fit_encoder(table, [title], lead=np.arange(62), min_leads=10)
    named = {(c.view, c.level): j for j, c in enumerate(found.columns) if c.kind == "level"}
    assert set(named) == {
        ("seniority", "director"), ("seniority", "specialist"), ("seniority", "unrecognised"),
        ("function", "sales"), ("function", "it and engineering"), ("function", "unrecognised"),
    }  # fmt: skip
    new = pa.table({"lead.title": text(["Head of Magic", None])})
    matrix = found.transform(new)
    assert matrix[0, named["seniority", "director"]] == 1, "a title never seen is still read"
    assert matrix[0, named["function", "unrecognised"]] == 1
    assert not matrix[1, list(named.values())].any()
    assert found.levels("lead.title") == frozenset()
    assert Encoder.from_dict(json.loads(json.dumps(found.to_dict()))) == found
