"""Erasing a person from everything that mqlml keeps, and keeping them from coming back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mqlml.errors import UsageError, masked
from mqlml.history.kept import is_state, keeping
from mqlml.history.postgres import Address, delete_rows, is_postgres
from mqlml.history.suppressing import suppress_lead
from mqlml.operation.erasing import ID, REFERENCES, erase_in_file, erase_in_folder
from mqlml.operation.sinks import TABLE

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["forget"]

_NOTHING = "nothing about this lead"


def forget(config: Config, lead_id: str, *, also: Sequence[str] = ()) -> dict[str, Any]:
    """Erase a lead from scores, lists, backtests and kept events, and put it on the list ``[suppress]``.

    The list comes first, so that a run that stops half-way has kept the lead from being scored anew; running again does
    the rest, and finds nothing where all is done.

    Parameters
    ----------
    config : Config
        ``[suppress] path`` is the list; ``[output] scores``, ``backtests`` and ``state``, ``[handoff] folder`` and
        ``[history] collect`` say where to look.
    lead_id : str
        As text, leading zeros included.
    also : sequence of str
        More files, folders and tables: scores written with ``--out``, contributions, lists, what ``--state`` keeps.

    Returns
    -------
    dict
        ``lead_id``, ``suppressed`` (whether it was added just now), ``erased`` (rows), ``looked`` (``place``, ``what``
        and ``rows`` of each) and ``notes``.

    Raises
    ------
    UsageError
        There is no list ``[suppress]``, or it cannot be written.
    DataRefused
        A file cannot be searched.
    EngineError
        A file or database cannot be reached or written; what was erased before stays erased.
    """
    if not lead_id.strip():
        raise UsageError("An empty lead id names nobody.")
    added = _suppress(config, lead_id)
    looked = list(_erase(config, lead_id, also))
    listed = {
        "place": config.suppress.path if config.suppress else "",
        "what": "added to the list [suppress]" if added else "on the list [suppress] already",
        "rows": int(added),
    }
    erased = sum(place["rows"] for place in looked)
    return {
        "lead_id": lead_id,
        "suppressed": added,
        "erased": erased,
        "looked": [listed, *looked],
        "notes": _notes(config, looked),
    }


def _suppress(config: Config, lead_id: str) -> bool:
    source = config.suppress
    if source is None:
        hint = 'add [suppress] with path = "suppress.csv" to mqlml.toml; the file is made'
        raise UsageError("There is no list of people to leave out, so the lead would be scored again.", hint=hint)
    if "://" in source.path:
        hint = "add the lead there yourself, and name a file for what mqlml forgets"
        raise UsageError(f"[suppress] path: {source.path} is not a file that is written here.", hint=hint)
    return suppress_lead(config.path(source.path), source, lead_id)


def _erase(config: Config, lead_id: str, also: Sequence[str]) -> Iterator[dict[str, Any]]:
    places = [*config.output.places, *config.output.backtests]
    if config.handoff is not None and config.handoff.folder is not None:
        places.append(config.handoff.folder)
    if config.output.state is not None:
        places.append(config.output.state)
    if config.history is not None and config.history.collect is not None:
        places.append(config.history.collect)
    for place in dict.fromkeys([*places, *also]):
        if is_postgres(place):
            yield _in_database(Address.of(place), lead_id)
        else:
            # what the command names is where the user stands, what the settings name is relative to them
            path = Path(place) if place in also and place not in places else config.path(place)
            yield _in_path(path, lead_id)


def _in_path(path: Path, lead_id: str) -> dict[str, Any]:
    if not path.exists():
        return {"place": str(path), "what": "does not exist", "rows": 0}
    if is_state(path):
        with keeping(path) as kept:
            rows = kept.erase(lead_id)
    else:
        rows = erase_in_folder(path, lead_id) if path.is_dir() else erase_in_file(path, lead_id)
    return {"place": str(path), "what": _told(rows), "rows": rows}


def _in_database(address: Address, lead_id: str) -> dict[str, Any]:
    table = address.table or TABLE
    rows = delete_rows(address, table=table, column=ID, value=lead_id, references=REFERENCES)
    what = "there is no such table" if rows is None else _told(rows)
    return {"place": masked(address.naming(table).shown), "what": what, "rows": rows or 0}


def _told(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'} erased" if rows else _NOTHING


def _notes(config: Config, looked: Sequence[dict[str, Any]]) -> list[str]:
    notes = [
        f"The bundles in {config.output.models} and the MLflow store hold nobody's id, only numbered past chances and "
        "outcomes; the next training leaves the lead out.",
        "Tables that you deliver (leads, events, outcomes ...) are yours and were not touched.",
    ]
    if not config.output.scores:
        notes.append("[output] scores names no file or table of scores: name them there, or with --also.")
    if any(is_postgres(place["place"]) and place["rows"] for place in looked):
        notes.append("PostgreSQL frees the space of deleted rows at its next VACUUM; its backups are yours to clear.")
    if config.links is not None:
        notes.append("Other ids of the same person in [links] are looked for only if you forget them too.")
    return notes
