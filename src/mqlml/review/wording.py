"""Words that people use for what data call by a key: ``words.toml``, read and checked; and the theme of a criterion."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mqlml.errors import UsageError, shown

if TYPE_CHECKING:
    from mqlml.tape.features import Feature, FeatureSet

__all__ = ["THEMES", "Words", "read_words", "themes"]

THEMES = ("pages", "offers", "sources", "e-mail", "events", "account", "profile", "timing", "activity")
"""What a criterion is about, as marketing sorts it."""

_SECTIONS = ("events", "columns", "assets", "themes")
_LONGEST = 80
# Looked for at the beginning of the parts of a name, in this order.
_SPOKEN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("e-mail", ("email", "e-mail", "mail", "newsletter")),
    ("events", ("webinar", "conference", "event", "fair", "tradeshow", "workshop", "meetup", "summit", "booth")),
    ("sources", ("source", "campaign", "medium", "referr", "utm", "origin", "keyword", "advert")),
    ("offers", ("demo", "trial", "pric", "quote", "offer", "download", "whitepaper", "ebook", "form", "guide",
                "template", "voucher", "contact")),
    ("pages", ("page", "visit", "view", "site", "web", "blog", "docs", "session", "click")),
)  # fmt: skip
_COMPANY = ("company", "industry", "employee", "revenue", "account", "sector", "turnover", "country", "firm")
_BY_FAMILY = {
    "account": "account", "channels": "sources", "sessions": "pages", "visits": "pages", "assets": "pages",
    "age": "timing", "momentum": "timing", "silence": "timing", "tempo": "timing", "rhythm": "timing",
    "journey": "activity", "tracking": "activity", "stage": "profile",
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """A vocabulary; names that it does not hold are shown as they stand in the data.

    Attributes
    ----------
    events : mapping of str to tuple of two str
        Event type to what one and several are called.
    columns, assets : mapping of str to str
        Column or asset to what it is called.
    themes : mapping of str to str
        Criterion to one of ``THEMES``.
    """

    events: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    assets: Mapping[str, str] = field(default_factory=dict)
    themes: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """What criteria are called; several events where an event type has words of its own."""
        several = {name: f"{many[:1].upper()}{many[1:]}" for name, (_, many) in self.events.items()}
        return {**self.assets, **several, **self.columns}

    def unknown(self, features: FeatureSet) -> tuple[str, ...]:
        """Names for which there are words, but that were nothing to the training of a model.

        What it left out since it did as well without is known all the same.
        """
        known = {f.criterion for f in features.features} | {*features.dropped_types}
        known |= {name.removeprefix("lead.") for name in features.left_out}
        known |= {*features.event_types, *features.named_assets}
        given = {*self.events, *self.columns, *self.assets, *self.themes}
        return tuple(sorted(given - known))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "events": {name: list(both) for name, both in self.events.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Words:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "events": {name: (one, many) for name, (one, many) in data["events"].items()}})


def read_words(text: str, *, where: str) -> Words:
    """Read a vocabulary.

    Parameters
    ----------
    text : str
        TOML with the tables ``[events]`` (one word, or one and several), ``[columns]``, ``[assets]``, ``[themes]``.
    where : str
        Name of the file, for messages.

    Raises
    ------
    UsageError
        Names every wrong entry.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: cannot be read as TOML: {error}.") from None
    wrong = [_unknown_section(key) for key in data if key not in _SECTIONS]
    tables = {key: data.get(key, {}) for key in _SECTIONS}
    wrong += [f"'{key}' is not a table; begin it with [{key}]" for key, t in tables.items() if not isinstance(t, dict)]
    if not wrong:
        wrong = [problem for key, table in tables.items() for problem in _problems(key, table)]
    if wrong:
        raise UsageError("\n".join(f"{where}: {problem}." for problem in wrong))
    spoken = tables.pop("events")
    events = {name: (w, _several(w)) if isinstance(w, str) else (w[0], w[1]) for name, w in spoken.items()}
    return Words(events, **tables)


def themes(features: FeatureSet, words: Words) -> dict[str, str]:
    """The theme of each criterion: as the vocabulary says, else by its family and the words in its name."""
    found: dict[str, str] = {}
    for feature in features.features:
        if feature.criterion not in found:
            found[feature.criterion] = words.themes.get(feature.criterion) or _theme(feature)
    return found


def _theme(feature: Feature) -> str:
    if feature.family in _BY_FAMILY:
        return _BY_FAMILY[feature.family]
    parts = re.split(r"[^a-z-]+", feature.criterion.lower())
    spoken = next((theme for theme, starts in _SPOKEN if any(p.startswith(starts) for p in parts if p)), None)
    if feature.family in ("attribute", "changes"):
        if spoken == "sources":
            return "sources"
        return "account" if any(p.startswith(_COMPANY) for p in parts if p) else "profile"
    return spoken or ("pages" if feature.family == "asset_counts" else "activity")


def _unknown_section(key: str) -> str:
    near = difflib.get_close_matches(key, _SECTIONS, n=1)
    return f"unknown table '{shown(key)}'; " + (f"did you mean '{near[0]}'?" if near else "use " + ", ".join(_SECTIONS))


def _problems(section: str, table: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in table.items():
        pair = section == "events" and isinstance(value, list) and len(value) == 2
        texts = value if pair else [value]
        if not all(isinstance(text, str) and 0 < len(text.strip()) <= _LONGEST for text in texts):
            form = 'text, or ["one", "several"]' if section == "events" else "text"
            found.append(f"[{section}] '{shown(name)}' is not {form} of 1 to {_LONGEST} characters")
        elif section == "themes" and value not in THEMES:
            found.append(f"[themes] '{shown(name)}': there is no theme '{shown(value)}'; one of {', '.join(THEMES)}")
    return found


def _several(one: str) -> str:
    return f"{one[:-1]}ies" if re.search("[^aeiou]y$", one) else f"{one}s"
