"""What a bundle tells about itself: its report, drawn again from what was stored at training, and its features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mqlml.history.writing import write_text
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.policies import policy_history, read_basis
from mqlml.operation.registry import resolve
from mqlml.review.decision import decision
from mqlml.review.report import definition as definition_page
from mqlml.review.report import render_report
from mqlml.tape.features import FeatureSet
from mqlml.workflows.reviewing import as_told

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.operation.bundle import Bundle

__all__ = ["definition", "features", "in_force", "monitor_path", "report"]


def in_force(summary: dict[str, Any], bundle: Bundle) -> dict[str, Any]:
    """The summary of a training with the decision of the policy in force, where another has been set since."""
    last = policy_history(bundle)[-1]
    if last.number == 0:
        return summary
    told = decision(last.policy, read_basis(bundle))
    changed_by = {"author": last.author, "reason": last.reason, "number": last.number}
    return {**summary, "policy_version": last.policy.version, "decision": {**told, "changed_by": changed_by}}


def report(config: Config, *, out: Path | None = None, model: str | None = None) -> Path:
    """Write the report of a bundle.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    out : Path, optional
        By default beside the bundle.
    model : str, optional
        By default the champion.

    Returns
    -------
    Path
        The HTML file.
    """
    models = config.path(config.output.models)
    bundle = read_bundle(resolve(models, model))
    path = out or bundle.path.with_name(f"{bundle.model_version}.report.html")
    summary = in_force(read_json(bundle.parts, "report.json"), bundle)
    told = as_told(summary, models, bundle.path)
    write_text(path, render_report({**told, "monitoring": _watched(bundle.path)}))
    return path


def monitor_path(bundle: Path) -> Path:
    """Where what `mqlml monitor` found last lies: beside the bundle, for its report."""
    return bundle.with_name(f"{bundle.name}.monitor.json")


def _watched(bundle: Path) -> dict[str, Any] | None:
    """What ``mqlml monitor`` found last; None where nobody watched."""
    found = monitor_path(bundle)
    return json.loads(found.read_text(encoding="utf-8")) if found.is_file() else None


def features(config: Config, *, out: Path | None = None, model: str | None = None) -> str:
    """Describe every feature that a bundle computes, in plain words.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    out : Path, optional
        Markdown file to write as well.
    model : str, optional
        By default the champion.

    Returns
    -------
    str
        A Markdown table: name, meaning, unit and group.
    """
    bundle = read_bundle(resolve(config.path(config.output.models), model))
    text = FeatureSet.from_dict(read_json(bundle.parts, "model.json")["features"]).dictionary()
    if out is not None:
        write_text(out, text)
    return text


def definition(config: Config, *, out: Path | None = None, model: str | None = None) -> str:
    """Write the MQL definition that marketing and sales sign, for the policy in force.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    out : Path, optional
        Markdown file to write as well.
    model : str, optional
        By default the champion.

    Returns
    -------
    str
        Markdown.
    """
    models = config.path(config.output.models)
    bundle = read_bundle(resolve(models, model))
    text = definition_page(as_told(in_force(read_json(bundle.parts, "report.json"), bundle), models, bundle.path))
    if out is not None:
        write_text(out, text)
    return text
