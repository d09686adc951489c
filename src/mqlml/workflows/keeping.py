"""Events kept from run to run: whether this run uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.errors import UsageError
from mqlml.history.kept import Kept, keeping
from mqlml.tape.engine import LocalEngine

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.tape.engine import Engine

__all__ = ["engine_for"]


@contextmanager
def engine_for(config: Config, engine: Engine | None, state: Path | None) -> Iterator[tuple[Engine, Kept | None]]:
    """Give the engine, and the kept events that it uses, if any.

    Parameters
    ----------
    config : Config
        ``[output] state`` is the folder where the command names none.
    engine : Engine or None
        None is the local one, which alone keeps events.
    state : Path or None

    Raises
    ------
    UsageError
        Events are to be kept for another engine, or the folder holds something else.
    EngineError
        Another process uses the folder.
    """
    if engine is not None:
        if state is not None:
            hint = "leave --state out, or --engine spark"
            raise UsageError("--state keeps events for --engine local; Spark reads all of them each time.", hint=hint)
        yield engine, None
        return
    folder = state or (None if config.output.state is None else config.path(config.output.state))
    if folder is None:
        yield LocalEngine(), None
        return
    with keeping(folder) as kept:
        yield LocalEngine(kept), kept
