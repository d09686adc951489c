"""What a collection of changes did, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mqlml.errors import shown

__all__ = ["collected"]


def collected(done: Mapping[str, Any]) -> str:
    """What was compared, what changed, and what is left out on purpose."""
    if done["kept_as_of"] is None:
        first = f"{done['leads']:,} leads are kept in {done['folder']}; changes are told from the next extract on."
        lines = [first]
    else:
        lines = [
            f"{done['changes']:,} changes since {done['kept_as_of']} in {done['leads']:,} leads; "
            f"{done['rows']:,} collected in {done['folder']}."
        ]
    lines += [f"Note: {note}" for note in done["notes"]]
    if done["left_out"]:
        names = ", ".join(f"'{shown(name)}'" for name in done["left_out"])
        lines.append(f"Left out, since they may hold free text or personal values: {names}.")
    return "\n".join(lines)
