"""The training log: everything a colleague looks for is there, nothing about the person or machine is."""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
import sys
import types
import warnings

import pandas as pd
import pytest

from mqlml.errors import EngineError, UsageError
from mqlml.operation import serving
from mqlml.operation.aliases import follow
from mqlml.operation.bundle import write_bundle
from mqlml.operation.tracking import log_training

pytestmark = pytest.mark.long

SVG = "<svg><text>é</text></svg>"
INPUTS = (("lead.utm[source]", "string"), ("events.any.count_7d", "double"))
USER = "canaryperson"
ANSWER = {
    "probability": 0.25,
    "tier": "cold",
    "reason_1": "2 visits",
    "reason_2": "source: fair",
    "reason_3": "new",
    "model_version": "v",
}

with warnings.catch_warnings():
    # Importing MLflow warns about its own dependencies; the tests are about mqlml.
    warnings.simplefilter("ignore")
    mlflow = importlib.import_module("mlflow")
    importlib.import_module("mlflow.pyfunc")


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """One training in a fresh store (its schema takes MLflow seconds to make)."""
    models = tmp_path_factory.mktemp("models dir") / "models"
    bundle = write_bundle({"manifest.json": b"{}", "model.txt": b"tree\n"}, models, as_of=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            patch.setenv(name, USER)
        before = dict(os.environ)
        run = log_training(
            models,
            bundle=bundle,
            name="first training",
            params={f"weird [key] {i}": i for i in range(150)} | {"long": "x" * 10_000},
            metrics={"auc": 0.75, "ece [all]": 0.01},
            figures={"calibration.svg": SVG, "lift.svg": SVG},
            texts={"report.html": "<p>Ü</p>", "model_card.md": "# card\n"},
            signature_inputs=INPUTS,
            tags={"mlflow.source.git.commit": "0123abc", "mqlml.git.changed": "no"},
        )
        after = dict(os.environ)
    return types.SimpleNamespace(models=models, bundle=bundle, run=run, before=before, after=after)


@pytest.fixture
def client(logged):
    return mlflow.MlflowClient(f"sqlite:///{logged.models / 'mlflow.db'}")


@pytest.fixture
def reading(logged, monkeypatch):
    """MLflow asks its store about a model even when it is given the folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{logged.models / 'mlflow.db'}")


def log_again(logged, models, name, **given):
    arguments = {"params": {}, "metrics": {}, "figures": {}, "texts": {}} | given
    return log_training(models, bundle=logged.bundle, name=name, signature_inputs=INPUTS, **arguments)


def model_folder(logged):
    found = [f.parent for f in (logged.models / "mlartifacts" / "models").rglob("MLmodel")]
    return next(f for f in found if logged.run in (f / "MLmodel").read_text(encoding="utf-8"))


def test_log_training_when_done_then_run_holds_parameters_and_metrics(logged, client):
    run = client.get_run(logged.run)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first training"
    assert run.data.metrics == {"auc": 0.75, "ece _all_": 0.01}
    assert len(run.data.params) == 151
    assert run.data.params["weird _key_ 149"] == "149"
    assert client.get_experiment(run.info.experiment_id).name == "mqlml"


def test_log_training_when_done_then_files_are_kept_as_given(logged):
    files = logged.models / "mlartifacts" / logged.run / "artifacts"
    assert (files / "report.html").read_text(encoding="utf-8") == "<p>Ü</p>"
    assert (files / "model_card.md").read_bytes() == b"# card\n"
    figures = {f.name: f.read_text(encoding="utf-8") for f in (files / "figures").iterdir()}
    assert figures == {"calibration.svg": SVG, "lift.svg": SVG}


def test_log_training_when_done_then_model_holds_the_bundle_byte_for_byte(logged):
    copy = model_folder(logged) / "data" / logged.bundle.name
    assert {f.name: f.read_bytes() for f in copy.iterdir()} == {f.name: f.read_bytes() for f in logged.bundle.iterdir()}


def test_log_training_when_done_then_no_example_row_and_no_code_is_stored(logged):
    names = {f.name for f in model_folder(logged).rglob("*") if f.is_file()}
    assert names == {
        "MLmodel", "SHA256SUMS", "conda.yaml", "manifest.json", "model.txt", "python_env.yaml", "requirements.txt",
    }  # fmt: skip


def test_log_training_when_done_then_signature_is_the_given_one_and_optional(logged, reading):
    signature = mlflow.models.get_model_info(str(model_folder(logged))).signature
    assert [(c.name, c.type.name, c.required) for c in signature.inputs] == [
        ("lead.utm[source]", "string", False),
        ("events.any.count_7d", "double", False),
    ]
    assert [(c.name, c.type.name) for c in signature.outputs] == [
        ("probability", "double"),
        ("tier", "string"),
        ("reason_1", "string"),
        ("reason_2", "string"),
        ("reason_3", "string"),
        ("model_version", "string"),
    ]


def test_log_training_when_done_then_requirements_are_pinned(logged):
    lines = (model_folder(logged) / "requirements.txt").read_text(encoding="utf-8").split()
    assert any(line.startswith("mqlml==") for line in lines)
    assert any(line.startswith("lightgbm==") for line in lines)
    assert all("==" in line for line in lines)


def test_log_training_when_done_then_login_name_and_program_are_nowhere(logged):
    for file in logged.models.rglob("*"):
        if file.is_file():
            assert USER.encode() not in file.read_bytes(), file
    with sqlite3.connect(logged.models / "mlflow.db") as database:
        tags = database.execute("select key, value from tags union select tag_key, tag_value from logged_model_tags")
        found = dict(tags.fetchall())
    database.close()
    assert found["mlflow.user"] == "mqlml"
    assert found["mlflow.source.name"] == "mqlml"
    assert found["mqlml.model_version"] == logged.bundle.name


def test_log_training_when_done_then_process_is_as_before_with_telemetry_off(logged):
    off = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    assert off.items() <= logged.after.items()
    assert "MLFLOW_TRACKING_URI" not in logged.after
    changed = {k for k in logged.before.keys() | logged.after.keys() if logged.before.get(k) != logged.after.get(k)}
    assert changed <= {*off, "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
                       "MLFLOW_UV_AUTO_DETECT"}  # fmt: skip
    assert mlflow.active_run() is None
    assert logging.getLogger("mlflow").level < logging.CRITICAL


def test_log_training_when_repeated_then_second_run_is_silent_and_in_the_same_experiment(
    logged, client, capfd, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    second = log_again(logged, logged.models, "again")
    assert second != logged.run
    assert client.get_run(second).info.experiment_id == client.get_run(logged.run).info.experiment_id
    assert capfd.readouterr() == ("", "")


def test_log_training_when_tracking_uri_is_set_then_goes_there(logged, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{logged.models / 'mlflow.db'}")
    log_again(logged, tmp_path, "elsewhere")
    assert list(tmp_path.iterdir()) == []
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{logged.models / 'mlflow.db'}"


def test_log_training_when_server_is_down_then_engine_error_without_the_password(logged, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(EngineError, match=r"not registered.*Hint: the bundle is not touched") as caught:
        log_again(logged, tmp_path, "x")
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_log_training_when_store_is_damaged_then_engine_error(logged, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(EngineError, match="MQL-mlflow sqlite"):
        log_again(logged, tmp_path, "x")


def test_log_training_when_it_fails_on_the_way_then_run_is_marked_failed(logged, client, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="not allowed as the name of a file"):
        log_again(logged, logged.models, "broken", texts={"../escape.html": ""})
    experiment = client.get_experiment_by_name("mqlml").experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'broken'")
    assert run.info.status == "FAILED"
    assert mlflow.active_run() is None


def test_log_training_when_done_then_state_of_git_is_a_tag(logged, client):
    tags = client.get_run(logged.run).data.tags
    assert tags["mlflow.source.git.commit"] == "0123abc"
    assert tags["mqlml.git.changed"] == "no"


def test_log_training_when_done_then_the_bundle_is_a_version_of_the_registered_model(logged, client):
    versions = client.search_model_versions("name = 'mqlml'")
    assert versions[-1].tags == {"mqlml.model_version": logged.bundle.name}
    assert {v.run_id for v in versions} >= {logged.run}


def test_follow_when_called_again_and_again_then_aliases_are_those_of_the_standing(logged, client, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    name = logged.bundle.name

    def aliases():
        return {a: client.get_model_version_by_alias("mqlml", a).tags["mqlml.model_version"] for a in there()}

    def there():
        return client.get_registered_model("mqlml").aliases

    assert follow(logged.models, name="mqlml", aliases={"champion": name, "challenger": None}) == []
    assert aliases() == {"champion": name}
    assert follow(logged.models, name="mqlml", aliases={"champion": name, "challenger": name}) == []
    assert aliases() == {"champion": name, "challenger": name}
    # A bundle that MLflow was never told of leaves no alias on something else.
    assert follow(logged.models, name="mqlml", aliases={"champion": "unknown", "challenger": name}) == ["unknown"]
    assert aliases() == {"challenger": name}
    assert follow(logged.models, name="other", aliases={"champion": name}) == [name]


def test_follow_when_interrupted_between_two_aliases_then_the_next_call_completes(logged, client, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    name = logged.bundle.name
    follow(logged.models, name="mqlml", aliases={"champion": None, "challenger": name})
    real = mlflow.MlflowClient.delete_registered_model_alias

    def dies(*arguments):
        raise KeyboardInterrupt("while an alias goes")

    monkeypatch.setattr(mlflow.MlflowClient, "delete_registered_model_alias", dies)
    with pytest.raises(KeyboardInterrupt, match="while an alias goes"):
        follow(logged.models, name="mqlml", aliases={"champion": name, "challenger": None})
    assert set(client.get_registered_model("mqlml").aliases) == {"champion", "challenger"}
    monkeypatch.setattr(mlflow.MlflowClient, "delete_registered_model_alias", real)
    follow(logged.models, name="mqlml", aliases={"champion": name, "challenger": None})
    assert set(client.get_registered_model("mqlml").aliases) == {"champion"}


def test_follow_when_server_is_down_then_engine_error(logged, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(EngineError, match="the aliases are not set") as caught:
        follow(tmp_path, name="mqlml", aliases={"champion": "x"})
    assert "s3cret" not in str(caught.value)


def test_served_model_when_loaded_through_mlflow_then_scores_with_optional_columns(logged, reading, monkeypatch):
    seen = {}

    class FakeScorer:
        @classmethod
        def load(cls, path):
            seen["path"] = path
            return cls()

        def predict_frame(self, features):
            seen["columns"] = list(features.columns)
            return pd.DataFrame({**ANSWER, "extra": 1}, index=features.index)

    monkeypatch.setitem(sys.modules, "mqlml.operation.scoring", types.SimpleNamespace(LeadScorer=FakeScorer))
    with warnings.catch_warnings():
        # MLflow compares the pinned versions with this environment, where mqlml may run from its sources.
        warnings.simplefilter("ignore")
        model = mlflow.pyfunc.load_model(str(model_folder(logged)))
        result = model.predict(pd.DataFrame({"events.any.count_7d": [1.0, 2.0]}))
    assert seen["path"].name == logged.bundle.name
    assert "events.any.count_7d" in seen["columns"]
    assert result.to_dict("records") == [ANSWER] * 2


def test_served_model_when_given_parameters_then_ignores_them():
    frame = pd.DataFrame([ANSWER])
    scorer = types.SimpleNamespace(predict_frame=lambda _: frame)
    assert serving.ServedModel(scorer).predict(pd.DataFrame(), params={"a": 1}).equals(frame)
