"""Each training as an MLflow run: an optional log, from which mqlml never loads anything."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeVar

from mqlml import __version__
from mqlml.errors import EngineError, UsageError, shown

_T = TypeVar("_T")
EXPERIMENT = "mqlml"
VERSION_TAG = "mqlml.model_version"
SIGNATURE_OUTPUTS = (
    ("probability", "double"),
    ("tier", "string"),
    ("reason_1", "string"),
    ("reason_2", "string"),
    ("reason_3", "string"),
    ("model_version", "string"),
)
_REQUIRED = ("duckdb", "lightgbm", "numba", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy")
_PARAMS_PER_CALL = 100  # the limits of MLflow's REST interface
_METRICS_PER_CALL = 1000
_VALUE_CHARACTERS = 6000
# MLflow would otherwise record the user's login name and the path of the program, which often holds it too.
_TAGS = {"mlflow.user": "mqlml", "mlflow.source.name": "mqlml", "mlflow.source.type": "LOCAL"}
_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # a lock file that happens to lie in the working directory is not ours
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for results
}
# With MLflow's own defaults a server that is down would hold a training up for minutes.
_UNLESS_SET = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


def log_training(
    models: Path,
    *,
    bundle: Path,
    name: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    figures: Mapping[str, str],
    texts: Mapping[str, str],
    signature_inputs: Sequence[tuple[str, Literal["double", "string"]]],
    registered: str = EXPERIMENT,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Record one training in an experiment, with its bundle as a registered model that MLflow can serve.

    The store is ``MLFLOW_TRACKING_URI`` where that is set, else ``models/mlflow.db`` with files under
    ``models/mlartifacts``. Neither the login name nor a row of anybody's data is recorded.

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    bundle : Path
        The directory of this one; stored as it is.
    name : str
        Of the run.
    params : mapping
        Settings; written as text.
    metrics : mapping of str to float
        Results.
    figures : mapping of str to str
        Pictures by file name, for example ``ladder.svg``.
    texts : mapping of str to str
        Files by name, for example ``report.html``.
    signature_inputs : sequence of (name, type)
        The features the model takes, all optional.
    registered : str
        Name of the experiment and of the registered model.
    tags : mapping of str to str, optional
        Of the run, for example the state of git.

    Returns
    -------
    str
        The id of the run.

    Raises
    ------
    EngineError
        MLflow failed or cannot be reached. The bundle is not touched; the run, if there is one, is marked failed.
    """
    told = _recorded(models, "the training is not registered", "the bundle is not touched and can be used")
    with told, mlflow_store(models), _run(models, bundle, name, registered, tags or {}) as run:
        _log_numbers(params, metrics)
        _log_files(figures, texts)
        _log_model(bundle, signature_inputs, registered)
    return run


def log_monitoring(
    models: Path,
    *,
    bundle: Path,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    texts: Mapping[str, str],
    registered: str = EXPERIMENT,
) -> str:
    """Record what monitoring found as a run of its own in the same experiment, tagged with the model it watched.

    Parameters
    ----------
    models, bundle : Path
        The directory of all bundles, and that of the watched one.
    params : mapping
        Written as text; ``as_of`` names the run.
    metrics : mapping of str to float
    texts : mapping of str to str
        Files by name.
    registered : str
        Name of the experiment.

    Returns
    -------
    str
        The id of the run.

    Raises
    ------
    EngineError
        MLflow failed or cannot be reached.
    """
    told = _recorded(models, "what was found is not recorded", "the result stands all the same")
    name = f"monitor {params['as_of']}"
    with told, mlflow_store(models), _run(models, bundle, name, registered, {}, kind="monitoring") as run:
        _log_numbers(params, metrics)
        _log_files({}, texts)
    return run


@contextmanager
def _recorded(models: Path, what: str, kept: str) -> Iterator[None]:
    """Whatever MLflow raises becomes an error of ours, without the secrets that addresses hold."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        raise failed(models, error, what=what, kept=kept) from error


def failed(
    models: Path, error: Exception, *, what: str, kept: str = "the bundle is not touched and can be used"
) -> EngineError:
    """Say that MLflow failed, in one line and without passwords."""
    reason = str(error).partition("\n")[0] or type(error).__name__
    return EngineError(
        _without_secrets(f"MQL-mlflow {_uri(models)}: {what}: {reason.removesuffix('.')}."),
        hint=f"{kept}; check MLFLOW_TRACKING_URI and the server",
    )


def _uri(models: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{models.resolve() / 'mlflow.db'}"


@contextmanager
def mlflow_store(models: Path) -> Iterator[None]:
    """Have MLflow write to our store, silently; afterwards the process is as before, but for telemetry being off."""
    os.environ.update(_ALWAYS)
    kept = {key: os.environ.get(key) for key in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", *_UNLESS_SET)}
    os.environ["MLFLOW_TRACKING_URI"] = _uri(models)
    os.environ.pop("MLFLOW_RUN_ID", None)  # would continue a run of somebody else's
    for key, value in _UNLESS_SET.items():
        os.environ.setdefault(key, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about MLflow's own insides: nobody who trains can act on them
            import mlflow.pyfunc  # noqa: F401  # sets its loggers up, so it comes before they are silenced

            with _quiet("mlflow", "alembic", "urllib3"):
                yield
    finally:
        for key, kept_value in kept.items():
            os.environ.pop(key, None)
            if kept_value is not None:
                os.environ[key] = kept_value


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Silence loggers: what matters arrives as an exception."""
    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)


@contextmanager
def _run(
    models: Path, bundle: Path, name: str, experiment: str, tags: Mapping[str, str], *, kind: str = "training"
) -> Iterator[str]:
    """Open a run; when an exception passes, MLflow marks it as failed."""
    import mlflow

    with mlflow.start_run(
        experiment_id=_experiment(models, experiment),
        run_name=name,
        nested=mlflow.active_run() is not None,
        tags={**_TAGS, VERSION_TAG: bundle.name, "mqlml.kind": kind, **tags},
        log_system_metrics=False,
    ) as run:
        yield run.info.run_id


def _experiment(models: Path, name: str) -> str:
    import mlflow

    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    served = re.match(r"https?:|databricks", _uri(models)) is not None
    location = None if served else (models.resolve() / "mlartifacts").as_uri()  # a server decides for itself
    return str(mlflow.create_experiment(name, artifact_location=location))


def _log_numbers(params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    import mlflow

    texts = {_key(key): str(value)[:_VALUE_CHARACTERS] for key, value in params.items()}
    for some_texts in _chunks(texts, _PARAMS_PER_CALL):
        mlflow.log_params(some_texts)
    numbers = {_key(key): float(value) for key, value in metrics.items()}
    for some_numbers in _chunks(numbers, _METRICS_PER_CALL):
        mlflow.log_metrics(some_numbers)


def _log_files(figures: Mapping[str, str], texts: Mapping[str, str]) -> None:
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "figures").mkdir()
        files = {f"figures/{_file(name)}": picture for name, picture in figures.items()}
        files |= {_file(name): text for name, text in texts.items()}
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8", newline="\n")
        mlflow.log_artifacts(folder)


def _log_model(bundle: Path, inputs: Sequence[tuple[str, Literal["double", "string"]]], registered: str) -> None:
    import mlflow
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    # By hand: inferred from a sample it would make text required and whole numbers refuse what is not whole.
    signature = ModelSignature(
        inputs=Schema([ColSpec(kind, name, required=False) for name, kind in inputs]),
        outputs=Schema([ColSpec(kind, name) for name, kind in SIGNATURE_OUTPUTS]),
    )
    logged = mlflow.pyfunc.log_model(
        name="model",
        loader_module="mqlml.operation.serving",
        data_path=str(bundle),
        signature=signature,
        pip_requirements=_requirements(),
        tags=_TAGS,
    )
    # By hand: the way that log_model offers talks on stderr.
    client = MlflowClient()
    if not client.search_registered_models(filter_string=f"name = '{registered}'"):
        client.create_registered_model(registered)
    client.create_model_version(
        registered, logged.model_uri, run_id=logged.run_id, model_id=logged.model_id, tags={VERSION_TAG: bundle.name}
    )


def _requirements() -> list[str]:
    """Pin what scoring imports to the versions the model was trained with."""
    pins = [f"mqlml=={__version__}"]
    for name in _REQUIRED:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return pins


def _chunks(items: Mapping[str, _T], size: int) -> Iterator[dict[str, _T]]:
    names = list(items)
    for start in range(0, len(names), size):
        yield {name: items[name] for name in names[start : start + size]}


def _key(name: str) -> str:
    """Make a name of a parameter or metric that every MLflow store takes."""
    return re.sub(r"[^A-Za-z0-9_\-./ ]", "_", name)[:250]


def _file(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(f"'{shown(name)}' is not allowed as the name of a file in MLflow.")
    return name


def _without_secrets(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//***@", text)
