"""What the commands around hand-off and erasure say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["forgotten", "handed"]


def handed(handoff: Mapping[str, Any] | None) -> Iterator[str]:
    """Lists that a scoring wrote, one line a recipient."""
    if handoff is None:
        return
    yield f"Lists in {handoff['folder']}:"
    for entry in handoff["recipients"]:
        counts = ", ".join(f"{entry[word]:,} {word}" for word in ("new", "control", "stays", "leaves") if entry[word])
        yield f"  {entry['file']}: {counts or 'nobody'}"


def forgotten(found: Mapping[str, Any]) -> str:
    """Where a person was looked for, and what was erased there."""
    lines = [f"{place['place']}: {place['what']}" for place in found["looked"]]
    return "\n".join([*lines, *(f"Note: {note}" for note in found["notes"])])
