"""What a bundle tells about itself: its report, drawn again from what was stored at training, and its features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.history.writing import write_text
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.registry import resolve, review_state
from mqlml.review.report import render_report
from mqlml.tape.features import FeatureSet

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["features", "report"]


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
    summary = read_json(bundle.parts, "report.json")
    page = render_report(
        {**summary, "model_version": bundle.model_version, "review": review_state(models, bundle.path)}
    )
    write_text(path, page)
    return path


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
