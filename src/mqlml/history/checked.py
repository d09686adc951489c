"""What is kept of checked events: the files they came from and what was found in these; and its JSON form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mqlml.history.findings import Fault

__all__ = ["Part", "ReadFile", "State", "digest_of", "sha256_of", "stamp_of", "state_from", "state_text"]


@dataclass(frozen=True)
class ReadFile:
    """A file of events that was read, and what was found in it; nothing of it depends on who the leads are.

    Parameters
    ----------
    name : str
        Below the folder that ``[events] path`` names.
    stamp : tuple of int
        Size, times of the last changes of content and status in nanoseconds, and inode. Where it is another one, the
        content is looked at again.
    sha256 : str
        Empty where nothing is kept.
    rows : int
        Those that cannot be used included.
    numbered : bool
        Whether ids of leads are whole numbers in it.
    types : tuple of str
        Event types that occur.
    notes : tuple of str
    flags : tuple of (str, int)
        Sentences with ``{count}``, and how many rows each is about.
    faults : tuple of Fault
        Why rows of it cannot be used, by number.
    """

    name: str
    stamp: tuple[int, ...]
    sha256: str
    rows: int
    numbered: bool
    types: tuple[str, ...]
    notes: tuple[str, ...]
    flags: tuple[tuple[str, int], ...]
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> ReadFile:
        """Make it from its JSON form."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["flags"] = tuple((str(sentence), int(count)) for sentence, count in data["flags"])
        plain["faults"] = tuple(Fault(**fault) for fault in data["faults"])
        return cls(**plain)


@dataclass(frozen=True)
class Part:
    """A Parquet file of rows in the folder."""

    name: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class State:
    """What is kept.

    Parameters
    ----------
    settings : mapping
        What decides how rows are read, as plain JSON.
    files : tuple of ReadFile
    parts : tuple of Part
        Rows that can be used, the largest parts first.
    faulty : Part or None
        Places of the rows that cannot.
    erased : mapping of str to int
        Rows of people who are to be left alone, counted by ``digest_of`` their id; the rows themselves are not kept.
    """

    settings: Mapping[str, Any]
    files: tuple[ReadFile, ...] = ()
    parts: tuple[Part, ...] = ()
    faulty: Part | None = None
    erased: Mapping[str, int] = field(default_factory=dict)

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """Every file of the folder that is in use."""
        return self.parts if self.faulty is None else (*self.parts, self.faulty)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> State:
        """Make it from its JSON form."""
        faulty = None if data["faulty"] is None else Part(**data["faulty"])
        files = tuple(ReadFile.of(file) for file in data["files"])
        parts = tuple(Part(**part) for part in data["parts"])
        return cls(data["settings"], files, parts, faulty, dict(data["erased"]))


def digest_of(lead_id: str) -> str:
    """What stands for the id of a person who was erased."""
    return hashlib.sha256(lead_id.encode("utf-8", "surrogatepass")).hexdigest()


def stamp_of(path: Path) -> tuple[int, ...]:
    """Size, last changes of content and status, inode: another one where a file may have changed."""
    status = path.stat()
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def sha256_of(path: Path) -> str:
    """Hash a file; memory holds a piece of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_text(state: State) -> str:
    """Write it with a hash of its own."""
    content = json.loads(_canonical(asdict(state)))
    whole = {"sha256": hashlib.sha256(_canonical(content).encode()).hexdigest(), "content": content}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def state_from(text: str) -> State | None:
    """Read it back; None where it is not, byte for byte, what was written."""
    try:
        whole = json.loads(text)
        content = whole["content"]
        intact = whole["sha256"] == hashlib.sha256(_canonical(content).encode()).hexdigest()
        return State.of(content) if intact else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, allow_nan=False)
