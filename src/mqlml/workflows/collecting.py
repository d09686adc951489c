"""Collecting changes of the leads' attributes, by a command of its own or before each scoring."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mqlml.errors import UsageError
from mqlml.history.collecting import collect as collect_changes

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["collect", "collect_if_asked"]


def collect(config: Config, *, as_of: str) -> dict[str, Any]:
    """Compare the leads with the last extract kept in ``[history] collect``, and add what changed.

    Parameters
    ----------
    config : Config
    as_of : str
        When the extract was made: a date or an ISO timestamp. Changes hold from then on.

    Returns
    -------
    dict
        The fields of `mqlml.history.collecting.Collected`.

    Raises
    ------
    UsageError
        ``[history] collect`` is not set.
    DataRefused
        The leads, or what was kept, cannot be used.
    """
    return asdict(collect_changes(config, as_of=config.moment(as_of)))


def collect_if_asked(config: Config, *, as_of: str | None) -> dict[str, Any] | None:
    """Collect before a scoring, where ``[history] collect`` says so; the scoring then reads it as the next one will.

    Raises
    ------
    UsageError
        The moment of the extract is not said.
    """
    if config.history is None or config.history.collect is None:
        return None
    if as_of is None:
        raise UsageError("[history] collect needs to know when the extract of the leads was made.", hint="add --as-of")
    return collect(config, as_of=as_of)
