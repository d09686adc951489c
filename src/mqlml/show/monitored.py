"""What monitoring and the import of hand-overs say on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["imported", "monitored"]

_SIGNS = {"alarm": "ALARM", "watch": "watch", "fine": "fine", "not measured": "-"}


def monitored(summary: Mapping[str, Any]) -> str:
    """Every check with its state, what to do, and when to train again."""
    lines = [f"Model {summary['model_version']} as of {summary['as_of'][:10]}", ""]
    for check in summary["checks"]:
        lines.append(f"{check['code']}  {_SIGNS[check['state']]:<6} {check['name']}")
        lines.append(f"        {check['sentence']}")
        if check["state"] in ("alarm", "watch"):
            lines.append(f"        To do: {check['action']}")
    lines += ["", *(f"Note: {note}" for note in summary["notes"])]
    count = len(summary["alarms"])
    said = "No check alarms." if not count else f"{count} check{'s' * (count > 1)} alarm{'s' * (count == 1)}."
    return "\n".join([*lines, f"{said} {summary['retrain']['sentence']}"])


def imported(done: Mapping[str, Any]) -> str:
    """What an import of hand-overs changed."""
    return (
        f"{done['rows_in']:,} rows: {done['added']:,} added, {done['updated']:,} updated, {done['unchanged']:,} "
        f"unchanged. {done['table']} holds {done['rows']:,} hand-overs."
    )
