"""Which bundle is in use: a pointer of two fields beside the bundles, and names people may give instead of paths."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from mqlml.errors import DataRefused, Problem, UsageError, shown
from mqlml.history.writing import write_text
from mqlml.operation.bundle import SUMS, is_model_version, read_bundle, read_json

_POINTER = "champion.json"
_FIX = "choose the champion again among the bundles in this folder"


def champion(models: Path) -> Path | None:
    """Find the bundle in use, or None before the first training.

    Parameters
    ----------
    models : Path
        The directory of all bundles.

    Raises
    ------
    DataRefused
        The pointer is damaged or names a bundle that is not there.
    """
    pointer = _pointer(models)
    if pointer is None:
        return None
    path = models / pointer["model_version"]
    if not path.is_dir():
        raise _damaged(models, f"names the bundle '{path.name}', which is not there")
    return path


def champion_review(models: Path) -> str | None:
    """Tell how far people have reviewed the bundle in use (``"unreviewed"`` at first), or None before any training."""
    pointer = _pointer(models)
    return None if pointer is None else pointer["review"]


def set_champion(models: Path, model_version: str, *, review: str) -> None:
    """Put a bundle in use, in one step: at every moment the old or the new one is champion, never none.

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    model_version : str
        Its name there; the bundle is read, so that a damaged one never becomes champion.
    review : str
        How far people have reviewed it, for example ``"unreviewed"``.

    Raises
    ------
    UsageError
        There is no such bundle, or ``review`` is empty.
    DataRefused
        The bundle is damaged.
    """
    if not review.strip():
        raise UsageError("the review of a champion is empty.", hint="say 'unreviewed' or who reviewed it")
    if model_version not in _versions(models):
        raise _unknown(models, model_version)
    read_bundle(models / model_version)
    pointer = {"model_version": model_version, "review": review}
    write_text(models / _POINTER, json.dumps(pointer, indent=2) + "\n")


def adopt_first(models: Path, model_version: str) -> bool:
    """Make a bundle champion, marked ``unreviewed``, if there is none yet; say whether it became one."""
    if _pointer(models) is not None:
        return False
    set_champion(models, model_version, review="unreviewed")
    return True


def resolve(models: Path, name: str | Path | None) -> Path:
    """Turn what a person gave as ``--model`` into a bundle's directory; its content is not read yet.

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    name : str, Path or None
        A model version inside ``models``, a path to a bundle, or None for the champion.

    Raises
    ------
    UsageError
        Nothing fits; lists the bundles that exist and the nearest name.
    """
    if name is None:
        found = champion(models)
        if found is None:
            raise UsageError(f"there is no champion in '{models}' yet.", hint=_hint(models))
        return found
    if str(name) in _versions(models):
        return models / str(name)
    if str(name) and (Path(name) / SUMS).is_file():
        return Path(name)
    raise _unknown(models, str(name))


def _pointer(models: Path) -> dict[str, str] | None:
    file = models / _POINTER
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(models, f"cannot be read: {error.strerror}") from error
    content = _json(models, data)
    fields = {"model_version", "review"}
    if not isinstance(content, dict) or set(content) != fields or not all(isinstance(v, str) for v in content.values()):
        raise _damaged(models, f"does not hold exactly the texts {' and '.join(sorted(fields))}")
    if not is_model_version(content["model_version"]):
        raise _damaged(models, f"'{shown(content['model_version'])}' is not a model version")
    return content


def _json(models: Path, data: bytes) -> Any:
    try:
        return read_json({_POINTER: data}, _POINTER)
    except DataRefused as error:
        raise _damaged(models, error.problems[0].what) from None


def _damaged(models: Path, what: str) -> DataRefused:
    return DataRefused([Problem("champion", str(models / _POINTER), what, _FIX)])


def _versions(models: Path) -> list[str]:
    """Bundles in ``models``, the newest as-of first."""
    if not models.is_dir():
        return []
    return sorted((p.name for p in models.iterdir() if is_model_version(p.name) and p.is_dir()), reverse=True)


def _unknown(models: Path, name: str) -> UsageError:
    return UsageError(f"there is no bundle '{shown(name)}' in '{models}'.", hint=_hint(models, name))


def _hint(models: Path, name: str = "") -> str:
    versions = _versions(models)
    if not versions:
        return "run 'mqlml train' first"
    nearest = difflib.get_close_matches(Path(name).name, versions, n=1, cutoff=0.5)
    more = ", ..." if len(versions) > 5 else ""
    existing = f"existing bundles: {', '.join(versions[:5])}{more}"
    return f"did you mean '{nearest[0]}'? {existing}" if nearest else existing


def review_state(models: Path, bundle: Path) -> str:
    """What every output says of a bundle: how far the champion was reviewed, or that this is not the champion."""
    in_use = champion(models)
    if in_use is not None and in_use.name == bundle.name:
        return champion_review(models) or "unreviewed"
    return "not in use, unreviewed"
