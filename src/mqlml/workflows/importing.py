"""Answers from sales brought into the table of hand-overs, from where memory, training and monitoring read them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mqlml.errors import UsageError
from mqlml.history.answers import merge_answers

if TYPE_CHECKING:
    from pathlib import Path

    from mqlml.config import Config

__all__ = ["import_handovers"]


def import_handovers(config: Config, file: Path) -> dict[str, Any]:
    """Merge a file of answers into the table that ``[handovers]`` names.

    Parameters
    ----------
    config : Config
    file : Path
        CSV or Parquet; see `mqlml.history.answers.merge_answers`.

    Returns
    -------
    dict
        ``table`` and the counts of `mqlml.history.answers.Merged`.

    Raises
    ------
    UsageError
        There is no ``[handovers]``, or it is no file that can be written.
    DataRefused
        Rows that cannot be used; nothing is written.
    """
    source = config.handovers
    if source is None:
        hint = 'add [handovers] with path = "handovers.csv"; the file is made by the import'
        raise UsageError("There is no [handovers] to import into.", hint=hint)
    if source.table is not None or "://" in source.path or any(sign in source.path for sign in "*?["):
        hint = "write the answers there with the database's own tools"
        raise UsageError(f"[handovers] {source.path}: only a .csv or .parquet file can be imported into.", hint=hint)
    if file.exists() and config.path(source.path).exists() and file.samefile(config.path(source.path)):
        raise UsageError(f"{file}: is the table of hand-overs itself.", hint="name the file of answers")
    done = merge_answers(file, config.path(source.path), source=source, zone=config.zone)
    return {"table": str(config.path(source.path)), **asdict(done)}
