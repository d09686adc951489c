"""A folder of event files: each is checked by itself, once; the rows of all of them then count together.

What the check of a file finds does not depend on the leads, so that it can be kept (`mqlml.history.kept`) and only new
files need to be read. A run that keeps nothing goes the same way, with its rows in a temporary folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from mqlml import __version__
from mqlml.errors import UsageError, shown
from mqlml.history.checked import Part, State, digest_of, sha256_of
from mqlml.history.eventcount import count_together
from mqlml.history.eventfile import FAULTY, CheckedFile, check_file
from mqlml.history.session import literal, literals
from mqlml.history.writing import publish

if TYPE_CHECKING:
    from mqlml.config import Config, Events
    from mqlml.history.facts import Circumstances
    from mqlml.history.findings import Findings
    from mqlml.history.kept import Kept
    from mqlml.history.session import Session

__all__ = ["EventFolder", "open_folder", "read_folder"]


@dataclass(frozen=True)
class EventFolder:
    """The files of a folder.

    Parameters
    ----------
    source : Events
    files : mapping of str to Path
        By their name below the folder, in order.
    """

    source: Events
    files: Mapping[str, Path]


def open_folder(session: Session, findings: Findings, *, config: Config, kept: Kept | None) -> EventFolder | None:
    """Find the files of a folder; the session may read them from then on. None where there is no folder.

    Files and folders whose name begins with a dot or an underscore are left alone, as programs that write expect.

    Raises
    ------
    UsageError
        Events are to be kept, and the path names no folder, or one that holds what is kept.
    """
    source = config.events
    if source is None:
        return None
    folder = config.path(source.path)
    if "://" in source.path or not folder.is_dir():
        if kept is not None:
            what = f"[events] path: '{shown(source.path)}' is no folder, so what is new in it cannot be told."
            fix = "let every export write a file of its own into a folder and name that, or leave --state out"
            raise UsageError(what, hint=fix)
        return None
    paths = {path.relative_to(folder).as_posix(): path.resolve() for path in folder.rglob("*") if path.is_file()}
    files = {name: paths[name] for name in sorted(paths) if not any(part[0] in "._" for part in name.split("/"))}
    if not files:
        findings.problem("no-file", source.path, "the folder holds no file", "name another one in [events] path")
    for path in files.values():
        session.watch(path)
    if kept is not None:
        if kept.folder.is_relative_to(folder.resolve()):
            what = f"'{kept.folder}' lies in the folder [events] path, where it would be read as events."
            raise UsageError(what, hint="keep events beside that folder")
        session.folders.append(kept.folder)
    return EventFolder(source, files)


def read_folder(
    session: Session,
    findings: Findings,
    folder: EventFolder,
    *,
    around: Circumstances,
    kept: Kept | None,
) -> frozenset[str]:
    """Check the files that are new and make ``events`` of all of them.

    Returns
    -------
    frozenset of str
        The relation, by name; empty where the files cannot be used.
    """
    source = folder.source
    session.run(f"CREATE TABLE raw.faulty ({FAULTY}, raw VARCHAR)")
    state = State(_settings(source, around.timezone))
    if kept is not None:
        suppressed = session.rows("SELECT DISTINCT lead_id FROM raw.suppressed")
        state = kept.usable(folder.files, state.settings, {digest_of(row["lead_id"]) for row in suppressed})
    known = {file.name for file in state.files}
    new = [
        check_file(session, findings, name, path, source=source, timezone=around.timezone, keeps=kept is not None)
        for name, path in folder.files.items()
        if name not in known
    ]
    checked = [file for file in new if file is not None]
    if len(checked) < len(new) or not folder.files:
        return frozenset()
    parts = [file.rows for file in checked]
    if kept is not None:
        state = _merged(session, kept, state, checked)
        parts = [kept.path(part) for part in state.parts]
    files = sorted([*state.files, *(c.file for c in checked if kept is None)], key=lambda file: file.name)
    count_together(session, findings, files, parts, state.erased, source=source, around=around)
    return frozenset({"events"})


def _settings(source: Events, timezone: str | None) -> dict[str, Any]:
    """All that decides how a file is read."""
    read = {"keys": source.model_dump(mode="json"), "named": sorted(source.model_fields_set)}
    versions = {"the version of mqlml": __version__, "the version of DuckDB": duckdb.__version__, "the format": 1}
    whole: dict[str, Any] = json.loads(json.dumps({"[events]": read, "[leads] timezone": timezone, **versions}))
    return whole


def _merged(session: Session, kept: Kept, state: State, new: Sequence[CheckedFile]) -> State:
    """Add the rows of new files to what is kept, and offer that; so far nothing that is in force has changed."""
    if state.faulty is not None:
        session.run(f"INSERT INTO raw.faulty SELECT *, '' FROM read_parquet({literal(kept.path(state.faulty))})")
    state = _with_rows(session, kept, state, [str(checked.rows) for checked in new])
    state = replace(state, files=(*state.files, *(checked.file for checked in new)))
    kept.offer(state, [checked.file for checked in new])
    return state


def _with_rows(session: Session, kept: Kept, state: State, files: Sequence[str]) -> State:
    """Write new rows as one part, together with the parts that are not much larger: so there are always few.

    Rows of people who are to be left alone are counted instead of written; parts that hold some are written anew.
    """
    only = "lead_id IN (SELECT lead_id FROM raw.suppressed)"
    stay, merged = list(state.parts), list(files)
    rows = 0 if not files else session.one(f"SELECT count(*) AS n FROM read_parquet([{literals(merged)}])")["n"]
    places = {part: f"read_parquet({literal(kept.path(part))})" for part in stay}
    named = [part for part, place in places.items() if session.rows(f"SELECT 1 FROM {place} WHERE {only} LIMIT 1")]
    if not files and not named and not session.rows(f"SELECT 1 FROM raw.faulty WHERE {only} LIMIT 1"):
        return state
    while named or not merged or (stay and stay[-1].rows < 2 * rows):
        part = named.pop() if named else stay[-1]
        stay.remove(part)
        rows, merged = rows + part.rows, [*merged, str(kept.path(part))]
    good = f"read_parquet([{literals(merged)}])"
    erased = dict(state.erased)
    for row in session.rows(
        f"SELECT lead_id, count(*) AS n FROM (SELECT lead_id FROM {good} UNION ALL SELECT lead_id FROM raw.faulty) "
        f"WHERE {only} GROUP BY ALL ORDER BY ALL"
    ):
        digest = digest_of(row["lead_id"])
        erased[digest] = erased.get(digest, 0) + row["n"]
    session.run(f"DELETE FROM raw.faulty WHERE {only}")
    new = _part(session, kept, f"SELECT * FROM {good} WHERE NOT {only}")
    parts = tuple(sorted((*stay, new), key=lambda part: -part.rows))
    faulty = None
    if session.one("SELECT count(*) AS n FROM raw.faulty")["n"]:
        faulty = _part(session, kept, "SELECT * EXCLUDE (raw) FROM raw.faulty ORDER BY file, row")
    return replace(state, parts=parts, faulty=faulty, erased=erased)


def _part(session: Session, kept: Kept, query: str) -> Part:
    name = kept.free_name()
    with publish(kept.folder / name) as temporary:
        session.run(f"COPY ({query}) TO {literal(temporary)} (FORMAT parquet, COMPRESSION zstd)")
        rows = session.one(f"SELECT count(*) AS n FROM read_parquet({literal(temporary)})")["n"]
    return Part(name, sha256_of(kept.folder / name), rows)
