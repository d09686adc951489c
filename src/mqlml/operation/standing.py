"""Which bundle is in use, which one challenges it, and every change so far: one file, replaced in one step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mqlml.errors import DataRefused, EngineError, Problem, shown
from mqlml.history.locking import only_one
from mqlml.history.writing import write_text
from mqlml.operation.bundle import is_model_version, read_json

__all__ = ["Change", "Standing", "alone", "damaged", "read_standing", "write_standing"]

_POINTER = "champion.json"
_NEEDED = frozenset({"model_version", "review"})
_FIX = "choose the champion again among the bundles in this folder"


@dataclass(frozen=True)
class Change:
    """One change of the bundle in use.

    Attributes
    ----------
    number : int
        1, 2, ...
    kind : {"promoted", "rolled back"}
    model_version, review : str
        The bundle in use afterwards, and how far people have reviewed it.
    before, before_review : str
        The one before.
    author, reason : str
    at : str or None
        When, ISO 8601 in UTC.
    as_of : str or None
        Moment as of which the two were compared; None where they were not.
    forced : bool
        Whether gates were closed and somebody opened them.
    gates : sequence of mapping
        ``name``, ``passed`` and ``sentence`` of each gate at that moment.
    """

    number: int
    kind: str
    model_version: str
    review: str
    before: str
    before_review: str
    author: str
    reason: str
    at: str | None = None
    as_of: str | None = None
    forced: bool = False
    gates: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Standing:
    """The bundle in use, the one that wants to replace it, and how it came to that.

    Attributes
    ----------
    model_version, review : str
    challenger : str or None
    history : tuple of Change
        The oldest first; none is ever altered or left out.
    """

    model_version: str
    review: str
    challenger: str | None = None
    history: tuple[Change, ...] = field(default=())


def read_standing(models: Path) -> Standing | None:
    """Read ``champion.json`` beside the bundles; None before the first training.

    Raises
    ------
    DataRefused
        The file is damaged.
    """
    try:
        data = (models / _POINTER).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise damaged(models, f"cannot be read: {error.strerror}") from error
    try:
        content = read_json({_POINTER: data}, _POINTER)
    except DataRefused as error:
        raise damaged(models, error.problems[0].what) from None
    return _standing(models, content)


def write_standing(models: Path, standing: Standing) -> None:
    """Put a standing in force: at every moment the old or the new one is, on disk too.

    Raises
    ------
    EngineError
        Writing failed; the old one is in force.
    """
    content: dict[str, Any] = {"model_version": standing.model_version, "review": standing.review}
    if standing.challenger is not None:
        content["challenger"] = standing.challenger
    if standing.history:
        content["history"] = [asdict(change) for change in standing.history]
    write_text(models / _POINTER, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def alone(models: Path) -> Iterator[None]:
    """Let one process at a time change the standing; the lock goes with the process that held it.

    Raises
    ------
    EngineError
        Another process is changing it right now.
    """
    what = f"MQL-write {models / _POINTER}: another process is changing the bundle in use."
    busy = EngineError(what, hint="nothing was changed here; look at what it did, then run again")
    with only_one(models / f".{_POINTER}.lock", busy=busy):
        yield


def damaged(models: Path, what: str) -> DataRefused:
    """Say that the file which tells the champion cannot be used."""
    return DataRefused([Problem("champion", str(models / _POINTER), what, _FIX)])


def _standing(models: Path, content: Any) -> Standing:
    if not isinstance(content, dict) or not content.keys() >= _NEEDED:
        raise damaged(models, f"does not hold exactly the texts {' and '.join(sorted(_NEEDED))}")
    texts = [content[name] for name in _NEEDED]
    if content.keys() - {f.name for f in fields(Standing)} or not all(isinstance(text, str) for text in texts):
        raise damaged(models, f"does not hold exactly the texts {' and '.join(sorted(_NEEDED))}")
    challenger = content.get("challenger")
    for version in (content["model_version"], *([] if challenger is None else [challenger])):
        if not isinstance(version, str) or not is_model_version(version):
            raise damaged(models, f"'{shown(version)}' is not a model version")
    history = content.get("history", [])
    if not isinstance(history, list):
        raise damaged(models, "its history is not a list")
    changes = tuple(_change(models, number, change) for number, change in enumerate(history, 1))
    return Standing(content["model_version"], content["review"], challenger, changes)


def _change(models: Path, number: int, data: Any) -> Change:
    names = {f.name for f in fields(Change)}
    texts = ("kind", "model_version", "review", "before", "before_review", "author", "reason")
    whole = isinstance(data, dict) and data.keys() == names and data["number"] == number
    if not whole or not all(isinstance(data[name], str) for name in texts) or not is_model_version(data["before"]):
        raise damaged(models, f"entry {number} of its history is not one that mqlml writes")
    return Change(**data)
