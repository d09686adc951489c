"""What people read: reasons for each lead, the report, and the criteria they can change."""

from __future__ import annotations

__all__: list[str] = []
