"""What a run read of the events, where they are kept from run to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["kept_events"]


def kept_events(state: Mapping[str, Any]) -> str:
    """One line: what was new, or why everything was read anew."""
    n = state["files_read"]
    read = f"{n:,} file{'' if n == 1 else 's'} of events read ({_size(state['bytes_read'])})"
    if state["rebuilt"] is not None:
        return f"Events kept in {state['folder']} could not be used, since {state['rebuilt']}: all {read}."
    return f"{read}, {state['files_kept']:,} known already ({_size(state['bytes_kept'])})."


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
