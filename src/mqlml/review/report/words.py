"""Numbers, dates and names as people read them, and the summary made safe to show."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

NOT_MEASURED = "not measured"
SPACE = "\u00a0"
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MEASURES = {
    "auc": "AUC",
    "brier": "Brier score",
    "log loss skill": "Log loss, skill",
    "brier skill": "Brier score, skill",
    "top 5": "Share of wins in the best 5\u00a0%",
    "top 10": "Share of wins in the best 10\u00a0%",
    "top 20": "Share of wins in the best 20\u00a0%",
    "lift 5": "Lift of the best 5\u00a0%",
    "lift 10": "Lift of the best 10\u00a0%",
    "lift 20": "Lift of the best 20\u00a0%",
    "slope": "Calibration slope",
    "intercept": "Calibration intercept",
    "observed over expected": "Won per promised win",
    "ece": "Calibration error",
}
_LONGEST = 600
_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def tidy(value: Any) -> Any:
    """Return a copy of plain JSON that is safe to show.

    Text loses control characters, marks that turn the reading direction and halves of characters, and is cut to 600
    characters; numbers that are not finite become None.
    """
    if isinstance(value, Mapping):
        return {_legible(str(key)): tidy(item) for key, item in value.items()}
    if isinstance(value, str):
        return _legible(value)
    if isinstance(value, Sequence):
        return [tidy(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _legible(text: str) -> str:
    kept = "".join(_seen(c) for c in text[: _LONGEST * 2])
    return shorten(" ".join(kept.split()), _LONGEST)


def _seen(character: str) -> str:
    if character in _DIRECTION_MARKS:
        return ""
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return " " if category in ("Cc", "Zl", "Zp") else character


def shorten(text: object, most: int = 80) -> str:
    """Cut a text to at most `most` characters, the last one an ellipsis."""
    whole = str(text)
    return whole if len(whole) <= most else whole[: most - 1].rstrip() + "…"


def part(mapping: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    """Return the mapping under `key`, empty where it is absent or null."""
    found = (mapping or {}).get(key)
    return found if isinstance(found, Mapping) else {}


def rows(mapping: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
    """Return the rows under `key`, none where they are absent or null."""
    return [row for row in (mapping or {}).get(key) or [] if isinstance(row, Mapping)]


def number(mapping: Mapping[str, Any] | None, key: str) -> float | None:
    """Return the number under `key`; an interval gives its value; None where it was not measured."""
    found = (mapping or {}).get(key)
    if isinstance(found, Mapping):
        found = found.get("value")
    return float(found) if isinstance(found, int | float) else None


def bounds(mapping: Mapping[str, Any] | None, key: str) -> tuple[float, float] | None:
    """Return both ends of the interval under `key`, or None where one of them was not measured."""
    return ends(part(mapping, key), "low", "high")


def ends(row: Mapping[str, Any], low: str, high: str) -> tuple[float, float] | None:
    """Return the two named numbers of a row, or None where one of them was not measured."""
    first, last = number(row, low), number(row, high)
    return None if first is None or last is None else (first, last)


def percent(share: Any) -> str:
    r"""Write a share of 0..1 as a percentage with two figures that mean something.

    Examples
    --------
    >>> percent(0.242), percent(0.0815), percent(0.0002), percent(None)
    ('24\xa0%', '8.2\xa0%', 'below 0.1\xa0%', 'not measured')
    """
    if not isinstance(share, int | float):
        return NOT_MEASURED
    if 0 < share < 0.001:
        return f"below 0.1{SPACE}%"
    wanted = 0 if share in (0, 1) or 0.0995 <= share < 0.995 else 1
    return f"{share * 100:.{wanted}f}{SPACE}%"


def line(share: Any) -> str:
    """Write a threshold of 0..1 as a percentage with one decimal, where it has one."""
    if not isinstance(share, int | float):
        return NOT_MEASURED
    return f"{share * 100:.1f}".removesuffix(".0") + f"{SPACE}%"


def between(low: Any, high: Any, *, times: bool = False) -> str:
    r"""Write both ends of a range of shares (or of multiples), empty where one is missing.

    Examples
    --------
    >>> between(0.227, 0.257), between(None, 1.0)
    ('23 to 26\xa0%', '')
    """
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    if times:
        return f"{low:.1f} to {high:.1f} times"
    first, last = percent(max(low, 0.0)), percent(min(high, 1.0))
    if first == last:
        return last
    return f"{first.removesuffix(f'{SPACE}%') if not first.startswith('below') else '0'} to {last}"


def count(amount: Any) -> str:
    """Write an amount with thousands separated; below 10 a decimal is kept where there is one."""
    if not isinstance(amount, int | float):
        return NOT_MEASURED
    if abs(amount) < 10 and amount != int(amount):
        return f"{amount:.1f}"
    return f"{amount:,.0f}"


def decimal(value: Any) -> str:
    """Write a measure that is not a share with three decimals."""
    return f"{value:.3f}" if isinstance(value, int | float) else NOT_MEASURED


def day(moment: Any) -> str:
    """Write an ISO date or time as a day people read, with the time where it is not midnight.

    Examples
    --------
    >>> day("2026-06-01T00:00:00+00:00")
    '1 June 2026'
    """
    if not isinstance(moment, str) or not moment:
        return NOT_MEASURED
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return shorten(moment)
    written = f"{parsed.day} {_MONTHS[parsed.month - 1]} {parsed.year}"
    return written if (parsed.hour, parsed.minute) == (0, 0) else f"{written}, {parsed:%H:%M}"


def short_day(moment: str) -> str:
    """Write an ISO date as an axis label, or give it back where it is none."""
    words = day(moment).split(",")[0].split(" ")
    return shorten(moment, 12) if len(words) != 3 else f"{words[0]} {words[1][:3]} {words[2]}"


def month(text: Any) -> str:
    """Write ``2026-01`` as ``Jan 2026``."""
    return short_day(f"{text}-01").removeprefix("1 ")


def plain(value: Any) -> str:
    """Write a setting: a fraction with four figures, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def measure(name: Any) -> str:
    """Name a measure as people read it: known keys by their usual name, others with a capital."""
    text = str(name or "").replace("_", " ")
    return _MEASURES.get(text.lower(), text[:1].upper() + text[1:])


def sentence(text: Any) -> str:
    """Write a clause as a sentence: a capital first, a full stop last."""
    words = str(text or "").strip()
    if not words:
        return ""
    return words[0].upper() + words[1:] + ("" if words[-1] in ".!?…" else ".")


def reviewed(state: Any) -> bool:
    """Tell whether people went through the criteria: "reviewed by Ana" says so, "not in use, unreviewed" does not."""
    return isinstance(state, str) and state != "" and "unreviewed" not in state
