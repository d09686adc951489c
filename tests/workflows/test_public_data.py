"""The whole way on real public data: what each set is known to hide or to teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workflows.conftest import Run

from mqlml.learning.evaluation import calibration_line, roc_auc

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


def test_oulad_when_replayed_then_forecasts_of_that_day_hold_later(public_data: Path, tmp_path: Path, run: Run) -> None:
    settings = prepared(run, public_data, "oulad", "oulad", tmp_path)
    trained = run("train", "--config", settings, "--as-of", "2014-02-01", "--json")
    assert trained.code == 0, trained.err
    assert trained.json["population"]["mode"] == "cross-fitted"
    out = tmp_path / "scores.parquet"
    assert run("score", "--config", settings, "--as-of", "2014-03-29", "--out", out).code == 0
    scores = pd.read_parquet(out)
    scores = scores[scores["lead_id"].str.contains("2014B")].sort_values("probability", ascending=False)
    truth = pd.read_parquet(tmp_path / "outcomes.parquet").set_index("lead_id")["outcome"]
    won = (truth.reindex(scores["lead_id"]) == "won").to_numpy(dtype=float)
    p, ones = scores["probability"].to_numpy(), np.ones(len(scores))
    assert len(scores) == 6_214
    assert roc_auc(won, p, ones) > 0.75
    assert 0.5 < calibration_line(won, p, ones)[0] < 1.5


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


@pytest.mark.parametrize(("name", "folder"), [("online-shoppers", "online_shoppers"), ("salvirt", "salvirt_b2b")])
def test_train_when_the_history_has_no_time_then_accounts_are_left_out_and_it_is_said(
    public_data: Path, tmp_path: Path, run: Run, name: str, folder: str
) -> None:
    settings = prepared(run, public_data, name, folder, tmp_path)
    trained = run("train", "--config", settings, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["population"]["mode"] == "static"
    assert trained.json["metrics"]["auc"]["value"] > 0.65
    assert any("no dates" in note for note in trained.json["notes"])
