"""What words say: which outcomes are won or lost, which columns are about persons, which are today's state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mqlml.history.presets import folded

__all__ = ["Sorted", "is_late_name", "name_words", "personal", "sales_made", "sensitive", "sort_outcomes"]

_WON = frozenset(
    [
        "won",
        "closedwon",
        "closewon",
        "win",
        "converted",
        "conversion",
        "customer",
        "client",
        "sold",
        "purchased",
        "signed",
        "dealwon",
        "success",
        "successful",
        "gewonnen",
        "kunde",
        "abgeschlossen",
        "verkauft",
        "gagne",
        "gagné",
        "signé",
        "ganado",
        "ganada",
        "cliente",
        "vinto",
        "gewonnenabgeschlossen",
        "winback",
        "closedconverted",
        "成約",
        "受注",
    ]
)
_LOST = frozenset(
    [
        "lost",
        "closedlost",
        "closelost",
        "lose",
        "loss",
        "notconverted",
        "closednotconverted",
        "disqualified",
        "unqualified",
        "notinterested",
        "dead",
        "rejected",
        "deallost",
        "junk",
        "noresponse",
        "abandoned",
        "declined",
        "lostdeal",
        "recycled",
        "closednoresponse",
        "badfit",
        "verloren",
        "abgesagt",
        "abgelehnt",
        "keininteresse",
        "unqualifiziert",
        "perdu",
        "perdue",
        "perdido",
        "perdida",
        "perso",
        "失注",
    ]
)
_IGNORED = frozenset(
    ["duplicate", "test", "spam", "existingcustomer", "invalid", "dublette", "duplikat", "testlead", "bounced"]
)
_YES = frozenset(["1", "true", "yes", "y", "t", "ja", "oui", "si", "sí", "x"])
_NO = frozenset(["0", "false", "no", "n", "f", "nein", "non"])

_LATE = re.compile(
    "status|stage|clos(e|ed|ing)|won|lost|outcome|result|reason|resolution|owner|assigned|probability|score|"
    "last|final|actual|current|updated|modified|change[ds]|completed|wait|waiting|duration"
)
_LATE_PHRASES = ({"days", "in"}, {"time", "in"}, {"days", "to"}, {"time", "to"}, {"days", "open"})
_EARLY = frozenset(["first", "initial", "original", "previous", "prev", "planned", "requested", "reserved"])
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W_a-zA-Z]+")

_PERSONAL = {
    "a name": "firstname lastname fullname surname givenname contactname leadname vorname nachname name prenom nom",
    "an e-mail address": "email mail emailaddress workemail e-mail",
    "a telephone number": "phone mobile mobilephone telephone fax telefon handy tel phonenumber",
    "an address": "street address address1 address2 mailingstreet strasse straße postalcode zip zipcode plz hausnummer "
    "latitude longitude geolocation",
    "an account of a person": "linkedin twitter facebook linkedinurl xing skype username login",
    "a device or address on the net": "ip ipaddress clientip cookie cookieid deviceid visitorid gclid fbclid",
}
_FREE = frozenset(
    [
        "description",
        "comment",
        "comments",
        "note",
        "notes",
        "message",
        "remarks",
        "bemerkung",
        "kommentar",
        "nachricht",
        "text",
    ]
)
_SENSITIVE = frozenset(
    [
        "gender",
        "sex",
        "age",
        "birthdate",
        "birthday",
        "dateofbirth",
        "dob",
        "religion",
        "ethnicity",
        "race",
        "nationality",
        "maritalstatus",
        "disability",
        "health",
        "politics",
        "union",
        "geschlecht",
        "alter",
        "geburtsdatum",
        "geburtstag",
        "konfession",
        "staatsangehörigkeit",
        "familienstand",
        "sexe",
        "naissance",
        "civilite",
        "salutation",
        "anrede",
        "title_of_address",
        "pregnancy",
        "genetic",
        "orientation",
    ]
)
_BY_SALES = re.compile(
    "call|telefon|phone|meeting|termin|sales|demo (held|done|given)|appointment|visit by|task|note|quote|offer|"
    "proposal|angebot|1:1|one-to-one|linkedin_message|outbound|owner|converted|assigned|stage|voicemail|contract",
    re.IGNORECASE,
)
_BY_LEAD = re.compile("request|booked by|inbound|incoming|form|page|web|received|reply|replied", re.IGNORECASE)


@dataclass(frozen=True)
class Sorted:
    """Values of an outcome column by what they say; ``open_`` are those that neither won nor lost."""

    won: tuple[str, ...]
    lost: tuple[str, ...]
    ignore: tuple[str, ...]
    open_: tuple[str, ...]
    flag: bool = False
    """The column only says yes or no: what "no" means, not yet or never, it does not say."""


def sort_outcomes(
    values: Iterable[str], *, won: Iterable[str] = (), lost: Iterable[str] = (), open_: Iterable[str] = ()
) -> Sorted:
    """Sort the values of an outcome column; what a person named comes first.

    Examples
    --------
    >>> found = sort_outcomes(["Closed Won", "Closed Lost", "Prospecting"])
    >>> found.won, found.lost, found.open_
    (('Closed Won',), ('Closed Lost',), ('Prospecting',))
    """
    values, told = tuple(values), {**dict.fromkeys(open_, "open"), **dict.fromkeys(lost, "lost")}
    told |= dict.fromkeys(won, "won")
    flag = not told and 0 < len(values) <= 2 and all(folded(v) in _YES | _NO for v in values)
    kinds = {value: told.get(value) or _kind(value, flag=flag) for value in values}
    by = {kind: tuple(v for v in values if kinds[v] == kind) for kind in ("won", "lost", "ignore", "open")}
    return Sorted(by["won"], by["lost"], by["ignore"], by["open"], flag)


def _kind(value: str, *, flag: bool) -> str:
    word = folded(value)
    if flag:
        return "won" if word in _YES else "lost"
    for words, kind in ((_WON, "won"), (_LOST, "lost"), (_IGNORED, "ignore")):
        if word in words:
            return kind
    parts = [folded(part) for part in re.split(r"[\s/_-]+", value)]
    if "closed" in parts or "close" in parts:
        return "won" if _WON & set(parts) else "lost" if _LOST & set(parts) else "open"
    return "open"


def name_words(name: str) -> frozenset[str]:
    """Lower-case words of a name, from ``snake_case``, ``camelCase`` or text with spaces.

    Examples
    --------
    >>> sorted(name_words("lastStatus_change"))
    ['change', 'last', 'status']
    """
    return frozenset(word.lower() for word in _WORD.findall(name))


def is_late_name(words: frozenset[str]) -> bool:
    """Whether the words of a name say that the column is kept up to date (``status``, ``last_...``)."""
    late = any(_LATE.fullmatch(word) for word in words) or any(phrase <= words for phrase in _LATE_PHRASES)
    return late and not words & _EARLY


def personal(name: str) -> str | None:
    """What a column says of a person, judged by its name; None where nothing.

    Examples
    --------
    >>> personal("First Name"), personal("Industry")
    ('a name', None)
    """
    word, parts = folded(name), {folded(part) for part in re.split(r"[\s_./-]+", name)}
    for what, names in _PERSONAL.items():
        if word in names.split() or (parts & set(names.split()) - {"name", "nom", "mail"}):
            return what
    return "free text" if word in _FREE or parts & (_FREE - {"text"}) else None


def sensitive(name: str) -> bool:
    """Whether a name says that a column is about gender, age, faith or the like."""
    return bool({folded(name), *name_words(name)} & _SENSITIVE)


def sales_made(event_types: Mapping[str, int] | Iterable[str]) -> tuple[str, ...]:
    """Event types that sound as if sales made them, not the lead."""
    return tuple(sorted(t for t in event_types if _BY_SALES.search(t) and not _BY_LEAD.search(t)))
