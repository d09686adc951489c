"""The scorecard of a bundle in the form that somebody needs it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mqlml.errors import DataRefused, Problem, UsageError
from mqlml.history.writing import write_text
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.registry import resolve
from mqlml.review.scorecard import as_csv, as_markdown, as_text

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Config

__all__ = ["scorecard"]

_FORMS = {".csv": as_csv, ".md": as_markdown, ".txt": as_text}


def scorecard(config: Config, *, model: str | None = None, out: Path | None = None) -> tuple[Mapping[str, Any], str]:
    """Read the scorecard that was distilled when a bundle was trained, and write it where somebody wants a file.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    model : str, optional
        By default the champion.
    out : Path, optional
        .csv, .md or .txt.

    Returns
    -------
    tuple of (mapping, str)
        The scorecard as plain data, and as text for the terminal.

    Raises
    ------
    UsageError
        ``out`` has another ending.
    DataRefused
        The bundle was trained before there were scorecards.
    """
    if out is not None and out.suffix not in _FORMS:
        raise UsageError(f"--out {out}: unknown kind of file.", hint=f"end its name in {', '.join(_FORMS)}")
    bundle = read_bundle(resolve(config.path(config.output.models), model))
    found: Mapping[str, Any] | None = read_json(bundle.parts, "report.json").get("scorecard")
    if found is None:
        what = "was trained by a version of mqlml that made no scorecard"
        raise DataRefused([Problem("no-scorecard", str(bundle.path), what, "train again")])
    if out is not None:
        write_text(out, _FORMS[out.suffix](found))
    return found, as_text(found)
