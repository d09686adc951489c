"""Going back to the bundle that was in use before: no data are read, and little is loaded, since it may be urgent."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mqlml.operation.aliases import follow_standing
from mqlml.operation.promotion import NOBODY, roll_back

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["rollback"]


def rollback(
    config: Config,
    *,
    author: str | None = None,
    reason: str | None = None,
    at: str | None = None,
) -> dict[str, Any]:
    """Put the champion before this one in use again; no data are read.

    Parameters
    ----------
    config : Config
    author, reason, at : str, optional
        For the record.

    Returns
    -------
    dict
        ``champion``, ``change`` and ``notes``.

    Raises
    ------
    UsageError
        There was no champion before.
    DataRefused
        The bundle to go back to is damaged or gone.
    """
    change = roll_back(config.path(config.output.models), author=author or NOBODY, reason=reason or "", at=at)
    return {"champion": change.model_version, "change": asdict(change), "notes": follow_standing(config)}
