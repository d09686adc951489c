"""Markdown whose text comes from data: escaped, cut, and in tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mqlml.review.report.words import NOT_MEASURED, shorten

__all__ = ["bullets", "safe", "table"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def safe(text: object, most: int = 200) -> str:
    """Escape a text, cut to ``most`` characters."""
    return _SPECIAL.sub(r"\\\1", shorten(text, most))


def table(columns: Sequence[str], found: Iterable[Sequence[str]]) -> str:
    """Write a table, or that nothing was measured."""
    body = [f"| {' | '.join(row)} |" for row in found]
    return "\n".join([f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *body]) if body else f"{NOT_MEASURED}."


def bullets(items: Iterable[str]) -> str:
    """Write a list."""
    return "\n".join(f"- {item}" for item in items)
