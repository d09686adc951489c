"""Lists for those who take the leads: one CSV file a recipient, named as their CRM names things."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.errors import UsageError, shown
from mqlml.history.writing import publish, table_writer
from mqlml.operation.spreadsheets import for_spreadsheets, spreadsheet_schema

if TYPE_CHECKING:
    from mqlml.config import Handoff

__all__ = ["CHANGES", "COLUMNS", "headers", "write_handoff"]

CHANGES = ("new", "control", "stays", "leaves")
"""What a list says of a lead, in the order of its rows; a control lead is handed over although below the line."""
COLUMNS = (
    "lead_id", "change", "mql_since", "tier", "score", "rule", "reason_1", "reason_2", "reason_3", "last_event",
    "last_event_at", "as_of",
)  # fmt: skip
MANIFEST = "handoff.json"
_ALL, _NOBODY = "all", "without-recipient"
# The id is the record's own in each CRM; the others are custom fields under the names that are usual there.
_ID = {"salesforce": "Id", "hubspot": "hs_object_id", "dynamics365": "leadid"}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def headers(handoff: Handoff) -> dict[str, str]:
    """Name of each column in the files, by mqlml's name or that of the leads' column.

    Raises
    ------
    UsageError
        ``[handoff] names`` names a column that the lists do not have, or two columns get one name.

    Examples
    --------
    >>> from mqlml.config import Handoff
    >>> headers(Handoff(preset="salesforce", names={"mql_since": "MQL_Date__c"}))["mql_since"]
    'MQL_Date__c'
    """
    columns = [*COLUMNS, *(name for name in handoff.carried if name not in COLUMNS)]
    if taken := [name for name in handoff.carried if name in COLUMNS]:
        hint = "leave it out: the lists have it anyway"
        raise UsageError(f"[handoff]: '{shown(taken[0])}' is a column of the lists themselves.", hint=hint)
    if unknown := sorted(set(handoff.names) - set(columns)):
        hint = f"columns: {', '.join(columns)}"
        raise UsageError(f"[handoff] names: the lists have no column '{shown(unknown[0])}'.", hint=hint)
    own = {name: handoff.names.get(name) or _usual(name, handoff.preset) for name in columns}
    twice = sorted({name for name in own.values() if list(own.values()).count(name) > 1})
    if twice:
        raise UsageError(f"[handoff] names: two columns are named '{shown(twice[0])}'.", hint="give each its own")
    return own


def write_handoff(rows: pa.Table, folder: Path, handoff: Handoff, *, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the lists of one scoring; each file is whole or not there, and the manifest comes last.

    Parameters
    ----------
    rows : pa.Table
        ``COLUMNS``, ``probability``, ``control`` and the carried columns, one row a lead.
    folder : Path
        ``<recipient>.csv`` and ``handoff.json`` appear here; lists of an earlier run for recipients who get nothing
        now go away.
    handoff : Handoff
    facts : mapping
        Plain values for the manifest.

    Returns
    -------
    dict
        The manifest: ``facts`` and ``recipients``, with ``file`` and the number of leads by change.

    Raises
    ------
    UsageError
        See `headers`.
    EngineError
        Writing failed; files that were replaced already are complete, and the old manifest stands.
    """
    names = headers(handoff)
    rows = _in_order(rows)
    lists = _by_recipient(rows, handoff.recipient)
    told = [{"recipient": who, "file": file, **_counts(part)} for (who, file), part in sorted(lists.items())]
    manifest = {**facts, "preset": handoff.preset, "columns": names, "recipients": told}
    before = _files_of(folder)
    with ExitStack() as stack:
        staged = stack.enter_context(publish(folder / MANIFEST))  # entered first, so it takes its place last
        for (_, file), part in sorted(lists.items()):
            _write_list(part.select(list(names)), names, stack, folder / file)
        text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True, default=_plain)
        staged.write_text(text + "\n", encoding="utf-8")
    for gone in sorted(before - {str(entry["file"]) for entry in told}):
        (folder / gone).unlink(missing_ok=True)
    return manifest


def _write_list(part: pa.Table, names: Mapping[str, str], stack: ExitStack, path: Path) -> None:
    renamed = part.rename_columns([names[name] for name in part.column_names])
    plain = spreadsheet_schema(renamed.schema)
    add = stack.enter_context(table_writer(path, plain))
    for batch in renamed.combine_chunks().to_batches():
        add(pa.Table.from_batches([for_spreadsheets(batch, plain)]))


def _usual(name: str, preset: str) -> str:
    """The name that a CRM's users would give; carried columns are theirs already."""
    if name not in COLUMNS or preset == "mqlml":
        return name
    if name == "lead_id":
        return _ID[preset]
    bare = name if name.startswith("mql") else f"mql_{name}"
    if preset == "salesforce":
        return "_".join("MQL" if word == "mql" else word.capitalize() for word in bare.split("_")) + "__c"
    return bare if preset == "hubspot" else f"new_{bare.replace('_', '')}"


def _in_order(rows: pa.Table) -> pa.Table:
    """New leads first, the best chances first; control leads say so."""
    change = np.asarray(rows["change"].to_pylist(), dtype=object)
    change[np.asarray(rows["control"].to_pylist(), dtype=bool) & (change == "none")] = "control"
    place = np.array([CHANGES.index(word) if word in CHANGES else len(CHANGES) for word in change], dtype=np.int64)
    ids = np.asarray(rows["lead_id"].to_pylist(), dtype=str)
    order = np.lexsort((ids, -rows["probability"].to_numpy(), place))
    rows = rows.set_column(rows.schema.get_field_index("change"), "change", pa.array(change, pa.string()))
    return rows.take(order[place[order] < len(CHANGES)])


def _by_recipient(rows: pa.Table, recipient: str | None) -> dict[tuple[str, str], pa.Table]:
    if recipient is None:
        return {(_ALL, f"{_ALL}.csv"): rows}
    values: Sequence[str | None] = rows[recipient].to_pylist()
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value or "", []).append(place)
    files = _file_names(places)
    return {(who, files[who]): rows.take(found) for who, found in places.items()}


def _file_names(recipients: Iterable[str]) -> dict[str, str]:
    """A plain name for any text; where two would share one, capitals aside, a part of their hashes parts them."""
    plain = {who: _NOT_IN_NAMES.sub("-", who).strip("-.")[:60] for who in recipients}
    folded = Counter(name.lower() for name in plain.values())
    names = {}
    for who, name in plain.items():
        if who and (not name or folded[name.lower()] > 1 or name.lower() == _NOBODY):
            name = f"{name or 'recipient'}-{hashlib.sha256(who.encode()).hexdigest()[:8]}"
        names[who] = f"{name or _NOBODY}.csv"
    return names


def _counts(part: pa.Table) -> dict[str, int]:
    words = part["change"].to_pylist()
    return {change: words.count(change) for change in CHANGES}


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _files_of(folder: Path) -> set[str]:
    """Lists that the manifest there names; other files are somebody else's."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = {str(entry["file"]) for entry in manifest["recipients"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if Path(name).name == name and name.endswith(".csv")}
