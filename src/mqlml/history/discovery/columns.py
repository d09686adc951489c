"""Which columns of the leads may be learned from: persons, free text, ids, today's state and outcomes may not."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, NamedTuple

from mqlml.history.discovery.words import is_late_name, name_words, personal, sensitive
from mqlml.history.presets import folded

if TYPE_CHECKING:
    from mqlml.history.discovery.profiles import ColumnProfile
    from mqlml.history.discovery.recognising import Part

__all__ = ["Verdict", "judge_columns"]

_CONTENT = 0.5
_COMPANY = frozenset(
    [
        "company",
        "companyname",
        "account",
        "accountname",
        "organisation",
        "organization",
        "firma",
        "unternehmen",
        "website",
        "domain",
    ]
)
_OTHER_ROLES = ("other_ids", "merged_ids", "merged_into", "deleted", "deal_id")


class Verdict(NamedTuple):
    """Where a column goes, and why; ``key`` None leaves it to the model and the leak audit."""

    key: Literal["exclude", "sensitive", "state"] | None
    why: str


def judge_columns(
    part: Part, *, taken: Collection[str], outcome: Collection[str], tracked: Collection[str]
) -> dict[str, Verdict]:
    """Judge every column of the leads that has no role of its own.

    Parameters
    ----------
    part : Part
        The leads.
    taken : collection of str
        Columns with a role in the settings.
    outcome : collection of str
        Columns that tell the outcome, where it is read from a table of its own.
    tracked : collection of str
        Columns whose changes are in the history.

    Returns
    -------
    dict of str to Verdict
        In the order of the file; columns of ``taken`` are absent.
    """
    state = {folded(name) for name in part.layout.state}
    keys = {name for role in _OTHER_ROLES for name in part.roles.get(role, ())}
    found = {}
    for name, profile in part.table.columns.items():
        if name in taken:
            continue
        if name in outcome:
            found[name] = Verdict("exclude", "tells the outcome")
        elif name in tracked:
            found[name] = Verdict("state", "its changes are in [history]: the value as of each moment is used")
        elif name in keys:
            found[name] = Verdict("exclude", "names a record, describes no lead")
        elif folded(name) in state and not profile.is_time:
            found[name] = Verdict(
                "state", f"{part.layout.preset} keeps it up to date: today's value, not that of the time"
            )
        else:
            found[name] = judge(profile)
    return found


def judge(profile: ColumnProfile) -> Verdict:
    """Judge a column by its name and its values.

    Examples
    --------
    >>> from mqlml.history.discovery.profiles import ColumnProfile
    >>> judge(ColumnProfile("First Name", "VARCHAR", rows=9, filled=9, distinct=9)).key
    'exclude'
    """
    name, share = profile.name, profile.share_distinct
    if not profile.filled:
        return Verdict(None, "")
    if sensitive(name):
        return Verdict("sensitive", "by its name; a use needs a reason")
    if profile.is_time:
        return Verdict("exclude", "a date; dates are no attributes") if profile.formats else Verdict(None, "")
    numbers = profile.numbers >= 0.95 * profile.filled
    flag = profile.distinct <= 3 and profile.filled >= 20  # whether somebody may be called, not a number to call
    if (why := personal(name)) is not None and not flag:
        return Verdict("exclude", f"personal: {why}, by its name" if why != "free text" else "free text, by its name")
    for count, what in (
        (profile.emails, "e-mail addresses"),
        (profile.phones, "telephone numbers"),
        (profile.links, "web addresses"),
    ):
        if count > _CONTENT * profile.filled and share > 0.1 and not numbers:
            return Verdict(
                "exclude",
                f"personal: its values look like {what}" if what != "web addresses" else "its values are web addresses",
            )
    if not numbers and (profile.longest > 200 or (profile.words > 4 and share > 0.3)):
        return Verdict("exclude", "free text")
    if is_late_name(name_words(name)):
        return Verdict("state", "by its name it is kept up to date: today's value, not that of the time")
    if not numbers and folded(name) in _COMPANY:
        return Verdict("exclude", "names a company; see account_id")
    if _identifies(profile, numbers=numbers):
        return Verdict("exclude", "an identifier: (nearly) every lead has a value of its own")
    return Verdict(None, "")


def _identifies(profile: ColumnProfile, *, numbers: bool) -> bool:
    if profile.distinct < 20:
        return False
    by_name = bool({"id", "ids", "uuid", "guid", "nr", "key"} & name_words(profile.name)) or profile.name.endswith("Id")
    return (by_name and profile.share_distinct > 0.05) or (not numbers and profile.share_distinct > 0.5)
