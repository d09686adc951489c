"""From two bundles to one in use: compared, gated, promoted, rolled back; and what MLflow serves is the same model."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from workflows.conftest import AS_OF, Run

from mqlml.config import Config
from mqlml.operation.bundle import read_bundle, read_json, write_bundle
from mqlml.operation.golden import make_golden_rows
from mqlml.operation.promotion import set_challenger
from mqlml.operation.scoring import LeadScorer, encode_json
from mqlml.operation.standing import read_standing

pytestmark = pytest.mark.training

# The newest snapshots whose horizon is over then are those of AS_OF: neither bundle learned from them.
LATER = "2026-06-30"
ONE_WEEK = "\n[promotion]\nweeks = 1\n"


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the trained folder that compares on one week, which needs no fit."""
    made = Path(shutil.copytree(trained, tmp_path_factory.mktemp("promoting") / "copy"))
    settings = made / "mqlml.toml"
    settings.write_text(settings.read_text() + ONE_WEEK)
    return made


@pytest.fixture
def fresh(folder: Path, tmp_path: Path) -> Path:
    """Give a test a folder of its own."""
    return Path(shutil.copytree(folder, tmp_path / "own"))


def champion(folder: Path) -> str:
    standing = read_standing(folder / "models")
    assert standing is not None
    return standing.model_version


def challenger(folder: Path, *, shift: float = 0.0, summary: dict[str, Any] | None = None) -> str:
    """Write a bundle that is the champion but for its chances (moved in log-odds) and for what its training said."""
    models = folder / "models"
    bundle = read_bundle(models / champion(folder))
    model = LeadScorer.of(bundle).model
    moved = replace(model, calibrator=replace(model.calibrator, intercept=model.calibrator.intercept + shift))
    told = {**read_json(bundle.parts, "report.json"), **(summary or {}), "title": f"moved by {shift}"}
    parts = {
        **bundle.parts,
        **moved.to_parts(),
        "golden.json": encode_json(make_golden_rows(moved)),
        "report.json": encode_json(told),
    }
    as_of = Config.load(folder / "mqlml.toml").moment(AS_OF)
    name = write_bundle(parts, models, as_of=as_of).name
    set_challenger(models, name)
    return name


def test_promote_when_equal_and_reviewed_then_in_use_and_rollback_gives_the_same_scores(fresh: Path, run: Run) -> None:
    old, new, settings = champion(fresh), challenger(fresh), fresh / "mqlml.toml"

    def scores(name: str) -> pd.DataFrame:
        assert run("score", "--config", settings, "--as-of", AS_OF, "--out", fresh / name, "--no-reasons").code == 0
        return pd.read_parquet(fresh / name)

    before = scores("before.parquet")
    ran = run("promote", "--config", settings, "--as-of", LATER, "--json")
    assert ran.code == 4
    assert champion(fresh) == old
    assert [gate["name"] for gate in ran.json["gates"] if not gate["passed"]] == ["reviewed"]
    assert "CLOSED  reviewed" in ran.err
    assert "or promote with --reviewed-by NAME" in ran.err
    assert ran.json["comparison"]["window"]["learned"] == []
    more = ("--reviewed-by", "A. Lee", "--author", "B. Roy", "--reason", "quarterly")
    ran = run("promote", new, "--config", settings, "--as-of", LATER, *more)
    assert (ran.code, ran.out.strip()) == (0, new)
    assert champion(fresh) == new
    (change,) = read_standing(fresh / "models").history  # type: ignore[union-attr]
    assert (change.author, change.reason, change.review) == ("B. Roy", "quarterly", "reviewed by A. Lee")
    assert change.at is not None
    assert change.as_of == "2026-06-30T00:00:00+00:00"
    assert run("promote", new, "--config", settings).code == 2
    ran = run("rollback", "--config", settings, "--author", "B. Roy", "--reason", "sales asked for it")
    assert (ran.code, ran.out.strip()) == (0, old)
    pd.testing.assert_frame_equal(scores("after.parquet"), before)


def test_promote_when_it_promises_too_much_then_stopped_and_force_is_recorded(fresh: Path, run: Run) -> None:
    old, new, settings = champion(fresh), challenger(fresh, shift=2.0), fresh / "mqlml.toml"
    ran = run("promote", "--config", settings, "--as-of", LATER, "--reviewed-by", "A. Lee", "--json")
    assert ran.code == 4
    closed = {gate["name"]: gate for gate in ran.json["gates"] if not gate["passed"]}
    assert set(closed) == {"not worse", "calibrated"}
    assert "keep the champion" in closed["not worse"]["remedy"]
    assert champion(fresh) == old
    ran = run("promote", "--config", settings, "--as-of", LATER, "--force")
    assert ran.code == 2
    assert "--author is missing" in ran.err
    forced = ("--force", "--author", "B. Roy", "--reason", "a fair begins today")
    assert run("promote", "--config", settings, "--as-of", LATER, *forced).code == 0
    (change,) = read_standing(fresh / "models").history  # type: ignore[union-attr]
    assert champion(fresh) == new
    assert change.forced is True
    assert change.review == "unreviewed"
    assert {gate["name"] for gate in change.gates if not gate["passed"]} == {"not worse", "calibrated", "reviewed"}


def test_compare_when_an_earlier_list_is_given_then_every_candidate_has_its_causes(fresh: Path, run: Run) -> None:
    new = challenger(fresh, shift=1.0)
    settings = fresh / "mqlml.toml"
    # With few places the same leads take them, whatever the level of the chances.
    rule = ("--floor", "0.2", "--without", "capacity_per_week", "--set", "--author", "Ana", "--reason", "a trial")
    for model in (champion(fresh), new):
        assert run("threshold", "--config", settings, "--model", model, *rule).code == 0
    for as_of, name in (("2026-06-23", "earlier"), (LATER, "today")):
        more = ("--previous", fresh / "earlier.parquet") if name == "today" else ()
        assert run("score", "--config", settings, "--as-of", as_of, "--out", fresh / f"{name}.parquet", *more).code == 0
    previous = ("--previous", fresh / "earlier.parquet")
    words = ("compare", "champion", "challenger", "--config", settings, "--as-of", LATER)
    ran = run(*words, *previous, "--out", fresh / "moves.csv", "--json")
    assert ran.code == 0, ran.err
    moves = pd.read_csv(fresh / "moves.csv")
    today = pd.read_parquet(fresh / "today.parquet")
    assert moves["lead_id"].tolist() == today["lead_id"].tolist()
    # The old side is what a scoring job of the champion gives.
    np.testing.assert_allclose(moves["old_probability"], today["probability"], rtol=1e-12)
    assert moves["old_mql"].tolist() == today["is_mql"].tolist()
    np.testing.assert_allclose(moves["model_effect"], 1.0, atol=1e-6)
    lists = ran.json["lists"]
    for effect in ("by_model", "by_data"):
        for word in ("enters", "leaves", "stays"):
            assert lists[effect][word] == (moves[effect] == word).sum()
    assert lists["by_model"]["enters"] + lists["by_model"]["stays"] == lists["new_list"] == moves["new_mql"].sum()
    entered = moves[moves["by_model"] == "enters"]
    assert len(entered)
    assert entered["why"].str.contains("by the old model").all()
    ran = run(*words, "--previous", fresh / "today.parquet")
    assert ran.code == 2
    assert "is not older than this comparison" in ran.err


@pytest.mark.slow
def test_compare_when_a_bundle_learned_from_the_window_then_its_recipe_is_fitted_again(fresh: Path, run: Run) -> None:
    """The challenger says that it knew everything until LATER; the champion learned from nothing in that week."""
    challenger(fresh, summary={"as_of": "2026-06-30T00:00:00+00:00"})
    ran = run("compare", "champion", "challenger", "--config", fresh / "mqlml.toml", "--as-of", LATER, "--json")
    assert ran.code == 0, ran.err
    window = ran.json["window"]
    assert (window["learned"], window["remade"]) == (["new"], ["new"])
    assert window["shipped"]["worse_by"]["value"] == 0.0
    # Fitted on the same rows with as many bags: nearly the model that was shipped then.
    assert abs(window["again"]["worse_by"]["value"]) < 0.02


def test_compare_when_asked_for_one_and_the_same_or_another_question_then_refused_or_told(
    fresh: Path, run: Run
) -> None:
    settings = fresh / "mqlml.toml"
    ran = run("compare", "champion", champion(fresh), "--config", settings)
    assert ran.code == 2
    assert "cannot be compared with itself" in ran.err
    assert run("compare", "champion", "challenger", "--config", settings).code == 2
    challenger(fresh)
    settings.write_text(settings.read_text().replace("horizon_days = 90", "horizon_days = 60"))
    ran = run("compare", "champion", "challenger", "--config", settings, "--as-of", LATER)
    assert ran.code == 0, ran.err
    assert "was trained with [label] horizon_days = 90, now it is 60" in ran.out


def served(folder: Path) -> Any:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model("models:/mqlml@champion")


def features_of(folder: Path, rows: int) -> pd.DataFrame:
    """Return generated leads as a caller of the service would send them."""
    bundle = read_bundle(folder / "models" / champion(folder))
    golden = read_json(bundle.parts, "golden.json")
    kinds = {f.name: f.kind for f in LeadScorer.of(bundle).model.features.features}
    columns = {n: pa.array(v, pa.float64() if kinds[n] == "number" else pa.string()) for n, v in golden["rows"].items()}
    return pa.table(columns).slice(0, rows).to_pandas()


@pytest.fixture
def store(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained / 'models' / 'mlflow.db'}")
    return trained


def test_served_champion_when_loaded_from_mlflow_then_gives_the_bundles_chances_tiers_and_reasons(store: Path) -> None:
    frame = features_of(store, 16)
    scorer = LeadScorer.load(store / "models" / champion(store))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = served(store).predict(frame)
    golden = read_json(scorer.bundle.parts, "golden.json")
    np.testing.assert_allclose(found["probability"], golden["probability"], rtol=1e-12)
    assert list(found.columns) == ["probability", "tier", "reason_1", "reason_2", "reason_3", "model_version"]
    assert set(found["tier"]) <= {"hot", "mql", "nurture", "cold"}
    assert found["reason_1"].notna().any()
    assert all(reason is None or isinstance(reason, str) for reason in found["reason_3"])
    assert set(found["model_version"]) == {champion(store)}


def test_train_when_recorded_then_intervals_policy_criteria_and_fingerprints_are_in_the_run(store: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("mqlml", "champion")
    assert version.tags["mqlml.model_version"] == champion(store)
    run = client.get_run(version.run_id)
    assert run.data.metrics["auc.low"] <= run.data.metrics["auc"] <= run.data.metrics["auc.high"]
    assert len(run.data.params["data.leads.sha256"]) == 64
    files = {f.path for f in client.list_artifacts(version.run_id)}
    assert files >= {"report.html", "model_card.md", "policy.json", "criteria.toml", "data.json", "figures"}


@pytest.mark.slow
def test_served_champion_when_used_as_a_spark_function_then_equal(store: Path, spark: Any) -> None:
    import mlflow.pyfunc

    frame = features_of(store, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predict = mlflow.pyfunc.spark_udf(spark, "models:/mqlml@champion", env_manager="local")
        kinds = ", ".join(f"`{n}` {'double' if frame[n].dtype == float else 'string'}" for n in frame.columns)
        rows = [[None if v != v or v is None else v for v in row] for row in frame.itertuples(index=False)]
        leads = spark.createDataFrame(rows, kinds)
        from pyspark.sql import functions

        named = functions.struct(*[functions.col(f"`{name}`").alias(name) for name in frame.columns])
        found = [row["s"] for row in leads.select(predict(named).alias("s")).collect()]
    golden = read_json(read_bundle(store / "models" / champion(store)).parts, "golden.json")
    np.testing.assert_allclose([row["probability"] for row in found], golden["probability"], rtol=1e-9)
    assert {row["tier"] for row in found} <= {"hot", "mql", "nurture", "cold"}


@pytest.mark.slow
def test_served_champion_when_asked_over_http_then_answers_with_chance_tier_and_reasons(store: Path) -> None:
    import os
    import socket
    import subprocess
    import sys
    import time
    import urllib.request

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["models", "serve", "-m", "models:/mqlml@champion", "-p", str(port), "-h", "127.0.0.1"]
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow starts uvicorn by name
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words, "--env-manager", "local"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        frame = features_of(store, 4)
        body = json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))}).encode()
        url = f"http://127.0.0.1:{port}/invocations"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        for _ in range(120):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    found = json.loads(answer.read(), parse_constant=pytest.fail)["predictions"]
                break
            except ConnectionError:
                time.sleep(1)
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionError):
                    raise
                time.sleep(1)
        else:
            pytest.fail("the server did not start within two minutes")
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)
    golden = read_json(read_bundle(store / "models" / champion(store)).parts, "golden.json")
    np.testing.assert_allclose([row["probability"] for row in found], golden["probability"][:4], rtol=1e-9)
    assert {"tier", "reason_1", "reason_2", "reason_3", "model_version"} <= set(found[0])


@pytest.mark.slow
def test_retrain_when_a_gate_is_closed_then_exit_4_and_once_open_promotes_where_settings_say_so(
    copy: Path, run: Run
) -> None:
    settings, old = copy / "mqlml.toml", champion(copy)
    ran = run("retrain", "--config", settings, "--as-of", LATER, "--json")
    assert ran.code == 4, ran.err
    assert ran.json["outcome"] == "stopped"
    new = ran.json["model_version"]
    assert champion(copy) == old
    assert read_standing(copy / "models").challenger == new  # type: ignore[union-attr]
    assert ran.json["comparison"]["window"]["again"] is not None
    drivers = read_json(read_bundle(copy / "models" / new).parts, "report.json")["drivers"]
    marks = "".join(
        f"\n[[criterion]]\nname = {json.dumps(d['criterion'])}\ndecision = \"approve\"\nby = \"A. Lee\"\n"
        for d in drivers
    )  # fmt: skip
    (copy / "criteria.toml").write_text(marks)
    settings.write_text(settings.read_text() + "\n[promotion]\nautomatic = true\n")
    ran = run("retrain", "--config", settings, "--as-of", LATER, "--json")
    told = [gate["sentence"] for gate in ran.json["gates"] if not gate["passed"]]
    assert (ran.code, ran.json["outcome"]) == (0, "promoted"), told
    assert champion(copy) == ran.json["model_version"]
    (change,) = read_standing(copy / "models").history  # type: ignore[union-attr]
    assert (change.author, change.review) == ("mqlml retrain", "criteria reviewed")
