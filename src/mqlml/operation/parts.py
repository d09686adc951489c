"""What a bundle may hold: text and tables under plain names; and how its JSON is read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mqlml.errors import DataRefused, Problem, shown

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_CODE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".skops", ".py", ".pyc", ".pyd", ".so", ".dll", ".zip"})
_CODE_STARTS = (
    (re.compile(rb"\x80[\x02-\x05]"), "a pickle"),
    (re.compile(rb"PK[\x03\x05\x07]"), "a zip archive"),
    (re.compile(rb"\x1f\x8b|x[\x01\x9c\xda]|BZh[1-9]|\xfd7zXZ|\(\xb5/\xfd|\x04\"M\x18"), "compressed, as joblib does"),
    # The old text protocol: a global to import, or a container put into the memo.
    (re.compile(rb"c[\w.]+\n[\w.]+\n(?:p\d+\n|[()]|q[\x00-\x1f])|\([cdilt]?p\d+\n|[\]})](?:p\d|q.)"), "a pickle"),
)
_TABLES = (b"PAR1", b"ARROW1")


def read_json(parts: Mapping[str, bytes], name: str) -> Any:
    """Parse one part as strict JSON: no NaN or Infinity, no key twice.

    Raises
    ------
    DataRefused
        The part is missing or is not strict JSON.
    """
    if name not in parts:
        raise DataRefused([Problem("bundle", shown(name), "is not in this bundle", "train again")])
    try:
        return json.loads(
            parts[name].decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_finite,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        fix = "write it again; NaN, Infinity and repeated keys are not allowed"
        raise DataRefused([Problem("json", shown(name), f"is not strict JSON: {shown(error)}", fix)]) from None


def part_problems(folder: Path, name: str, data: bytes) -> list[Problem]:
    """Whether a part is of a kind that a bundle may hold: text or a table, nothing that could run."""
    file = folder / shown(name)
    if not _NAME.fullmatch(name):
        fix = "use 1 to 64 of A-Z a-z 0-9 . _ -, no dot first"
        return [Problem("bundle", str(file), "the name is not allowed in a bundle", fix)]
    recognised = next((kind for start, kind in _CODE_STARTS if start.match(data)), None)
    if Path(name).suffix.lower() in _CODE_SUFFIXES and recognised is None:
        recognised = f"a '{Path(name).suffix}' file"
    if recognised is None and not data.startswith(_TABLES) and not _is_text(data):
        recognised = "binary data"
    if recognised is None:
        return []
    what = f"is {recognised}; a bundle holds only text and tables"
    return [Problem("bundle", str(file), what, "write it as JSON or text")]


def _is_text(data: bytes) -> bool:
    if b"\0" in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
