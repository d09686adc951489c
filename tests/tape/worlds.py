"""Two histories that agree on everything known before a moment and on nothing else, drawn by Hypothesis.

A fact is drawn as one whole number and read digit by digit, which is fast.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

HOUR, MINUTE = 3_600_000_000, 60_000_000
DAY = 24 * HOUR
# Three days after the clocks of Berlin went forward.
NOW = int(datetime(2025, 4, 2, 7, 30, tzinfo=UTC).timestamp()) * 1_000_000
ACCOUNT_OF = {"a": "acme", "b": "acme", "c": None, "newcomer": "acme"}
ASKED = ("a", "b", "c")
FIELDS: dict[str, list[str | None]] = {"stage": [None, "new", "old", "won"], "score": [None, "1", "2.5", "many"]}
Row = dict[str, Any]
_HOURS = [-hours * HOUR + minutes * MINUTE for hours in range(1, 289, 24) for minutes in (0, 30, 31)]
_BEFORE = [-1] * 10 + _HOURS
_AFTER = [0] * 20 + [1] * 5 + [hours * HOUR for hours in range(1, 217, 4)]


@dataclass
class Digits:
    """Choices read from one number, which is mixed first: Hypothesis likes small ones."""

    number: int

    def __post_init__(self) -> None:
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            self.number = ((self.number ^ self.number >> 33) + 1) * factor % 2**64

    def of(self, choices: Any) -> Any:
        """Choose one of several."""
        self.number, digit = divmod(self.number, len(choices))
        return choices[digit]

    def before(self) -> int:
        """A time before the mark, now and then the last microsecond."""
        return self.of(_BEFORE)

    def after(self) -> int:
        """A time at the mark or later, often exactly then."""
        return self.of(_AFTER)

    def anytime(self) -> int:
        """Any time."""
        return self.of([self.before, self.after])()


@dataclass(frozen=True)
class World:
    """Numbers to read facts from: what was known at the mark, and two versions of everything else."""

    known: list[int]
    later: tuple[list[int], list[int]]
    created: int
    newcomers: int
    born_with: int

    def leads(self, version: int) -> list[Row]:
        """Who there is; in some versions somebody joins the account at the mark or later."""
        digits, newcomers = Digits(self.created), Digits(self.newcomers)
        found = [_lead(name, digits.before()) for name in ASKED]
        joins = [newcomers.of([None, newcomers.after()]) for _ in range(2)][version]
        return found if joins is None else [*found, _lead("newcomer", joins)]

    def facts(self, version: int, kind: str) -> list[Row]:
        """Events, changes or stages in one version."""
        newcomer = any(lead["lead_id"] == "newcomer" for lead in self.leads(version))
        found = [_fact(number, later=False, newcomer=False) for number in self.known]
        found += [_fact(number, later=True, newcomer=newcomer) for number in self.later[version]]
        return [row for drawn, row in found if drawn == kind]

    def field_history(
        self, version: int, *, has_old_value: bool
    ) -> tuple[list[Row], dict[tuple[str, str], str | None]]:
        """The changes as a field history tells them, and the values it ends with."""
        digits = Digits(self.born_with)
        today = {(lead, field): digits.of(values) for lead in ASKED for field, values in FIELDS.items()}
        steps = {(r["lead_id"], r["field"], r["changed_at"]): r for r in self.facts(version, "changes")}
        changes = []
        for (lead, field, _), row in sorted(steps.items(), key=lambda step: step[0][2]):
            old = {"old_value": today.get((lead, field)) if has_old_value else None, "has_old_value": has_old_value}
            changes.append({**row, **old})
            today[lead, field] = row["value"]
        return changes, today


def _lead(name: str, created_at: int) -> Row:
    return {"lead_id": name, "account_id": ACCOUNT_OF[name], "created_at": NOW + created_at}


def _fact(number: int, *, later: bool, newcomer: bool) -> tuple[str, Row]:
    digits = Digits(number)
    kind = digits.of(["events", "events", "events", "stages", "changes"])
    lead = digits.of(["a", "a", "b", "c", *(["newcomer"] * 2 if newcomer else [])])
    if kind == "events":
        return kind, {"lead_id": lead, **_event(digits, later=later and lead != "newcomer", free=lead == "newcomer")}
    time = NOW + (digits.after() if later else digits.before())
    if kind == "stages":
        return kind, {"lead_id": lead, "entered_at": time, "stage": digits.of(["new", "warm", "won"])}
    field = digits.of(list(FIELDS))
    return kind, {"lead_id": lead, "changed_at": time, "field": field, "value": digits.of(FIELDS[field])}


def _event(digits: Digits, *, later: bool, free: bool) -> Row:
    occurred, recorded = digits.before(), digits.of([None, digits.before()])
    if later:  # it happens later, or happened before and is recorded later
        recorded = digits.after()
        if digits.of([True, False]):
            occurred, recorded = digits.after(), digits.of([None, recorded, digits.before()])
    if free:  # whatever a lead did who was not there yet
        occurred, recorded = digits.anytime(), digits.of([None, digits.anytime()])
    return {
        "occurred_at": NOW + occurred,
        "recorded_at": None if recorded is None else NOW + recorded,
        "event_type": digits.of(["web", "form", "new", "call"]),
        "value": digits.of([None, 0.1, 0.2, 1e16, -3.0, float("nan")]),
        "asset": digits.of([None, "x", "y", "z"]),
        "channel": digits.of([None, "mail", "ad"]),
    }


_NUMBERS = st.integers(0, 2**60)
WORLDS = st.builds(
    World,
    known=st.lists(_NUMBERS, min_size=3, max_size=16),
    later=st.tuples(*[st.lists(_NUMBERS, min_size=1, max_size=10)] * 2),
    created=_NUMBERS,
    newcomers=_NUMBERS,
    born_with=_NUMBERS,
)


@dataclass(frozen=True)
class Telling:
    """Both versions of several worlds told as one history, and who is asked about when."""

    leads: list[Row]
    events: list[Row]
    changes: list[Row]
    stages: list[Row]
    attributes: dict[str, list[Any]]
    marks: list[tuple[str, int]]

    def history(self, make: Any, order: random.Random) -> Any:
        """Make a history with the facts in any order."""
        rows = {name: order.sample(getattr(self, name), len(getattr(self, name))) for name in _KINDS}
        return make.history(self.leads, attributes=self.attributes, **rows)


_KINDS = ("events", "changes", "stages")


def tell(worlds: list[World], *, has_old_value: bool) -> Telling:
    """Tell worlds: the one version is also asked about earlier and later, which may not change a row either."""
    told = Telling([], [], [], [], {"stage": [], "score": [], "source": [], "consent": []}, [])
    for number, world in enumerate(worlds):
        for version in (0, 1):
            _tell_one(told, world, version, f"{number}/{version}/", has_old_value=has_old_value)
    return told


def _tell_one(told: Telling, world: World, version: int, prefix: str, *, has_old_value: bool) -> None:
    changes, today = world.field_history(version, has_old_value=has_old_value)
    for row in world.leads(version):
        lead, account = row["lead_id"], row["account_id"]
        told.leads.append({**row, "lead_id": prefix + lead, "account_id": account and prefix + account})
        told.attributes["stage"].append(today.get((lead, "stage")))
        told.attributes["score"].append(_number(today.get((lead, "score"), "0.5")))
        told.attributes["source"].append(str(account is None))
        told.attributes["consent"].append("no" if lead == "b" and world.created % 5 == 0 else None)
        moments = [*([NOW] if lead != "newcomer" else []), *([NOW - 2 * DAY, NOW + DAY] if version == 0 else [])]
        told.marks.extend((prefix + lead, moment) for moment in moments)
    for kind, rows in (("changes", changes), *((kind, world.facts(version, kind)) for kind in ("events", "stages"))):
        getattr(told, kind).extend({**row, "lead_id": prefix + row["lead_id"]} for row in rows)


def _number(text: str | None) -> float | None:
    return float(text) if text not in (None, "many") else None
