"""Small random histories with every awkwardness at once: made from a seed, the same ones always."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

HOUR, MINUTE, SECOND = 3_600_000_000, 60_000_000, 1_000_000
DAY = 24 * HOUR
DAYS = 120
LEADS = [f"lead {number}" for number in range(14)]
# Accounts of 1, 2, 5 and 6 leads; `None` is a lead without one.
ACCOUNTS = ["solo", "duo", "duo", *["acme"] * 5, *["bolt"] * 4, None, None]
# Some are named like mqlml's own words or hold what SQL quotes.
TYPES = ["web", "mail", "form", "o'chat", "call", "webinar", "other", "any"]
TYPE_SHARES = [0.3, 0.15, 0.15, 0.1, 0.1, 0.1, 0.05, 0.05]
ASSETS = [None, "a", "b", "c", "ä", "other", ""]
CHANNELS = [None, "email", "phone", "Web", "other", "any"]
STAGES = ["new", "warm", "won", "Äger"]
VALUES = {
    "stage": ["new", "old", "lost", None, ""],
    "score": ["1", "2.5", "-3e2", "many", "nan", "inf", None],
}
# Histories begin before both changes of the clock, before 1970 and after 2038.
STARTS = [datetime(*date, tzinfo=UTC) for date in ((2025, 1, 1), (2024, 9, 1), (1969, 11, 20), (2041, 8, 1))]


@dataclass(frozen=True)
class Case:
    """A history in plain rows, and who is asked about when."""

    leads: list[dict[str, Any]]
    events: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    attributes: dict[str, list[Any]]
    marks: list[tuple[str, int]]

    def of(self, make: Any) -> tuple[Any, pa.Table]:
        """Turn into a history and marks."""
        history = make.history(
            self.leads, events=self.events, changes=self.changes, stages=self.stages, attributes=self.attributes
        )
        return history, make.marks(*self.marks)


def case(seed: int, *, events: int = 300, marks: int = 100) -> Case:
    """Make one."""
    return _Random(seed).case(events, marks)


class _Random:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.start = int(STARTS[seed % len(STARTS)].timestamp()) * SECOND
        self.has_old_value = seed % 2 == 0

    def case(self, events: int, marks: int) -> Case:
        leads = [
            {"lead_id": lead, "account_id": account, "created_at": self.moment()}
            for lead, account in zip(LEADS, ACCOUNTS, strict=True)
        ]
        rows = [self.event() for _ in range(events // 2)]
        rows += [self.next_event(self.one(rows)) for _ in range(events // 2)]
        rows += [dict(self.one(rows)) for _ in range(events // 12)]
        facts = {
            "changes": [self.change() for _ in range(30)],
            "stages": [self.entry() for _ in range(30)],
        }
        return Case(
            leads=leads,
            events=rows,
            **facts,
            attributes={
                "stage": [self.one(["new", "old"]) for _ in LEADS],
                "score": [float(self.rng.integers(9)) for _ in LEADS],
                "source": [self.one([None, "ad", "fair"]) for _ in LEADS],
                "size": [self.one([None, 0.0, 2.5]) for _ in LEADS],
                "consent": [self.one([None, "no", " False", "yes", "n"]) for _ in LEADS],
            },
            marks=[self.mark(self.one([rows, rows, leads, *facts.values()])) for _ in range(marks)],
        )

    def one(self, choices: list[Any]) -> Any:
        return choices[self.rng.integers(len(choices))]

    def moment(self) -> int:
        """A coarse time, so that facts share moments with each other, with marks and with borders of windows."""
        hour = self.one([0, 3, 6, 7, 12, 15, 21, 22])
        return self.start + int(self.rng.integers(DAYS)) * DAY + hour * HOUR + self.one([0, 0, 0, 0, -1, 1])

    def mark(self, facts: list[dict[str, Any]]) -> tuple[str, int]:
        """Mostly exactly when something happened to a lead or a colleague, or whole days later."""
        if self.rng.integers(4) == 0:
            return self.one(LEADS), self.moment()
        fact = self.one(facts)
        name = self.one([name for name, value in fact.items() if name.endswith("_at") and value is not None])
        lead = fact["lead_id"] if fact["lead_id"] in LEADS and self.rng.integers(3) else self.one(LEADS)
        return lead, fact[name] + self.one([0, 0, 0, 1, 2, 3, 5, 7, 30, 90]) * DAY + self.one([0, 0, 0, -1, 1])

    def event(self) -> dict[str, Any]:
        lead = [*LEADS, "nobody"][min(int(self.rng.geometric(0.15)) - 1, len(LEADS))]
        return self.event_of(lead, self.moment())

    def next_event(self, before: dict[str, Any]) -> dict[str, Any]:
        """An event of the same lead soon after: often just as long after as a session may pause."""
        minutes = self.one([0, 1, 10, 29, 30, 30, 31, 45, 45, 46, 60])
        return self.event_of(before["lead_id"], before["occurred_at"] + minutes * MINUTE + self.one([0, 0, 0, -1, 1]))

    def event_of(self, lead: str, occurred_at: int) -> dict[str, Any]:
        delay = self.one([None, None, None, 0, -DAY, DAY, 7 * HOUR, 20 * DAY])
        return {
            "lead_id": lead,
            "occurred_at": occurred_at,
            "recorded_at": None if delay is None else occurred_at + delay,
            "event_type": str(self.rng.choice(TYPES, p=TYPE_SHARES)),
            "value": self.one([None, np.nan, np.inf, -np.inf, *self.rng.integers(-40, 400, size=6) / 4]),
            "channel": self.one(CHANNELS),
            "asset": self.one(ASSETS),
        }

    def change(self) -> dict[str, Any]:
        field = self.one(["stage", "score"])
        return {
            "lead_id": self.one(LEADS[:10]),
            "changed_at": self.moment(),
            "field": field,
            "value": self.one(VALUES[field]),
            "old_value": self.one(VALUES[field]) if self.has_old_value else None,
            "has_old_value": self.has_old_value,
        }

    def entry(self) -> dict[str, Any]:
        return {"lead_id": self.one(LEADS[:10]), "entered_at": self.moment(), "stage": self.one(STAGES)}
