"""Figures and tables as plain text, as every command shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["interval", "percent", "table"]


def interval(i: Mapping[str, Any] | None) -> str:
    """A figure with its interval, three digits."""
    if i is None:
        return "-"
    if i["value"] is None:
        return "not measured"
    return f"{i['value']:.3f}" + ("" if i["low"] is None else f" [{i['low']:.3f}, {i['high']:.3f}]")


def percent(i: Mapping[str, Any]) -> str:
    """A share with its interval, in percent."""
    if i["value"] is None:
        return "not measured"
    around = "" if i["low"] is None else f" [{100 * i['low']:.1f}, {100 * i['high']:.1f}]"
    return f"{100 * i['value']:.1f}{around} %"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns side by side, indented by two."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        yield "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
