"""Where a training came from: fingerprints of the files it read, and the state of git; no path, no name."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.history.checked import sha256_of
from mqlml.history.collected import CHANGES_FILE

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["fingerprints", "git_state"]

_SECONDS = 10


def fingerprints(config: Config) -> dict[str, dict[str, str | int]]:
    """Size and SHA-256 of every table that is a file (or a folder of files) here; databases are left out.

    Parameters
    ----------
    config : Config

    Returns
    -------
    dict
        By table: ``bytes``, ``files`` and ``sha256``; of a folder the hash of its files' names and hashes.
    """
    found: dict[str, dict[str, str | int]] = {}
    places = {name: getattr(section, "path", None) for name, section in config if name != "criteria"}
    if config.history is not None and config.history.collect is not None:
        places["collected"] = str(Path(config.history.collect) / CHANGES_FILE)
    for name, given in places.items():
        if not given or "://" in given:
            continue
        path = config.path(given)
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        if files and all(file.is_file() for file in files):
            hashes = {str(f.relative_to(path)) if path.is_dir() else "": sha256_of(f) for f in files}
            text = "".join(f"{digest}  {file}\n" for file, digest in hashes.items())
            whole = hashlib.sha256(text.encode()).hexdigest() if path.is_dir() else hashes[""]
            size = sum(file.stat().st_size for file in files)
            found[name] = {"bytes": size, "files": len(files), "sha256": whole}
    return found


def git_state(folder: Path) -> dict[str, str]:
    """Commit of the work tree that holds the settings, and whether files differ from it; empty where there is none.

    Returns
    -------
    dict of str to str
        ``commit`` and ``changed`` ("yes" or "no").
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {}
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed": "no" if changed == "" else "yes"}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, or None: there is none, no work tree, or it takes too long."""
    # A work tree's own settings could name a program to run: switched off.
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            command, capture_output=True, text=True, check=True, timeout=_SECONDS, env=environment
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
