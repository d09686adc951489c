"""Proposed settings with their reasons: what becomes a commented ``mqlml.toml``, assumptions and open questions."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Draft", "Question"]

_WIDTH = 118
_ORDER = (
    "leads", "outcomes", "events", "history", "stages", "handovers", "links", "spend", "suppress", "label", "snapshots",
    "policy",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """Something a person must decide: where the answer goes, what is asked, and what was seen in the files."""

    about: str
    question: str
    seen: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain data."""
        return {"about": self.about, "question": self.question, "seen": self.seen}


@dataclass
class Draft:
    """Settings in the making.

    Attributes
    ----------
    values : dict
        Settings by section and key.
    why : dict
        The reason for each; a key of a list has one for each item.
    heads : dict of str to list of str
        Sentences that stand above a section.
    hints : dict of str to list of str
        Settings that stand in a section as comments, each with its reason.
    questions : list of Question
    """

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    why: dict[tuple[str, str], str | dict[str, str]] = field(default_factory=dict)
    heads: dict[str, list[str]] = field(default_factory=dict)
    hints: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def set(self, section: str, key: str, value: Any, why: str = "") -> None:
        """Propose a value; a reason of one sentence or none where the key says it all."""
        self.values.setdefault(section, {})[key] = value
        self.why[section, key] = why

    def add(self, section: str, key: str, item: str, why: str) -> None:
        """Add an item to a list, with its own reason; an item is listed once."""
        items = self.values.setdefault(section, {}).setdefault(key, [])
        reasons = self.why.setdefault((section, key), {})
        assert isinstance(reasons, dict)
        if item not in items:
            items.append(item)
            reasons[item] = why

    def drop(self, section: str) -> None:
        """Take a whole section back, and what was asked about it."""
        self.questions = [q for q in self.questions if not q.about.startswith(f"[{section}]")]
        self.values.pop(section, None)
        self.heads.pop(section, None)
        self.hints.pop(section, None)
        self.why = {place: why for place, why in self.why.items() if place[0] != section}

    def head(self, section: str, sentence: str) -> None:
        """Say something above a section."""
        self.values.setdefault(section, {})
        lines = self.heads.setdefault(section, [])
        if sentence not in lines:
            lines.append(sentence)

    def hint(self, section: str, setting: str, why: str) -> None:
        """Offer a setting as a comment."""
        self.values.setdefault(section, {})
        self.hints.setdefault(section, []).append((setting, why))

    def ask(self, about: str, question: str, seen: str = "") -> None:
        """Leave something to a person; the same question is asked once."""
        one = Question(about, question, seen)
        if one not in self.questions:
            self.questions.append(one)

    def settings(self, *, moved: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The settings as a reader of the file gets them.

        Parameters
        ----------
        moved : mapping of str to str, optional
            Paths to replace, as while tables are not in their place yet.
        """
        swap = moved or {}
        return {
            section: {k: swap.get(v, v) if k == "path" else v for k, v in values.items()}
            for section, values in self.values.items()
            if values
        }

    def assumptions(self) -> list[dict[str, Any]]:
        """Every proposal with its reason, in the order of the file."""
        found = []
        for section in self._sections():
            found += [{"about": f"[{section}]", "why": sentence} for sentence in self.heads.get(section, ())]
            for key, value in self.values[section].items():
                why = self.why.get((section, key), "")
                if isinstance(why, dict):
                    found += [{"about": f"[{section}] {key}", "value": i, "why": why[i]} for i in value]
                elif why:
                    found.append({"about": f"[{section}] {key}", "value": value, "why": why})
        return found

    def text(self, title: str) -> str:
        """The commented file."""
        lines = [*_comment(title), *self._open_questions(), ""]
        for section in self._sections():
            lines += [*(line for sentence in self.heads.get(section, ()) for line in _comment(sentence))]
            lines += [f"[{section}]"]
            for key, value in self.values[section].items():
                lines += _entry(key, value, self.why.get((section, key), ""))
            for setting, why in self.hints.get(section, ()):
                lines += _aligned(f"# {setting}", why)
            lines.append("")
        return "\n".join(lines).rstrip("\n") + "\n"

    def _sections(self) -> Iterator[str]:
        order = {name: i for i, name in enumerate(_ORDER)}
        yield from sorted(self.values, key=lambda name: order.get(name, len(order)))

    def _open_questions(self) -> list[str]:
        if not self.questions:
            return ["# Nothing was left open."]
        lines = ["#", "# To decide by a person who knows the data:"]
        for q in self.questions:
            seen = f" Seen: {q.seen}" if q.seen else ""
            lines += _comment(f"- {q.about}: {q.question}{seen}", hang="  ")
        return lines


def _entry(key: str, value: Any, why: str | dict[str, str]) -> list[str]:
    if isinstance(why, dict):
        items = [line for item in value for line in _aligned(f"    {_toml(item)},", why[item])]
        return [f"{key} = [", *items, "]"]
    return _aligned(f"{key} = {_toml(value)}", why)


def _aligned(setting: str, why: str) -> list[str]:
    """The reason beside its setting where that fits into a line, else above it."""
    if not why:
        return [setting]
    why = " ".join(why.split())  # a line end would end the comment
    beside = f"{setting.ljust(34)}  # {why}"
    indent = " " * (len(setting) - len(setting.lstrip()))
    return [beside] if len(beside) <= _WIDTH else [*_comment(why, indent), setting]


def _comment(sentence: str, indent: str = "", *, hang: str = "") -> list[str]:
    return textwrap.wrap(
        sentence, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# {hang}", break_long_words=False
    )


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # JSON's escapes are TOML's; JSON alone lets DEL stand
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
