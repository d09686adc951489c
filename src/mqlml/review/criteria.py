"""What marketing and sales decided on each criterion: ``criteria.toml``, read, checked and written."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mqlml.errors import UsageError, shown

__all__ = ["DECISIONS", "Criteria", "Mark", "needs_review", "read_criteria"]

DECISIONS = {
    "approve": "may be used as it is",
    "bar": "must not be used",
    "must-increase": "more of it must never lower the chance",
    "must-decrease": "more of it must never raise the chance",
    "cap": "more than a number of it counts as that number",
    "none": "only noted or renamed",
}
_HEAD = "# What marketing and sales decided on the criteria; 'mqlml train' obeys it. Keep it in git.\n"
_KEYS = frozenset({"name", "decision", "cap", "label", "note", "by", "on"})
_TOP = frozenset({"model_version", "criterion"})
# Review is worth people's time where it settles most of what moves chances.
_SHARE_TO_REVIEW, _MOST_TO_REVIEW = 0.9, 20


@dataclass(frozen=True)
class Mark:
    """One decision on one criterion.

    Attributes
    ----------
    name : str
        The criterion.
    decision : str
        A key of ``DECISIONS``.
    cap : float or None
        For "cap": more of it than this counts as this.
    label : str or None
        What the report and the reasons call it instead.
    note, by, on : str
        Why, who (needed) and when.
    """

    name: str
    decision: str
    cap: float | None = None
    label: str | None = None
    note: str = ""
    by: str = ""
    on: str = ""

    @property
    def sentence(self) -> str:
        """The decision in plain words."""
        said = DECISIONS[self.decision] if self.cap is None else f"more than {self.cap:g} of it counts as {self.cap:g}"
        renamed = f"; called '{self.label}'" if self.label else ""
        return f"'{shown(self.name)}' {said}{renamed}, says {self.by}{f' on {self.on}' if self.on else ''}"


@dataclass(frozen=True)
class Criteria:
    """All decisions, in the order of the file.

    Attributes
    ----------
    marks : tuple of Mark
        At most one a criterion.
    model_version : str or None
        The bundle whose report people looked at.
    """

    marks: tuple[Mark, ...] = ()
    model_version: str | None = None
    _by_name: dict[str, Mark] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({mark.name: mark for mark in self.marks})

    def of(self, name: str) -> Mark | None:
        """The decision on one criterion."""
        return self._by_name.get(name)

    @property
    def barred(self) -> frozenset[str]:
        """Criteria that must not be used."""
        return frozenset(mark.name for mark in self.marks if mark.decision == "bar")

    @property
    def direction(self) -> dict[str, int]:
        """+1 for criteria of which more must never lower the chance, -1 for the opposite."""
        signs = {"must-increase": 1, "must-decrease": -1}
        return {mark.name: signs[mark.decision] for mark in self.marks if mark.decision in signs}

    @property
    def caps(self) -> dict[str, float]:
        """Greatest number of a criterion that counts."""
        return {mark.name: mark.cap for mark in self.marks if mark.cap is not None}

    @property
    def labels(self) -> dict[str, str]:
        """Other names of criteria."""
        return {mark.name: mark.label for mark in self.marks if mark.label}

    def unknown(self, criteria: Collection[str]) -> tuple[str, ...]:
        """Names that no criterion has: barred before, or gone from the data."""
        return tuple(mark.name for mark in self.marks if mark.name not in criteria)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {"model_version": self.model_version, "marks": [asdict(mark) for mark in self.marks]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Criteria:
        """Inverse of :meth:`to_dict`; other keys of a decision are left aside."""
        known = [{key: mark[key] for key in Mark.__dataclass_fields__ if key in mark} for mark in data["marks"]]
        return cls(tuple(Mark(**mark) for mark in known), data["model_version"])

    def to_toml(self) -> str:
        """As ``read_criteria`` reads it, one block a criterion, so that a change is one change in git."""
        lines = [_HEAD]
        if self.model_version:
            lines.append(f"model_version = {_quoted(self.model_version)}\n")
        for mark in self.marks:
            lines.append("\n[[criterion]]\n")
            lines += [
                f"{key} = {_quoted(value) if isinstance(value, str) else value}\n"
                for key, value in asdict(mark).items()
                if value not in (None, "")
            ]
        return "".join(lines)


def read_criteria(text: str, *, where: str) -> Criteria:
    """Read decisions.

    Parameters
    ----------
    text : str
        TOML: ``[[criterion]]`` blocks with name, decision and by; optionally cap, label, note, on.
    where : str
        Name of the file, for messages.

    Raises
    ------
    UsageError
        Names every wrong block.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: cannot be read as TOML: {error}.") from None
    wrong = [f"unknown key '{shown(key)}'" for key in data if key not in _TOP]
    blocks = data.get("criterion", [])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise UsageError(f"{where}: 'criterion' is not a list.", hint="begin each decision with [[criterion]]")
    marks = []
    for number, block in enumerate(blocks, 1):
        problems = _problems(block)
        wrong += [f"criterion {number} ('{shown(block.get('name', '?'))}'): {problem}" for problem in problems]
        if not problems:
            marks.append(Mark(**{**block, "on": str(block.get("on", ""))}))
    names = [mark.name for mark in marks]
    wrong += [f"'{shown(name)}' is decided on twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if wrong:
        raise UsageError("\n".join(f"{where}: {problem}." for problem in wrong))
    version = data.get("model_version")
    return Criteria(tuple(marks), None if version is None else str(version))


def needs_review(drivers: Sequence[Mapping[str, Any]], known: Collection[str] = ()) -> tuple[str, ...]:
    """Criteria that people should look at: those that carry 90 % of the weight, at most 20, less the known ones.

    Parameters
    ----------
    drivers : sequence of mapping
        ``criterion`` and ``importance`` of each, most important first.
    known : collection of str
        Criteria reviewed before, whose direction has not turned since.
    """
    found, carried = [], 0.0
    for driver in drivers[:_MOST_TO_REVIEW]:
        if carried >= _SHARE_TO_REVIEW:
            break
        carried += driver["importance"]
        found.append(str(driver["criterion"]))
    return tuple(name for name in found if name not in known)


def _problems(block: Mapping[str, Any]) -> list[str]:
    found = []
    for key in block:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            found.append(f"unknown key '{shown(key)}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    needed = {"name": "", "decision": "", "by": "; say who decided"}
    absent = [key for key in needed if not isinstance(block.get(key), str) or not block[key].strip()]
    found += [f"'{key}' is missing{needed[key]}" for key in absent]
    decision = block.get("decision")
    if isinstance(decision, str) and decision not in DECISIONS:
        near = difflib.get_close_matches(decision, DECISIONS, n=1)
        found.append(f"unknown decision '{shown(decision)}'; " + (
            f"did you mean '{near[0]}'?" if near else f"one of {', '.join(DECISIONS)}"
        ))  # fmt: skip
    return found + _cap_problems(block) + _text_problems(block)


def _cap_problems(block: Mapping[str, Any]) -> list[str]:
    cap = block.get("cap")
    if block.get("decision") == "cap":
        number = isinstance(cap, int | float) and not isinstance(cap, bool) and cap >= 0
        return [] if number else ["the decision 'cap' needs cap = a number of 0 or more"]
    return [] if cap is None else ["'cap' is given, but the decision is not 'cap'"]


def _text_problems(block: Mapping[str, Any]) -> list[str]:
    return [f"'{key}' is not text" for key in ("label", "note") if not isinstance(block.get(key, ""), str)]


def _quoted(text: str) -> str:
    # A JSON string is a TOML string but for DEL, and for halves of a pair of surrogates, which are no characters.
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
