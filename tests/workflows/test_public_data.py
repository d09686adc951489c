"""The whole way on real public data: what each set is known to hide or to teach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from workflows.conftest import Run

from mqlml.cli import main
from mqlml.config import Config
from mqlml.history.reading import read_history
from mqlml.learning.encoder_fit import fit_encoder
from mqlml.learning.evaluation import calibration_line, roc_auc
from mqlml.learning.propensity import best_weight, fit_blend
from mqlml.learning.recipe import Recipe
from mqlml.learning.snapshots import mark_table
from mqlml.operation.scoring import LeadScorer
from mqlml.review.reasons import Explainer
from mqlml.review.scorecard import Rule
from mqlml.review.scorecard.fitting import points_of
from mqlml.tape.build import build_features
from mqlml.tape.columns import Feature
from mqlml.workflows import training
from mqlml.workflows.describing import Learned, describe
from mqlml.workflows.opening import open_history

pytestmark = [pytest.mark.training, pytest.mark.real_data]

# Small recipes: these tests ask whether the whole way is sound, `benchmarks/forward.py` how good it is.
QUICK = "\n[model]\nbags = 2\norigins = 2\n"


def prepared(run: Run, data: Path, name: str, folder: str, work: Path, *, exclude: str | None = None) -> Path:
    """Write the example; ``exclude`` names a column that its settings leave out and that is let in again."""
    ran = run("example", name, "--source", data / folder, "--out", work)
    assert ran.code == 0, ran.err
    settings = work / "mqlml.toml"
    lines = [x for x in settings.read_text().splitlines() if exclude is None or f'"{exclude}"' not in x]
    settings.write_text("\n".join(lines) + QUICK)
    return settings


@dataclass(frozen=True)
class Oulad:
    """The history as of February 2014, what was learned from it, and its settings."""

    settings: Path
    learned: Learned
    trained: training.Trained


@pytest.fixture(scope="module")
def oulad(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Oulad:
    """Train once; the learned rows are kept, since a bundle holds none."""
    folder = tmp_path_factory.mktemp("oulad")
    assert main(["-q", "example", "oulad", "--source", str(public_data / "oulad"), "--out", str(folder)]) == 0
    settings = folder / "mqlml.toml"
    settings.write_text(settings.read_text() + QUICK)
    kept: list[Learned] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            training, "describe", lambda learned, config: (kept.append(learned), describe(learned, config))[1]
        )
        trained = training.train(Config.load(settings), as_of="2014-02-01")
    return Oulad(settings, kept[0], trained)


@pytest.mark.slow
def test_oulad_when_replayed_then_forecasts_of_that_day_hold_later(oulad: Oulad, tmp_path: Path, run: Run) -> None:
    settings = oulad.settings
    assert oulad.trained.summary["population"]["mode"] == "cross-fitted"
    out = tmp_path / "scores.parquet"
    assert run("score", "--config", settings, "--as-of", "2014-03-29", "--out", out).code == 0
    scores = pd.read_parquet(out)
    scores = scores[scores["lead_id"].str.contains("2014B")].sort_values("probability", ascending=False)
    won = outcomes_of(oulad, scores["lead_id"])
    p, ones = scores["probability"].to_numpy(), np.ones(len(scores))
    assert len(scores) == 6_214
    assert roc_auc(won, p, ones) > 0.75
    assert 0.5 < calibration_line(won, p, ones)[0] < 1.5


def outcomes_of(oulad: Oulad, lead_ids: Iterable[str]) -> np.ndarray:
    """1 where a lead was won in the end, else 0."""
    truth = pd.read_parquet(oulad.settings.parent / "outcomes.parquet").set_index("lead_id")["outcome"]
    return (truth.reindex(list(lead_ids)) == "won").to_numpy(dtype=float)


def best_features(learned: Learned, many: int) -> list[Feature]:
    """The features that move the chances of 4,000 snapshots most."""
    model = learned.training.model
    row = np.linspace(0, len(learned.rows) - 1, 4_000).astype(int)
    _, parts = Explainer(model).column_contributions(model.matrix(learned.table.take(row)))
    weight = pd.Series(np.abs(parts).mean(axis=0), [c.feature for c in model.encoder.columns]).groupby(level=0).sum()
    best = set(weight.nlargest(many).index)
    return [f for f in model.features.features if f.name in best]


def restricted_chances(learned: Learned, features: list[Feature], inside: np.ndarray, table: pa.Table) -> np.ndarray:
    """Raw scores of ``table`` by the same recipe, learned from some rows and few features."""
    row = np.random.default_rng(0).permutation(np.flatnonzero(inside))[:30_000]
    lead, part = learned.rows.lead[row], learned.table.take(row)
    encoder = fit_encoder(part, features, lead=lead, min_leads=20)
    matrix, won, group = encoder.transform(part), learned.rows.won[row], learned.rows.group[row]
    blend, held_out, _ = fit_blend(matrix, won, lead=lead, group=group, recipe=Recipe(0, 2, 1))
    share = best_weight(held_out)
    straight, bagged = blend.halves(encoder.transform(table))
    return (1 - share) * straight + share * bagged


@pytest.mark.slow
def test_oulad_when_distilled_into_12_rules_then_they_rank_nearly_as_12_features(oulad: Oulad) -> None:
    learned, card = oulad.learned, oulad.trained.summary["scorecard"]
    features = best_features(learned, 12)
    # The newest window: the presentation that began on the day of the training, seven weeks later.
    config = Config.load(oulad.settings)
    scorer = LeadScorer.load(oulad.trained.bundle)
    with read_history(config, kinds=scorer.kinds) as history:
        ids = [x for x in history.leads["lead_id"].to_pylist() if "2014B" in x]
        there = open_history(history, config, as_of="2014-03-29", audit=False)
        candidates = set(there.people.lead_id.filter(there.people.fates(there.moment)["candidate"]).to_pylist())
        lead = np.array([there.people.lead_id.index(x).as_py() for x in ids if x in candidates])
        marks = mark_table(there.people, lead, np.full(len(lead), there.moment))
        newest = build_features(history, marks, scorer.model.features)
    won, ones = outcomes_of(oulad, newest["lead_id"].to_pylist()), np.ones(len(newest))
    rules = [Rule.from_dict(rule) for rule in card["rules"]]
    assert 0 < len(rules) <= 12
    few = roc_auc(won, restricted_chances(learned, features, np.ones(len(learned.rows), dtype=bool), newest), ones)
    assert roc_auc(won, points_of(rules, newest), ones) > few - 0.03
    # And on the accounts that the card's own fidelity is measured on, by rules and a model made without them.
    row = learned.training.tested.row
    held_out = learned.rows.group % 4 == 0
    table = learned.table.filter(pa.array(held_out))
    few = roc_auc(
        learned.rows.won[held_out], restricted_chances(learned, features, ~held_out, table), np.ones(len(table))
    )
    assert len(row) == len(learned.rows)
    assert card["fidelity"]["snapshots"] == held_out.sum()
    assert card["fidelity"]["auc"]["scorecard"] > few - 0.03


@pytest.mark.slow
def test_online_retail_when_nothing_is_promised_then_the_verdict_says_so(
    public_data: Path, tmp_path: Path, run: Run
) -> None:
    settings = prepared(run, public_data, "online-retail", "online_retail_ii", tmp_path)
    trained = run("train", "--config", settings, "--as-of", "2011-06-01", "--json")
    assert trained.code == 0, trained.err
    assert trained.json["population"]["lost"] == 0
    assert trained.json["population"]["mode"] == "forward"
    out = tmp_path / "scores.parquet"
    assert run("score", "--config", settings, "--as-of", "2011-09-01", "--out", out).code == 0
    assert len(pd.read_parquet(out)) > 200


@pytest.mark.slow
def test_bank_marketing_when_only_an_order_is_known_then_it_is_tested_in_that_order(
    public_data: Path, tmp_path: Path, run: Run
) -> None:
    settings = prepared(run, public_data, "bank-marketing", "bank_marketing", tmp_path)
    trained = run("train", "--config", settings, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["population"]["mode"] == "forward"
    assert trained.json["as_of"] is None
    assert 0.55 < trained.json["metrics"]["auc"]["value"] < 0.75, "a random split would show 0.80"


def test_crm_sales_when_nothing_predicts_then_there_is_no_signal(public_data: Path, tmp_path: Path, run: Run) -> None:
    settings = prepared(run, public_data, "crm-sales", "crm_sales", tmp_path)
    trained = run("train", "--config", settings, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["verdict"]["code"] == "no signal"


@pytest.mark.parametrize(
    ("name", "folder", "column"),
    [
        ("hotel", "hotel_bookings", "required_car_parking_spaces"),
        ("hotel", "hotel_bookings", "reservation_status"),
        ("bank-marketing", "bank_marketing", "duration"),
    ],
)
def test_check_when_a_leaking_column_is_let_in_then_it_is_blocked(
    public_data: Path, tmp_path: Path, run: Run, name: str, folder: str, column: str
) -> None:
    settings = prepared(run, public_data, name, folder, tmp_path, exclude=column)
    ran = run("check", "--config", settings, "--json")
    assert ran.code == 3, ran.err
    assert [f["column"] for f in ran.json["audit"] if f["level"] == "block"] == [column]


@pytest.mark.parametrize(
    ("name", "folder"),
    [pytest.param("online-shoppers", "online_shoppers", marks=pytest.mark.slow), ("salvirt", "salvirt_b2b")],
)
def test_train_when_the_history_has_no_time_then_accounts_are_left_out_and_it_is_said(
    public_data: Path, tmp_path: Path, run: Run, name: str, folder: str
) -> None:
    settings = prepared(run, public_data, name, folder, tmp_path)
    trained = run("train", "--config", settings, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["population"]["mode"] == "static"
    assert trained.json["metrics"]["auc"]["value"] > 0.65
    assert any("no dates" in note for note in trained.json["notes"])
