"""What can go wrong, how it is said, and with which exit code the command line ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 40
# A password may hold unescaped signs of an address by mistake: everything up to the last @ is taken for it.
_IN_ADDRESS = re.compile(r"(://[^:@/?#]*:).*@")
_IN_PARAMETERS = re.compile(r"(password=)[^&#]*")


def shown(value: object) -> str:
    """Make a value from a file safe to print: control characters escaped, cut to 40 characters.

    Examples
    --------
    >>> shown("two\\nlines")
    'two\\\\nlines'
    """
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def masked(address: str) -> str:
    """Hide the password in the address of a database; a path of a file stays as it is.

    Examples
    --------
    >>> masked("postgresql://reader:secret@db.example/crm#leads")
    'postgresql://reader:***@db.example/crm#leads'
    """
    return _IN_PARAMETERS.sub(r"\1***", _IN_ADDRESS.sub(r"\1***@", address)) if "://" in address else address


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input, in the form that every message takes.

    Parameters
    ----------
    code : str
        Stable identifier without the ``MQL-`` prefix, for example ``"dup-lead"``.
    file : str
        The file, table or configuration the problem is in.
    what : str
        What is wrong, as a clause without a full stop.
    fix : str
        One action that repairs it, without a full stop.
    column : str or None
        The user's own column name, where one is concerned.
    count, total : int or None
        Rows concerned, and rows of the file.
    rows : sequence of int
        Row numbers (the first data row is 1); the first five are shown.
    """

    code: str
    file: str
    what: str
    fix: str
    column: str | None = None
    count: int | None = None
    total: int | None = None
    rows: Sequence[int] = ()

    def __str__(self) -> str:
        parts = [f"MQL-{self.code} {self.file}"]
        if self.column is not None:
            parts.append(f"column '{shown(self.column)}'")
        if self.count is not None:
            rows = f"{self.count:,}" if self.total is None else f"{self.count:,} of {self.total:,}"
            parts.append(f"{rows} rows")
        text = ": ".join([*parts, f"{self.what}."])
        if self.rows:
            text += f" First rows: {', '.join(str(r) for r in self.rows[:_SHOWN_ROWS])}."
        return f"{text} Fix: {self.fix}."


class MqlError(Exception):
    """Base of everything mqlml refuses on purpose; carries the exit code and a hint."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return message if self.hint is None else f"{message} Hint: {self.hint}"


class UsageError(MqlError, ValueError):
    """The command or the configuration is wrong (exit code 2)."""

    exit_code = 2


class DataRefused(MqlError, ValueError):
    """The data cannot be used as they are (exit code 3); lists every problem found in one pass.

    Parameters
    ----------
    problems : sequence of Problem
        Shown with the most frequent first.
    """

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: -(p.count or 0)))
        super().__init__("\n".join(str(p) for p in self.problems))


class GateClosed(MqlError):
    """The result may exist but must not be used yet (exit code 4)."""

    exit_code = 4


class EngineError(MqlError, OSError):
    """An engine, disk or service failed; running again is safe (exit code 5)."""

    exit_code = 5

    def __str__(self) -> str:
        return MqlError.__str__(self)
