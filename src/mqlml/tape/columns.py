"""One column of the feature table, and the plain data that describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["number", "category"]
Group = Literal["fit", "engagement", "timing"]

ANY_ACTIVITY = "any activity"
LEAD_AGE = "age of the lead"
OTHER = "other"
# These words name features of their own; a user's event type, asset or channel of the same name counts as "other".
RESERVED = frozenset({"any", OTHER})


@dataclass(frozen=True)
class Attribute:
    """A column of the leads table that is used.

    Parameters
    ----------
    name : str
        The user's own column name.
    kind : {"number", "category"}
    source : {"creation", "history"}
        ``"creation"``: the value in the leads table, declared or audited as known when the lead was created.
        ``"history"``: the value that the field history shows for the moment of the snapshot.
    """

    name: str
    kind: Kind
    source: Literal["creation", "history"]


@dataclass(frozen=True)
class Pair:
    """Two event types in order: a ``then`` counts where a ``first`` came strictly earlier, at most so many days before.

    Parameters
    ----------
    first, then : str
        Event types with features of their own; they may be the same.
    within_days : int
        Days of 86,400 s.
    """

    first: str
    then: str
    within_days: int

    @property
    def name(self) -> str:
        """What the names of its features begin with."""
        return f"pairs.{self.first} > {self.then}.within_{self.within_days}d"


@dataclass(frozen=True)
class Feature:
    """One column of the feature table, with the words that explain it.

    ``window_days`` is ``None`` where a feature has no window or looks at the whole past.
    """

    name: str
    family: str
    group: Group
    criterion: str
    unit: str
    description: str
    kind: Kind = "number"
    event_type: str | None = None
    window_days: int | None = None

    @property
    def since(self) -> bool:
        """Whether it tells the days since something happened, so that a missing value means never."""
        return self.name.rpartition(".")[2].startswith("days_since")


class Placed(NamedTuple):
    """A feature and its place in the panel that the kernel fills; ``None`` where the kernel has no part in it."""

    feature: Feature
    place: int | None
