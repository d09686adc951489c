"""Job titles, e-mail addresses and company names turned into a few plain groups; the text itself is never a level."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import resources

__all__ = ["UNRECOGNISED", "VIEWS", "views_of"]

View = Callable[[str], str]

UNRECOGNISED = "unrecognised"

_ADDRESS = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")
_SECOND_LEVEL = frozenset({"co", "com", "org", "net", "ac", "gov", "edu"})
# A title that few levels describe is a pick list and says what it says; texts differ from lead to lead.
_LEAST_TEXTS = 30
_LEAST_SHARE = 0.5
_LOOKED_AT = 1_000
# A training looks at the same texts again in each of its windows.
_REMEMBERED = 2**17


def _words() -> dict[str, dict[str, list[str]]]:
    text = resources.files("mqlml.learning").joinpath("words.toml").read_text(encoding="utf-8")
    return {part: {name: w.split() for name, w in groups.items()} for part, groups in tomllib.loads(text).items()}


_WORDS = _words()
_FREE_MAIL, _ROLES = (frozenset(_WORDS["addresses"][name]) for name in ("free mail", "roles"))


def _plain(text: str) -> str:
    """Lower case without accents; everything but letters, digits and & is a space."""
    bare = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    # A product owner owns no company.
    return re.sub(r"[^a-z0-9&]+", " ", bare).strip().replace("product owner", "product manager")


def _finder(groups: Mapping[str, Sequence[str]]) -> View:
    """Find the first group, in the order given, one of whose words or phrases stands in a text."""

    def pattern(words: Sequence[str]) -> re.Pattern[str]:
        return re.compile(rf"\b({'|'.join(re.escape(word.replace('-', ' ')) for word in words)})\b")

    patterns = {name: pattern(words) for name, words in groups.items()}

    @lru_cache(_REMEMBERED)
    def find(text: str) -> str:
        plain = _plain(text)
        return next((name for name, found in patterns.items() if found.search(plain)), UNRECOGNISED)

    return find


def _mailbox(text: str) -> str:
    """Free-mail, role or personal company address; never the address itself."""
    address = text.strip().casefold()
    if not _ADDRESS.match(address):
        return "no valid address"
    local, _, domain = address.rpartition("@")
    labels = domain.split(".")[:-1]
    provider = labels[-2] if len(labels) > 1 and labels[-1] in _SECOND_LEVEL else labels[-1]
    if provider in _FREE_MAIL:
        return "free-mail address"
    return "role address" if re.split(r"[.+_]", local)[0] in _ROLES else "company address"


VIEWS: Mapping[str, View] = {
    "seniority": _finder(_WORDS["seniority"]),
    "function": _finder(_WORDS["function"]),
    "legal form": _finder(_WORDS["legal form"]),
    "kind of address": _mailbox,
}
"""What a text is turned into, by the name of the result; every group is a word of this package, none of the data."""


def views_of(name: str, levels: Sequence[str]) -> tuple[str, ...]:
    """Views that a column calls for, by its name and its values; none where it is to be taken as it is.

    Parameters
    ----------
    name : str
        The user's own column name.
    levels : sequence of str
        Distinct values of the column.

    Examples
    --------
    >>> views_of("Job Title", [f"Head of Sales {i}" for i in range(40)])
    ('seniority', 'function')
    >>> VIEWS["seniority"]("Geschäftsführerin"), VIEWS["kind of address"]("info@example.com")
    ('executive', 'role address')
    """
    plain = _plain(name).replace(" ", "")
    some = sorted(levels)[:_LOOKED_AT]
    if plain in _WORDS["columns"]["mail"] or sum("@" in level for level in some) > _LEAST_SHARE * len(some):
        return ("kind of address",)
    if len(levels) < _LEAST_TEXTS:
        return ()
    if plain in _WORDS["columns"]["title"] or _recognised(some, "seniority") > _LEAST_SHARE:
        return ("seniority", "function")
    if plain in _WORDS["columns"]["company"] or _recognised(some, "legal form") > _LEAST_SHARE:
        return ("legal form",)
    return ()


def _recognised(levels: Sequence[str], view: str) -> float:
    """Share of the levels in which the view finds a word."""
    return sum(VIEWS[view](level) != UNRECOGNISED for level in levels) / len(levels)
