"""What MLflow is told of a training: its settings, its evidence, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mqlml.errors import EngineError
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.origin import fingerprints, git_state
from mqlml.review.criteria import Criteria
from mqlml.review.report import model_card

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.learning.model import Model
    from mqlml.review.report.figure import Figure

__all__ = ["record_training"]


def record_training(
    config: Config, bundle: Path, summary: Mapping[str, Any], model: Model, page: str, charts: Mapping[str, Figure]
) -> tuple[str | None, list[str]]:
    """Log a training as a run; it is not lost because its record could not be made.

    Returns
    -------
    tuple of (str or None, list of str)
        The run's id, and what people should know.
    """
    from mqlml.operation.tracking import log_training

    models = config.path(config.output.models)
    parts = read_bundle(bundle).parts
    data = fingerprints(config)
    try:
        run_id = log_training(
            models,
            bundle=bundle,
            name=bundle.name,
            params={**_params(summary), **{f"data.{k}.sha256": v["sha256"] for k, v in data.items()}},
            metrics=_metrics(summary),
            figures={f"{name}.svg": figure.picture() for name, figure in charts.items()},
            texts={
                "report.html": page,
                "model_card.md": model_card(summary),
                "features.md": model.features.dictionary(),
                "policy.json": parts["policy.json"].decode(),
                "criteria.toml": Criteria.from_dict(read_json(parts, "criteria.json")).to_toml(),
                "data.json": _json(data),
            },
            signature_inputs=[(f.name, "double" if f.kind == "number" else "string") for f in model.features.features],
            registered=config.output.name,
            tags=_git_tags(config),
        )
    except EngineError as error:
        return None, [f"Not recorded in MLflow: {error} The bundle is complete all the same."]
    return run_id, []


def _params(summary: Mapping[str, Any]) -> dict[str, Any]:
    population = summary["population"]
    return {
        "as_of": summary["as_of"],
        "horizon_days": population["horizon_days"],
        "mode": population["mode"],
        "snapshots": population["snapshots"],
        "features": summary["features"],
        "policy": summary["decision"]["kind"],
        "policy_version": summary["policy_version"],
        "threshold": summary["decision"]["threshold"],
        "verdict": summary["verdict"]["code"],
    }


def _metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Each figure of the test, with the ends of its 90 % interval beside it."""
    ends = {"value": "", "low": ".low", "high": ".high"}
    told = {
        f"{m['name']}{end}": m["model"].get(key) for m in summary["evaluation"]["metrics"] for key, end in ends.items()
    }
    return {name: value for name, value in told.items() if value is not None}


def _git_tags(config: Config) -> dict[str, str]:
    state = git_state(config.root)
    return {} if not state else {"mlflow.source.git.commit": state["commit"], "mqlml.git.changed": state["changed"]}


def _json(data: Any) -> str:
    from mqlml.operation.scoring import encode_json

    return encode_json(data).decode() + "\n"
