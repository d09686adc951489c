"""A training recorded by a real MLflow server that keeps its store in PostgreSQL; aliases follow over HTTP."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow_server import mlflow_server
from postgres_server import Server
from workflows.conftest import AS_OF, Run
from workflows.test_promoting import LATER, ONE_WEEK, challenger, champion, features_of

from mqlml.config import Config
from mqlml.operation.aliases import follow_standing
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.tracking import log_training

pytestmark = [pytest.mark.engine, pytest.mark.training, pytest.mark.slow]

SMALL = "\n[model]\nbags = 2\norigins = 1\nthreads = 1\n[features]\nwindows_days = [30]\n"


@pytest.fixture
def server(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run MLflow's server on a database of its own, and have mqlml record there."""
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    store = postgres.url.removesuffix("/postgres") + "/mlflow"
    with mlflow_server(store, tmp_path / "artifacts") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield address


def aliases(client: Any) -> dict[str, str]:
    """The bundle behind each alias, as the server tells it."""
    there = client.get_registered_model("mqlml").aliases
    return {a: client.get_model_version_by_alias("mqlml", a).tags["mqlml.model_version"] for a in there}


def test_train_promote_and_rollback_when_mlflow_is_a_server_on_postgres_then_it_tells_the_same(
    server: str, postgres: Server, tmp_path: Path, run: Run
) -> None:
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about MLflow's own insides, as it is imported
        import mlflow.pyfunc

    folder = tmp_path / "history"
    settings = folder / "mqlml.toml"
    assert run("sample", "--leads", "1500", "--out", folder).code == 0
    settings.write_text(settings.read_text() + SMALL + ONE_WEEK)
    ran = run("train", "--config", settings, "--as-of", AS_OF, "--json")
    assert ran.code == 0, ran.err
    old, client = champion(folder), mlflow.MlflowClient()
    assert not (folder / "models" / "mlflow.db").exists()

    version = client.get_model_version_by_alias("mqlml", "champion")
    recorded = client.get_run(ran.json["run_id"])
    assert version.run_id == ran.json["run_id"]
    assert recorded.info.artifact_uri.startswith("mlflow-artifacts:")
    assert recorded.data.metrics["auc"] == pytest.approx(ran.json["metrics"]["auc"]["value"])
    names = {file.path for file in client.list_artifacts(version.run_id)}
    assert names >= {"report.html", "model_card.md", "policy.json", "figures"}
    with psycopg.connect(postgres.url.removesuffix("/postgres") + "/mlflow") as connection:
        kept = connection.execute("SELECT count(*) FROM runs WHERE run_uuid = %s", [recorded.info.run_id]).fetchone()
    assert kept == (1,)

    new, config = challenger(folder), Config.load(settings)
    bundle = folder / "models" / new
    inputs = [(column.name, column.type.name) for column in read_signature(version)]
    log_training(
        folder / "models", bundle=bundle, name="a second one", params={}, metrics={}, figures={}, texts={},
        signature_inputs=inputs,
    )  # fmt: skip
    assert follow_standing(config) == []
    assert aliases(client) == {"champion": old, "challenger": new}
    assert run("compare", "champion", "challenger", "--config", settings, "--as-of", LATER).code == 0
    forced = ("--force", "--author", "B. Roy", "--reason", "trying the server")
    promoted = run("promote", "--config", settings, "--as-of", LATER, *forced)
    assert promoted.code == 0, promoted.err
    assert champion(folder) == new
    assert aliases(client)["champion"] == new
    assert run("rollback", "--config", settings, "--author", "B. Roy", "--reason", "and back").code == 0
    assert aliases(client)["champion"] == old == champion(folder)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        served = mlflow.pyfunc.load_model("models:/mqlml@champion").predict(features_of(folder, 8))
    golden = read_json(read_bundle(folder / "models" / old).parts, "golden.json")
    np.testing.assert_allclose(served["probability"], golden["probability"][:8], rtol=1e-9)


def read_signature(version: Any) -> Any:
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.get_model_info(f"models:/mqlml/{version.version}").signature
    assert signature is not None
    return signature.inputs
