"""The report of a bundle, drawn again from what was stored at training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.history.writing import write_text
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.registry import resolve, review_state
from mqlml.review.report import render_report

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["report"]


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
