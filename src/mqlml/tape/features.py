"""What is computed of a lead as of a moment: a ``FeatureSet`` is plain data, stored with the model that uses it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from mqlml.tape.columns import ANY_ACTIVITY, LEAD_AGE, OTHER, RESERVED, Attribute, Feature, Pair, Placed
from mqlml.tape.families import BASE_FAMILIES, DEFAULT_FAMILIES, FAMILIES, placed_features
from mqlml.tape.layout import Layout, layout_of
from mqlml.tape.traffic import Traffic, rules_in_force, traffic_notes

__all__ = [
    "ANY_ACTIVITY",
    "BASE_FAMILIES",
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "LEAD_AGE",
    "OTHER",
    "RESERVED",
    "Attribute",
    "Feature",
    "FeatureSet",
    "Pair",
]

Windows = tuple[tuple[int | None, int | None], ...]
"""Place among the windows and length in days; ``(None, None)`` is the whole past."""

_LONG_WINDOWS = 2
# Families whose criteria are columns of the leads.
_OF_FIELDS = frozenset({"attribute", "changes"})


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
        Types made by sales, and opened mails: none of their events is looked at.
    assets : bool
        Whether events name assets, so that distinct assets and repeated visits are counted.
    age : bool
        Whether leads have a date of creation.
    named_assets, channels : tuple of str
        Assets and channels with features of their own, most frequent first at training.
    other_assets, other_channels : bool
        Whether those beyond the named ones share features under the name ``other``.
    pairs : tuple of Pair
        Two event types in order, each with features of its own.
    families : tuple of str
        Which families of ``FAMILIES`` are on.
    stages : bool
        Whether it is told when leads entered a stage.
    accounts : bool
        Whether accounts have several leads.
    zone : str
        Name of the time zone whose days and hours count.
    session_gap_minutes : int
        A longer pause between two events of a lead begins a new session.
    tracked : str or None
        Column of the leads table that says whether a lead's events can be seen at all.
    traffic : Traffic or None
        Rules that say which events people did not make.
    left_out : tuple of str
        Names of features that are not computed, since a model did as well without them.
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
    named_assets: tuple[str, ...] = ()
    other_assets: bool = False
    channels: tuple[str, ...] = ()
    other_channels: bool = False
    pairs: tuple[Pair, ...] = ()
    families: tuple[str, ...] = BASE_FAMILIES
    stages: bool = False
    accounts: bool = False
    zone: str = "UTC"
    session_gap_minutes: int = 30
    tracked: str | None = None
    traffic: Traffic | None = None
    left_out: tuple[str, ...] = ()

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """Every feature in the order of the feature table's columns, with its place in the kernel's panel."""
        return placed_features(self, self.layout)

    @cached_property
    def layout(self) -> Layout:
        """Where the numbers of the kernel's panel stand."""
        return layout_of(self)

    @property
    def features(self) -> tuple[Feature, ...]:
        """Every feature in the order of the feature table's columns."""
        return tuple(placed.feature for placed in self.placed)

    @property
    def attribute_features(self) -> tuple[Feature, ...]:
        """The features that are attributes, in the order of ``attributes``."""
        return tuple(feature for feature in self.features if feature.family == "attribute")

    @property
    def event_features(self) -> tuple[Feature, ...]:
        """The features that the tape feeds, attributes apart."""
        played = (placed.feature for placed in self.placed if placed.place is not None)
        return tuple(feature for feature in played if feature.family != "attribute")

    @property
    def history_attributes(self) -> tuple[Attribute, ...]:
        """The attributes whose value is taken from the field history."""
        return tuple(a for a in self.attributes if a.source == "history")

    @property
    def named_types(self) -> tuple[str, ...]:
        """Event types with features of their own, ``other`` last where it has some."""
        return (*self.event_types, OTHER) if self.other else self.event_types

    @property
    def windows(self) -> Windows:
        """All windows and the whole past."""
        return (*enumerate(self.windows_days), (None, None))

    @property
    def long_windows(self) -> Windows:
        """The windows over which values are summed and assets counted: the longest two and the whole past."""
        return self.windows[-_LONG_WINDOWS - 1 :]

    @property
    def identifies_assets(self) -> bool:
        """Whether it must be known which events were on the same asset."""
        return bool(self.named_types) and self.assets and bool({"assets", "visits"} & set(self.families))

    @property
    def counts_assets(self) -> bool:
        """Whether events on the named assets are counted one by one."""
        return bool(self.named_types and self.named_assets) and "asset_counts" in self.families

    @property
    def tells_assets(self) -> bool:
        """Whether assets stand on the tape: for features, or to tell the links that machines follow."""
        return self.identifies_assets or self.counts_assets or (self.assets and "links" in rules_in_force(self))

    @property
    def uses_channels(self) -> bool:
        """Whether it must be known through which channel an event came."""
        return bool(self.named_types and self.channels) and bool({"channels", "journey"} & set(self.families))

    @property
    def follows_stages(self) -> bool:
        """Whether the stages that leads entered are looked at."""
        return self.stages and "stage" in self.families

    @property
    def watches_accounts(self) -> bool:
        """Whether the other leads of an account are looked at."""
        return self.accounts and "account" in self.families

    @property
    def knows_agents(self) -> bool:
        """Whether events of named agents are left out."""
        return self.traffic is not None and bool(self.traffic.agents)

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

    def type_code(self, event_type: str) -> int:
        """The code of a named type on a tape; ``other`` has the one beyond the vocabulary."""
        return len(self.event_types) if event_type == OTHER else self.event_types.index(event_type)

    def without(self, names: Collection[str]) -> FeatureSet:
        """Leave features out, and what only they needed: columns of the leads, pairs, values, whole families.

        The values of the others stay the same.

        Parameters
        ----------
        names : collection of str
            Features; names that are none are passed over.
        """
        kept = [f for f in self.features if f.name not in names]
        families = {f.family for f in kept}
        fields_kept = {f.criterion for f in kept if f.family in _OF_FIELDS}
        starts = {f.name.rpartition(".")[0] for f in kept if f.family == "pairs"}
        return replace(
            self,
            attributes=tuple(a for a in self.attributes if a.name in fields_kept),
            valued_types=self.valued_types if "value" in families else (),
            pairs=tuple(pair for pair in self.pairs if pair.name in starts),
            families=tuple(name for name in self.families if name in families),
            left_out=(*self.left_out, *(f.name for f in self.features if f.name in names)),
        )

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
        pairs = tuple(Pair(**pair) for pair in plain.pop("pairs", ()))
        traffic = plain.pop("traffic", None)
        rules = None if traffic is None else Traffic.from_dict(traffic)
        return cls(attributes=attributes, pairs=pairs, traffic=rules, **plain)

    def diff(self, other: FeatureSet) -> tuple[str, ...]:
        """Say in plain sentences how another feature set differs; empty where it computes the same.

        Parameters
        ----------
        other : FeatureSet
            The newer one: what only it has is "added".
        """
        sentences = []
        for field in fields(self):
            before, after = getattr(self, field.name), getattr(other, field.name)
            if before != after:
                sentences.append(_difference(field.name.replace("_", " "), before, after))
        return tuple(sentences)

    def dictionary(self) -> str:
        """Describe every feature in plain words, as a Markdown table."""
        rows = (f"| {_cell(f.name)} | {_cell(f.description)} | {f.unit} | {f.group} |" for f in self.features)
        return "\n".join(["| feature | meaning | unit | group |", "|---|---|---|---|", *rows, ""])


def _difference(what: str, before: Any, after: Any) -> str:
    if not isinstance(before, tuple):
        return f"{what.capitalize()}: {before!r} became {after!r}."
    changes = [_listed("added", [v for v in after if v not in before])]
    changes.append(_listed("removed", [v for v in before if v not in after]))
    return f"{what.capitalize()}: {'; '.join(filter(None, changes)) or 'another order'}."


def _listed(what: str, values: list[Any]) -> str:
    return f"{what} {', '.join(map(_named, values))}" if values else ""


def _named(value: Any) -> str:
    if isinstance(value, Attribute):
        return f"'{value.name}' ({value.kind}, {value.source})"
    if isinstance(value, Pair):
        return f"'{value.first}' > '{value.then}' within {value.within_days} days"
    return repr(value)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")
