"""Putting a bundle in use and back: each one replacement of one file, with who wanted it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mqlml.errors import UsageError
from mqlml.operation.bundle import read_bundle
from mqlml.operation.standing import Change, Standing, alone, read_standing, write_standing

__all__ = ["NOBODY", "earlier_champion", "put_in_use", "roll_back", "set_challenger"]

NOBODY = "not named"


def set_challenger(models: Path, model_version: str) -> bool:
    """Note which bundle wants to replace the one in use; say whether it does (the one in use does not).

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    model_version : str
    """
    with alone(models):
        standing = read_standing(models)
        if standing is None or standing.model_version == model_version:
            return False
        if standing.challenger != model_version:
            write_standing(models, replace(standing, challenger=model_version))
        return True


def put_in_use(
    models: Path,
    model_version: str,
    *,
    review: str,
    expected: str,
    author: str = NOBODY,
    reason: str = "",
    at: str | None = None,
    as_of: str | None = None,
    forced: bool = False,
    gates: Sequence[Mapping[str, Any]] = (),
) -> Change:
    """Make a bundle the champion.

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    model_version : str
        Its name there; it is read, so that a damaged one never gets in use.
    review : str
        How far people have reviewed it.
    expected : str
        The champion that it was compared with; nothing happens if another one is in use by now.
    author, reason, at, as_of, forced, gates
        For the record, see `Change`.

    Raises
    ------
    UsageError
        There is no champion yet, it is in use already, or another champion came in between.
    DataRefused
        The bundle is damaged.
    """
    read_bundle(models / model_version)
    with alone(models):
        now = _in_use(models)
        if now.model_version == model_version:
            raise UsageError(f"'{model_version}' is in use already; nothing was changed.")
        if now.model_version != expected:
            raise UsageError(
                f"'{now.model_version}' came in use while '{model_version}' was compared with '{expected}'; "
                "nothing was changed.",
                hint="run it again",
            )
        change = Change(
            len(now.history) + 1, "promoted", model_version, review, now.model_version, now.review, author, reason,
            at, as_of, forced, tuple(gates),
        )  # fmt: skip
        write_standing(models, Standing(model_version, review, None, (*now.history, change)))
    return change


def roll_back(models: Path, *, author: str = NOBODY, reason: str = "", at: str | None = None) -> Change:
    """Put the champion before this one in use again.

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    author, reason, at
        For the record.

    Raises
    ------
    UsageError
        There was no champion before.
    DataRefused
        The bundle to go back to is damaged or gone.
    """
    with alone(models):
        now = _in_use(models)
        back = earlier_champion(now)
        if back is None:
            raise UsageError(
                f"'{now.model_version}' is the first bundle that was in use: there is nothing to go back to.",
                hint="'mqlml promote MODEL' puts another bundle in use",
            )
        version, review = back
        read_bundle(models / version)
        change = Change(
            len(now.history) + 1, "rolled back", version, review, now.model_version, now.review, author, reason, at
        )
        write_standing(models, Standing(version, review, None, (*now.history, change)))
    return change


def earlier_champion(standing: Standing) -> tuple[str, str] | None:
    """Tell which bundle a rollback leads to, and its review; a bundle that was rolled back is not returned to."""
    before: list[tuple[str, str]] = []
    for change in standing.history:
        if change.kind == "rolled back":
            before.pop()
        else:
            before.append((change.before, change.before_review))
    return before[-1] if before else None


def _in_use(models: Path) -> Standing:
    standing = read_standing(models)
    if standing is None:
        raise UsageError(f"there is no champion in '{models}' yet.", hint="run 'mqlml train' first")
    return standing
