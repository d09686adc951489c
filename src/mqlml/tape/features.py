"""What is computed of a lead as of a moment: a ``FeatureSet`` is plain data, stored with the model that uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from mqlml.tape.traffic import Traffic, learn_traffic, traffic_notes

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History

Kind = Literal["number", "category"]
Group = Literal["fit", "engagement", "timing"]

ANY_ACTIVITY = "any activity"
LEAD_AGE = "age of the lead"
OTHER = "other"
# These words name features of their own; a user's event type of the same name counts as "other".
RESERVED_TYPES = frozenset({"any", OTHER})
_LONG_WINDOWS = 2


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


@dataclass(frozen=True)
class FeatureSet:
    """Everything needed to compute the same features again.

    Parameters
    ----------
    event_types : tuple of str
        Types with features of their own, most frequent first at training.
    windows_days : tuple of int
        Windows in days of 86,400 s, ascending. A window of ``w`` days as of ``s`` holds ``s - w <= time < s``.
    half_lives_days : tuple of int
        Half-lives of the decayed intensity.
    attributes : tuple of Attribute
    other : bool
        Whether types beyond ``event_types`` share features under the name ``other``. Without it types that training
        never saw count as any activity only.
    valued_types : tuple of str
        Types (``other`` included) whose events carried a ``value`` at training; sums are made for these.
    dropped_types : tuple of str
        Types made by sales, and opens of mails: none of their events is looked at.
    assets : bool
        Whether events name assets, so that distinct assets are counted.
    age : bool
        Whether leads have a date of creation.
    traffic : Traffic or None
        Rules against machine traffic; None where there are none.
    """

    event_types: tuple[str, ...] = ()
    windows_days: tuple[int, ...] = (1, 7, 30, 90)
    half_lives_days: tuple[int, ...] = (7, 30)
    attributes: tuple[Attribute, ...] = ()
    other: bool = False
    valued_types: tuple[str, ...] = ()
    dropped_types: tuple[str, ...] = ()
    assets: bool = False
    age: bool = True
    traffic: Traffic | None = None

    @property
    def features(self) -> tuple[Feature, ...]:
        """Every feature in the order of the feature table's columns."""
        return (*self.attribute_features, *self._age_features(), *self.event_features)

    @property
    def attribute_features(self) -> tuple[Feature, ...]:
        """One feature an attribute, in the order of ``attributes``."""
        return tuple(_attribute_feature(attribute) for attribute in self.attributes)

    @property
    def event_features(self) -> tuple[Feature, ...]:
        """The features that events feed, in the order in which the kernel writes them."""
        if not self.named_types:
            return ()
        per_type = (f for event_type in self.named_types for f in self._type_features(event_type))
        return (*self._any_features(), *per_type)

    @property
    def history_attributes(self) -> tuple[Attribute, ...]:
        """The attributes whose value is taken from the field history."""
        return tuple(a for a in self.attributes if a.source == "history")

    @property
    def named_types(self) -> tuple[str, ...]:
        """Event types with features of their own, ``other`` last where it has some."""
        return (*self.event_types, OTHER) if self.other else self.event_types

    @property
    def long_windows_days(self) -> tuple[int, ...]:
        """The windows over which values are summed and assets counted: the longest two."""
        return self.windows_days[-_LONG_WINDOWS:]

    @property
    def dropped_opens(self) -> tuple[str, ...]:
        """The dropped types that are opens of mails."""
        opens = self.traffic.opens if self.traffic else ()
        return tuple(name for name in self.dropped_types if name in opens)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know about these features, as plain sentences."""
        sales = ", ".join(repr(name) for name in self.dropped_types if name not in self.dropped_opens)
        said = f"Events made by sales are not used as features: {sales}; name them in [events] use to change that."
        return (*([said] if sales else []), *traffic_notes(self))

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain JSON data; ``from_dict`` gives an equal feature set back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureSet:
        """Make a feature set from what ``to_dict`` gave.

        Raises
        ------
        TypeError
            A key is unknown.
        """
        plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        attributes = tuple(Attribute(**attribute) for attribute in plain.pop("attributes", ()))
        traffic = plain.pop("traffic", None)
        return cls(attributes=attributes, traffic=None if traffic is None else Traffic.from_dict(traffic), **plain)

    def dictionary(self) -> str:
        """Describe every feature in plain words, as a Markdown table."""
        rows = (f"| {_cell(f.name)} | {_cell(f.description)} | {f.unit} | {f.group} |" for f in self.features)
        return "\n".join(["| feature | meaning | unit | group |", "|---|---|---|---|", *rows, ""])

    def _age_features(self) -> tuple[Feature, ...]:
        if not self.age:
            return ()
        text = "Days since the lead was created."
        return (Feature("time.age_days", "age", "timing", LEAD_AGE, "days", text),)

    def _any_features(self) -> Iterator[Feature]:
        yield from self._counts(None)
        for window in (*self.windows_days, None):
            yield _event_feature(None, "active_days", window, "days", f"Days (UTC) with any activity {_when(window)}.")
        for window in (*self.long_windows_days, None) if self.assets else ():
            text = f"Different assets (pages, files, forms ...) that the lead used {_when(window)}."
            yield _event_feature(None, "assets", window, "assets", text)
        yield _timing_feature(None, "days_since_last", "recency", "Days since the lead last did anything.")
        yield _timing_feature(None, "days_since_first", "first_touch", "Days since the lead first did anything.")
        for days in self.half_lives_days:
            text = f"Events so far, each counting half as much after every {_days(days)}."
            yield _event_feature(None, "intensity", days, "events", text)

    def _type_features(self, event_type: str) -> Iterator[Feature]:
        yield from self._counts(event_type)
        text = f"Days since the last {_quoted(event_type)}."
        yield _timing_feature(event_type, "days_since_last", "recency", text)
        for window in (*self.long_windows_days, None) if event_type in self.valued_types else ():
            text = f"Sum of the values of {_quoted(event_type)} events {_when(window)}."
            yield _event_feature(event_type, "value", window, "as recorded", text)

    def _counts(self, event_type: str | None) -> Iterator[Feature]:
        what = "events" if event_type is None else f"{_quoted(event_type)} events"
        for window in (*self.windows_days, None):
            yield _event_feature(event_type, "count", window, "events", f"Number of {what} {_when(window)}.")


def learn_feature_set(
    history: History, config: Config, *, until: datetime | None, attributes: Sequence[str]
) -> FeatureSet:
    """Choose the features from what was known strictly before ``until``.

    Parameters
    ----------
    history : History
    config : Config
        ``[features]`` gives windows, half-lives and the number of event types; ``[events]`` those made by sales.
    until : datetime or None
        Moment with a zone; ``None`` in a history without dates.
    attributes : sequence of str
        Columns that may be used. One that occurs anywhere in the field history is never taken from the leads table,
        whose value may be younger than the snapshot.

    Returns
    -------
    FeatureSet
    """
    from mqlml.tape import local

    dated = history.leads["created_at"].null_count < history.leads.num_rows
    known = local.count_event_types(history, until=until) if dated else []
    traffic = learn_traffic(config.events.machines, known) if config.events and dated else None
    off = {*config.events.by_sales, *(traffic.opens if traffic else ())} if config.events else set()
    dropped = tuple(sorted(off.difference(config.events.use))) if config.events else ()
    counts = [c for c in known if c.event_type not in dropped]
    ranked = sorted((c for c in counts if c.event_type not in RESERVED_TYPES), key=lambda c: (-c.events, c.event_type))
    kept = tuple(c.event_type for c in ranked[: config.features.max_event_types])
    changed = local.changed_fields(history)
    return FeatureSet(
        event_types=kept,
        windows_days=tuple(sorted(set(config.features.windows_days))),
        half_lives_days=tuple(sorted(set(config.features.half_lives_days))),
        attributes=tuple(_attribute(name, history.attributes, changed) for name in attributes),
        other=len(counts) > len(kept),
        valued_types=_valued_types(counts, kept),
        dropped_types=dropped,
        assets=any(c.assets for c in counts),
        age=dated,
        traffic=traffic,
    )


def _valued_types(counts: Sequence[Any], kept: Sequence[str]) -> tuple[str, ...]:
    valued = {c.event_type if c.event_type in kept else OTHER for c in counts if c.values}
    return tuple(name for name in (*kept, OTHER) if name in valued)


def _attribute(name: str, table: pa.Table, changed: frozenset[str]) -> Attribute:
    number = name in table.column_names and pa.types.is_floating(table.schema.field(name).type)
    return Attribute(name, "number" if number else "category", "history" if name in changed else "creation")


def _attribute_feature(attribute: Attribute) -> Feature:
    text = {
        "creation": f"Value of '{attribute.name}' when the lead was created.",
        "history": f"Value of '{attribute.name}' at that moment, from the field history.",
    }[attribute.source]
    unit = "as recorded" if attribute.kind == "number" else "category"
    return Feature(f"lead.{attribute.name}", "attribute", "fit", attribute.name, unit, text, kind=attribute.kind)


def _event_feature(event_type: str | None, measure: str, window: int | None, unit: str, text: str) -> Feature:
    return Feature(
        name=f"events.{event_type or 'any'}.{measure}_{'ever' if window is None else f'{window}d'}",
        family=measure,
        group="engagement",
        criterion=event_type or ANY_ACTIVITY,
        unit=unit,
        description=text,
        event_type=event_type,
        window_days=window,
    )


def _timing_feature(event_type: str | None, measure: str, family: str, text: str) -> Feature:
    name = f"events.{event_type or 'any'}.{measure}"
    criterion = event_type or ANY_ACTIVITY
    return Feature(name, family, "timing", criterion, "days", text, event_type=event_type)


def _quoted(event_type: str) -> str:
    return "other (less frequent)" if event_type == OTHER else f"'{event_type}'"


def _when(window: int | None) -> str:
    return "so far" if window is None else f"in the last {_days(window)}"


def _days(days: int) -> str:
    return "day" if days == 1 else f"{days} days"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")
