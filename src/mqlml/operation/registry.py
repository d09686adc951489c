"""Which bundle is in use, and names people may give instead of paths."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from mqlml.errors import UsageError, shown
from mqlml.operation.bundle import SUMS, is_model_version, read_bundle
from mqlml.operation.standing import Standing, damaged, read_standing, write_standing


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
    standing = read_standing(models)
    if standing is None:
        return None
    path = models / standing.model_version
    if not path.is_dir():
        raise damaged(models, f"names the bundle '{path.name}', which is not there")
    return path


def champion_review(models: Path) -> str | None:
    """Tell how far people have reviewed the bundle in use (``"unreviewed"`` at first), or None before any training."""
    standing = read_standing(models)
    return None if standing is None else standing.review


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
    standing = read_standing(models) or Standing(model_version, review)
    write_standing(models, replace(standing, model_version=model_version, review=review))


def adopt_first(models: Path, model_version: str) -> bool:
    """Make a bundle champion, marked ``unreviewed``, if there is none yet; say whether it became one."""
    if read_standing(models) is not None:
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
        A model version inside ``models``, ``"challenger"``, a path to a bundle, or None (or ``"champion"``) for the
        champion.

    Raises
    ------
    UsageError
        Nothing fits; lists the bundles that exist and the nearest name.
    """
    if name in (None, "champion"):
        found = champion(models)
        if found is None:
            raise UsageError(f"there is no champion in '{models}' yet.", hint=_hint(models))
        return found
    if name == "challenger":
        return models / _challenger(models)
    if str(name) in _versions(models):
        return models / str(name)
    if str(name) and (Path(name) / SUMS).is_file():
        return Path(name)
    raise _unknown(models, str(name))


def _challenger(models: Path) -> str:
    standing = read_standing(models)
    if standing is None or standing.challenger is None:
        raise UsageError(f"there is no challenger in '{models}'.", hint="run 'mqlml retrain', or name a bundle")
    return standing.challenger


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
