"""Checked events kept from run to run: the rows, the files they came from and what was found in these.

What is kept depends on the files, on how ``[events]`` and the time zone say they are read, and on nothing else: neither
on the leads nor on a model. Where any of that differs, or a byte of what is kept, nothing of it is used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mqlml.errors import EngineError, UsageError, shown
from mqlml.history.checked import Part, ReadFile, State, digest_of, sha256_of, stamp_of, state_from, state_text
from mqlml.history.locking import only_one
from mqlml.history.writing import table_writer, write_text

__all__ = ["Kept", "is_state", "keeping"]

_MANIFEST = "state.json"
_LOCK = ".lock"
_OURS = re.compile(r"\.?\d{6}\.parquet(\.[0-9a-f]{12}\.tmp)?|\.state\.json\.[0-9a-f]{12}\.tmp")


def is_state(folder: Path) -> bool:
    """Whether a folder holds kept events."""
    return (folder / _MANIFEST).is_file()


@dataclass
class Kept:
    """The folder, held by this process.

    Attributes
    ----------
    folder : Path
    rebuilt : str or None
        Why what was kept could not be used, as a clause.
    files_read, bytes_read, files_kept, bytes_kept : int
        Files of events that were read now, and those whose rows were kept.
    """

    folder: Path
    rebuilt: str | None = None
    files_read: int = 0
    bytes_read: int = 0
    files_kept: int = 0
    bytes_kept: int = 0
    _pending: State | None = None

    @property
    def told(self) -> dict[str, Any]:
        """What this run did, as plain values."""
        return {
            "folder": str(self.folder),
            "rebuilt": self.rebuilt,
            "files_read": self.files_read,
            "bytes_read": self.bytes_read,
            "files_kept": self.files_kept,
            "bytes_kept": self.bytes_kept,
        }

    def usable(self, files: Mapping[str, Path], settings: Mapping[str, Any], suppressed: Collection[str]) -> State:
        """Give what is kept if all of it can be used, else nothing; ``rebuilt`` then says why.

        Parameters
        ----------
        files : mapping of str to Path
            The files of events there are now.
        settings : mapping
        suppressed : collection of str
            ``digest_of`` each id that is to be left alone.
        """
        state, self.rebuilt = self._load()
        if state is not None:
            known, self.rebuilt = _same_files(state, files)
            state = replace(state, files=known)
            self.rebuilt = (
                _other_settings(state.settings, settings)
                or self.rebuilt
                or _returned(state, suppressed)
                or self._damaged(state)
            )
            if self.rebuilt is None:
                self.files_kept, self.bytes_kept = len(known), sum(file.stamp[0] for file in known)
                return state
        return State(settings)

    def path(self, part: Part) -> Path:
        """Where a part lies."""
        return self.folder / part.name

    def free_name(self) -> str:
        """Name for a part that nothing in the folder has."""
        there = [int(path.name[:6]) for path in self.folder.glob("??????.parquet") if _OURS.fullmatch(path.name)]
        return f"{max(there, default=0) + 1:06d}.parquet"

    def offer(self, state: State, read: Collection[ReadFile]) -> None:
        """Take what is to be kept once the history has proved usable."""
        self._pending = state
        self.files_read, self.bytes_read = len(read), sum(file.stamp[0] for file in read)

    def commit(self) -> None:
        """Put what was offered in force, in one step.

        Raises
        ------
        EngineError
            Writing failed; what was kept before is in force.
        """
        if self._pending is not None:
            write_text(self.folder / _MANIFEST, state_text(self._pending))
            self._pending = None

    def erase(self, lead_id: str) -> int:
        """Take the rows of a lead out; only their number is kept, under ``digest_of`` the id.

        Raises
        ------
        EngineError
            Writing failed; nothing was erased.
        """
        state, _ = self._load()
        if state is None or self._damaged(state):
            (self.folder / _MANIFEST).unlink(missing_ok=True)  # `tidy` then removes every row of everybody
            return 0
        parts = tuple(self._without(part, lead_id) for part in state.parts)
        faulty = None if state.faulty is None else self._without(state.faulty, lead_id)
        changed = replace(state, parts=parts, faulty=faulty)
        erased = sum(part.rows for part in state.all_parts) - sum(part.rows for part in changed.all_parts)
        if erased:
            digest = digest_of(lead_id)
            self._pending = replace(changed, erased={**state.erased, digest: state.erased.get(digest, 0) + erased})
            self.commit()
        return erased

    def tidy(self) -> None:
        """Remove what a run that ended half-way left, and parts that are no longer used."""
        stored = self._load()[0]
        used = {part.name for part in stored.all_parts} if stored is not None else set()
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in used:
                path.unlink(missing_ok=True)

    def _load(self) -> tuple[State | None, str | None]:
        try:
            state = state_from((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None, None
        except (OSError, UnicodeDecodeError):
            state = None
        return state, f"{_MANIFEST} is damaged" if state is None else None

    def _damaged(self, state: State) -> str | None:
        """Hash every part before anything parses it."""
        for part in state.all_parts:
            path = self.path(part)
            if not path.is_file() or sha256_of(path) != part.sha256:
                return f"{part.name} is missing or damaged"
        return None

    def _without(self, part: Part, lead_id: str) -> Part:
        with pq.ParquetFile(self.path(part)) as file:
            ids = (batch["lead_id"] for batch in file.iter_batches(columns=["lead_id"]))
            if not any(pc.any(pc.equal(column, lead_id)).as_py() for column in ids):
                return part
            rows, name = 0, self.free_name()
            with table_writer(self.folder / name, file.schema_arrow) as add:
                for batch in file.iter_batches():
                    other = pc.fill_null(pc.not_equal(batch["lead_id"], lead_id), fill_value=True)
                    kept = pa.Table.from_batches([batch]).filter(other)
                    rows += kept.num_rows
                    add(kept)
        return Part(name, sha256_of(self.folder / name), rows)


@contextmanager
def keeping(folder: Path) -> Iterator[Kept]:
    """Hold the folder of kept events; it is made where it is missing, for its owner alone.

    Raises
    ------
    UsageError
        It holds something else.
    EngineError
        Another process holds it.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is no folder, so no events can be kept in it.", hint="name a folder")
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    others = [
        path.name for path in folder.iterdir() if path.name not in (_MANIFEST, _LOCK) and not _OURS.fullmatch(path.name)
    ]
    if others:
        what = f"'{folder}' holds other files ('{shown(min(others))}'), so no events are kept in it."
        raise UsageError(what, hint="name an empty or a new folder")
    busy = EngineError(f"MQL-write {folder}: another process is using the events kept there.", hint="run again later")
    with only_one(folder / _LOCK, busy=busy):
        kept = Kept(folder.resolve())
        kept.tidy()
        try:
            yield kept
        finally:
            kept.tidy()


def _same_files(state: State, files: Mapping[str, Path]) -> tuple[tuple[ReadFile, ...], str | None]:
    """The files that were read, with the stamps they have now; or why they are not the same."""
    known = []
    for file in state.files:
        path = files.get(file.name)
        if path is None:
            return (), f"{shown(file.name)} is gone"
        stamp = stamp_of(path)
        if stamp != file.stamp and (stamp[0] != file.stamp[0] or sha256_of(path) != file.sha256):
            return (), f"{shown(file.name)} has changed"
        known.append(replace(file, stamp=stamp))
    return tuple(known), None


def _other_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return f"{', '.join(differing)} differ{'s' if len(differing) == 1 else ''} from then" if differing else None


def _returned(state: State, suppressed: Collection[str]) -> str | None:
    """Rows of people who were to be left alone are not here; if they may be looked at again, they have to be read."""
    return "a lead is no longer on the list [suppress]" if state.erased.keys() - set(suppressed) else None
