"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mqlml.errors import EngineError

__all__ = ["only_one"]


@contextmanager
def only_one(lock: Path, *, busy: EngineError) -> Iterator[None]:
    """Hold a lock that goes with the process that holds it; its folder is made where it is missing.

    Parameters
    ----------
    lock : Path
        A file that stays, empty.
    busy : EngineError
        Raised where another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on Windows: there, whoever writes last wins, whole
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise busy from None
        yield
