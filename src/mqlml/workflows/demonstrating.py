"""The whole way once on a generated history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.config import Config
from mqlml.history.sample import write_sample
from mqlml.workflows.opening import Progress, Quiet
from mqlml.workflows.scoring import ScoreResult, score
from mqlml.workflows.training import Trained, train

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Demonstration", "demonstrate"]


@dataclass(frozen=True)
class Demonstration:
    """Where everything of a demonstration lies."""

    folder: Path
    tables: Mapping[str, int]
    trained: Trained
    scored: ScoreResult


def demonstrate(out: Path, *, leads: int, seed: int = 0, progress: Progress | None = None) -> Demonstration:
    """Write a sample history into ``out``, train on it, score its open leads and draw the report.

    Parameters
    ----------
    out : Path
        Made if missing.
    leads : int
        Size of the history, 1,000 or more.
    seed : int
    progress : Progress, optional
    """
    progress = progress or Quiet()
    progress.begin(f"Writing a history of {leads:,} leads")
    tables = write_sample(out, leads=leads, seed=seed)
    config = Config.load(out / "mqlml.toml")
    trained = train(config, progress=progress)
    scored = score(config, out=out / "scores.csv", model=str(trained.bundle), progress=progress)
    return Demonstration(out, tables, trained, scored)
