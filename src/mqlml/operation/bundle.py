"""The directory that holds one trained model; every byte is hashed before any parser sees it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from mqlml.errors import DataRefused, EngineError, Problem, shown
from mqlml.history.writing import publish
from mqlml.operation.parts import part_problems, read_json

__all__ = ["Bundle", "is_model_version", "moment_name", "read_bundle", "read_json", "write_bundle"]

SUMS = "SHA256SUMS"
MAX_PARTS = 256
MAX_PART_BYTES = 1 << 29
_MAX_SUMS_BYTES = 1 << 16
_HASH_DIGITS = 12
_LINE = re.compile(rb"([0-9a-f]{64})  ([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})")
_VERSION = re.compile(r"(?:undated|\d{4}-\d{2}-\d{2}(?:T\d{6}(?:\.\d{6})?Z)?)-[0-9a-f]{12}")
_FIX = "restore the whole folder from a copy, or train again; files of a bundle are never edited"


@dataclass(frozen=True)
class Bundle:
    """A trained model as bytes whose hashes have been checked.

    Parameters
    ----------
    path : Path
        The bundle's directory, symbolic links resolved.
    model_version : str
        Its name: the as-of date and the first 12 hexadecimal digits of the content hash.
    parts : mapping of str to bytes
        Every file but ``SHA256SUMS``, by name; read-only.
    """

    path: Path
    model_version: str
    parts: Mapping[str, bytes]


def write_bundle(parts: Mapping[str, bytes], models: Path, *, as_of: datetime | None) -> Path:
    """Publish one trained model as ``models/<model_version>/``, whole or not at all.

    Parameters
    ----------
    parts : mapping of str to bytes
        Text (UTF-8), Parquet or Arrow files by name; names are 1 to 64 letters, digits, ``.``, ``_`` and ``-``
        without a leading dot.
    models : Path
        The directory of all bundles; made if missing.
    as_of : datetime or None
        What the model was allowed to know, with a time zone; None for a history without dates.

    Returns
    -------
    Path
        The bundle's directory. The same parts and ``as_of`` give the same path, left untouched if it exists.

    Raises
    ------
    DataRefused
        A name or a content is not allowed, or the bundle exists already and is damaged.
    EngineError
        Writing failed; nothing of the bundle is left behind.
    """
    problems = [problem for name, data in sorted(parts.items()) for problem in part_problems(models, name, data)]
    if not 0 < len(parts) <= MAX_PARTS or SUMS in parts:
        problems.append(_problem(models, f"{len(parts)} parts cannot be written", f"give 1 to {MAX_PARTS} named parts"))
    if len({name.casefold() for name in parts}) < len(parts):
        problems.append(_problem(models, "two parts differ by upper and lower case only", "rename one"))
    _refuse(problems)
    sums = _sums({name: hashlib.sha256(data).hexdigest() for name, data in parts.items()})
    target = models / f"{moment_name(as_of)}-{_content_hash(sums)}"
    if not target.exists():
        try:
            _write({**parts, SUMS: sums}, target)
        except EngineError:
            if not target.exists():  # else another run has published the same bundle in the meantime
                raise
    return models / read_bundle(target).model_version


def read_bundle(path: Path) -> Bundle:
    """Read a bundle once into memory, believing nothing in it before its hash is right; no code is run.

    Parameters
    ----------
    path : Path
        The bundle's directory.

    Raises
    ------
    DataRefused
        A file is missing, extra, not a regular file, too large, damaged, or not of a kind that a bundle holds;
        names each file with its expected and actual SHA-256.
    """
    folder = Path(path).resolve()
    names, problems = _listing(folder)
    _refuse(problems)
    sums, problem = _read(folder, SUMS, limit=_MAX_SUMS_BYTES) if SUMS in names else (b"", None)
    expected, problems = _expected(folder, sums, names) if problem is None else ({}, [problem])
    _refuse(problems)
    parts: dict[str, bytes] = {}
    for name, digest in expected.items():
        parts[name], problem = _read(folder, name, limit=MAX_PART_BYTES)
        problems += [problem] if problem else _hash_problems(folder, name, parts[name], digest)
    _refuse(problems)
    _refuse(_version_problems(folder, sums))
    _refuse(problem for name, data in parts.items() for problem in part_problems(folder, name, data))
    return Bundle(folder, folder.name, MappingProxyType(parts))


def is_model_version(text: str) -> bool:
    """Whether ``text`` has the form of a bundle's name."""
    return _VERSION.fullmatch(text) is not None


def moment_name(at: datetime | None) -> str:
    """Name a moment in a path: ``2026-03-01``, ``2026-03-01T093000Z`` if not midnight in UTC, ``undated`` for None.

    Raises
    ------
    ValueError
        The moment has no time zone.
    """
    if at is None:
        return "undated"
    if at.tzinfo is None:
        raise ValueError(f"the moment {at} has no time zone")
    utc = at.astimezone(UTC)
    if utc.time() == datetime.min.time():
        return f"{utc:%Y-%m-%d}"
    return f"{utc:%Y-%m-%dT%H%M%S.%fZ}" if utc.microsecond else f"{utc:%Y-%m-%dT%H%M%SZ}"


def _write(files: Mapping[str, bytes], target: Path) -> None:
    with publish(target) as temporary:
        temporary.mkdir()
        for name, data in files.items():
            (temporary / name).write_bytes(data)


def _sums(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode("ascii")


def _content_hash(sums: bytes) -> str:
    return hashlib.sha256(sums).hexdigest()[:_HASH_DIGITS]


def _listing(folder: Path) -> tuple[set[str], list[Problem]]:
    """Names of the regular files, and everything else that has no place in a bundle."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(((e.name, e.stat(follow_symlinks=False).st_mode) for e in entries), key=lambda e: e[0])
    except OSError as error:
        return set(), [_problem(folder, f"cannot be read as a bundle: {error.strerror}", "name a bundle's directory")]
    if len(found) > MAX_PARTS + 1:
        return set(), [_problem(folder, f"{len(found):,} entries, a bundle has at most {MAX_PARTS + 1}", _FIX)]
    odd = [(name, mode) for name, mode in found if not stat.S_ISREG(mode)]
    problems = [_problem(folder / shown(name), f"is {_kind(mode)}, not a regular file", _FIX) for name, mode in odd]
    if not any(name == SUMS for name, _ in found):
        problems.append(_problem(folder / SUMS, "is missing, so nothing in this folder can be trusted", _FIX))
    return {name for name, mode in found if stat.S_ISREG(mode)}, problems


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder" if stat.S_ISDIR(mode) else "a device, socket or pipe"


def _read(folder: Path, name: str, *, limit: int) -> tuple[bytes, Problem | None]:
    """Bytes of one regular file; opened so that a link or pipe put there since the listing is not followed."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(folder / name, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return b"", _problem(folder / name, "is not a regular file", _FIX)
            data = file.read(limit + 1) if status.st_size <= limit else None
    except OSError as error:
        return b"", _problem(folder / name, f"cannot be read: {error.strerror}", _FIX)
    if data is None or len(data) > limit:
        return b"", _problem(folder / name, f"{status.st_size:,} bytes, the limit is {limit:,}", _FIX)
    return data, None


def _expected(folder: Path, sums: bytes, names: set[str]) -> tuple[dict[str, str], list[Problem]]:
    """Digest by name as ``SHA256SUMS`` says, and where it is damaged or differs from the directory."""
    matches = [_LINE.fullmatch(line) for line in sums.split(b"\n")[:-1]]
    digests = {m[2].decode("ascii"): m[1].decode("ascii") for m in matches if m is not None}
    damaged = [number for number, match in enumerate(matches, start=1) if match is None]
    if damaged or not digests or _sums(digests) != sums:
        what = f"line {damaged[0]} is damaged" if damaged else "is not a complete, sorted list without repeats"
        return {}, [_problem(folder / SUMS, what + _line_ends(sums), _FIX)]
    listed = set(digests)
    missing = [_problem(folder / name, "is missing", _FIX) for name in sorted(listed - names)]
    extra = [
        _problem(folder / shown(name), f"does not belong to this bundle ({SUMS} does not name it)", "remove it")
        for name in sorted(names - listed - {SUMS})
    ]
    return digests, [*missing, *extra]


def _hash_problems(folder: Path, name: str, data: bytes, expected: str) -> list[Problem]:
    actual = hashlib.sha256(data).hexdigest()
    if actual == expected:
        return []
    unix = data.replace(b"\r\n", b"\n")
    what = f"SHA-256 is {actual}, expected {expected}"
    changed_by_git = unix != data and hashlib.sha256(unix).hexdigest() == expected
    return [_problem(folder / name, what + (_line_ends(data) if changed_by_git else ""), _FIX)]


def _line_ends(data: bytes) -> str:
    return "; its line ends were changed to CRLF, as git does without '* -text'" if b"\r\n" in data else ""


def _version_problems(folder: Path, sums: bytes) -> list[Problem]:
    actual = _content_hash(sums)
    if is_model_version(folder.name) and folder.name.endswith(f"-{actual}"):
        return []
    what = f"the folder's name does not end in the hash of its content, '{actual}'"
    return [_problem(folder, what, "give the folder its old name back; if its files were changed, restore them")]


def _problem(file: Path, what: str, fix: str) -> Problem:
    return Problem("bundle", str(file), what, fix)


def _refuse(problems: Iterable[Problem]) -> None:
    found = list(problems)
    if found:
        raise DataRefused(found)
