"""Machine traffic: which events no person made, told from what was known by the time each of them was.

Mail scanners open letters within seconds of their sending and follow every link; crawlers and scripts call page after
page. Whether an event counts depends only on facts that happened no later than it and were recorded no later than it,
so that nothing that comes later changes what an earlier moment sees. The first links of a scanner therefore count: when
they were followed, nothing told them from a person's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mqlml.config import Machines
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.local import TypeCount

__all__ = ["RULES", "Tally", "Traffic", "learn_traffic", "rules_in_force", "tape_codes", "traffic_notes"]

RULES = ("agent", "open", "links", "burst")
"""The rules by their place in the kernel's counts; where two hold for an event the earlier one takes the blame."""

_MAIL = ("email", "mail", "newsletter", "emailing", "mailing")
_VERBS = {
    "sends": ("sent", "send", "delivered"),
    "opens": ("open", "opened", "opens"),
    "clicks": ("click", "clicked", "clicks", "linkclick", "linkclicked", "clickedlinkin"),
}
_ALSO = {"sends": (), "opens": (), "clicks": ("linkclick", "linkclicked")}
_OPENS_OFF = "Opened mails: off, since machines open most of them"
# Where this share of the times are whole hours, they tell days rather than seconds; likewise whole minutes.
_COARSE_SHARE = 0.9
_DAY_SECONDS, _MINUTE_SECONDS = 86_400, 60


@dataclass(frozen=True)
class Traffic:
    """Rules against machine traffic, as learned with a feature set; 0 or () is off.

    Parameters
    ----------
    sends, opens, clicks : tuple of str
        Event types: mails sent, opened, and links followed.
    open_within_seconds : int
        An open at most so long after a send to the same lead is not counted.
    links, links_within_seconds : int
        A click is not counted when it is at least the ``links``-th different link that the lead followed within the
        seconds up to it; a click without an asset is a link of its own.
    burst_events, burst_seconds : int
        An event is not counted when the lead had ``burst_events`` others within the seconds up to it.
    agents : tuple of str
        Parts of the names of machines: events whose ``agent`` contains one, in whatever case, are not counted.
    coarse : tuple of str
        Rules that are off because times are whole minutes, hours or days and cannot tell what they ask.
    """

    sends: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()
    clicks: tuple[str, ...] = ()
    open_within_seconds: int = 0
    links: int = 0
    links_within_seconds: int = 0
    burst_events: int = 0
    burst_seconds: int = 0
    agents: tuple[str, ...] = ()
    coarse: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Traffic:
        """Make the rules from their plain JSON form.

        Raises
        ------
        TypeError
            A key is unknown.
        """
        plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return cls(**plain)

    @property
    def agent_pattern(self) -> str:
        """A regular expression (without flags) that finds any of the agents, for RE2 and for Java."""
        return "|".join(re.sub(r"([^0-9A-Za-z_ \u0080-\U0010ffff])", r"\\\1", name) for name in self.agents)


@dataclass
class Tally:
    """What the rules changed, added up over tapes; only leads that have a mark are counted.

    Parameters
    ----------
    rules : dict of str to list of int
        By the rule in words: events it looked at, events not counted, leads with at least one of these.
    """

    rules: dict[str, list[int]] = field(default_factory=dict)

    def add(self, rule: str, seen: int, dropped: int, leads: int) -> None:
        """Count one rule on leads that were not counted before."""
        line = self.rules.setdefault(rule, [0, 0, 0])
        self.rules[rule] = [a + b for a, b in zip(line, (seen, dropped, leads), strict=True)]

    def add_counts(self, features: FeatureSet, counts: npt.NDArray[np.int64]) -> None:
        """Count a tape; ``counts`` is what ``drop_machines`` returned: one row for each of ``RULES``."""
        for name, words in rules_in_force(features).items():
            self.add(words, *(int(value) for value in counts[RULES.index(name)]))

    def add_dropped(self, counts: tuple[int, int]) -> None:
        """Count opens that are not looked at at all: their number and that of their leads."""
        self.add(_OPENS_OFF, counts[0], *counts)

    def lines(self) -> list[dict[str, Any]]:
        """One line a rule in force: ``rule``, ``seen``, ``dropped``, ``share`` (0..1, None of nothing), ``leads``."""
        return [
            {"rule": rule, "seen": seen, "dropped": dropped, "share": dropped / seen if seen else None, "leads": leads}
            for rule, (seen, dropped, leads) in self.rules.items()
        ]

    @property
    def notes(self) -> tuple[str, ...]:
        """One plain sentence where anything was left out."""
        parts = [
            f"{rule[0].lower()}{rule[1:]}: {dropped:,} of {seen:,} (of {leads:,} leads)"
            for rule, (seen, dropped, leads) in self.rules.items()
            if dropped and rule != _OPENS_OFF  # the feature set's own note says so
        ]
        return (f"Not counted, since machines make such events: {'; '.join(parts)}.",) if parts else ()


def learn_traffic(machines: Machines, counts: Sequence[TypeCount]) -> Traffic:
    """Settle the rules for the event types that training knows.

    Parameters
    ----------
    machines : Machines
    counts : sequence of TypeCount
        Every type known at training, those made by sales included.

    Returns
    -------
    Traffic
        A rule that asks for seconds is off where the times of its events are coarser.
    """
    given = {role: getattr(machines, role) for role in _VERBS}
    named = {name for names in given.values() for name in names or ()}
    others = [c.event_type for c in counts if c.event_type not in named]
    names = {
        role: _recognised(role, others) if own is None else tuple(dict.fromkeys(own)) for role, own in given.items()
    }
    pools = {
        "open": (machines.open_within_seconds, names["opens"]),
        "links": (machines.links_within_seconds, names["clicks"]),
        "burst": (machines.burst_seconds, [c.event_type for c in counts]),
    }
    coarse = tuple(rule for rule, (span, types) in pools.items() if _resolution(types, counts) > span)
    links, burst = "links" not in coarse, "burst" not in coarse
    return Traffic(
        **names,
        open_within_seconds=0 if "open" in coarse else machines.open_within_seconds,
        links=machines.links if links else 0,
        links_within_seconds=machines.links_within_seconds if links else 0,
        burst_events=machines.burst_events if burst else 0,
        burst_seconds=machines.burst_seconds if burst else 0,
        agents=machines.agents if machines.agent else (),
        coarse=coarse,
    )


def rules_in_force(features: FeatureSet) -> dict[str, str]:
    """What each rule that can apply leaves out, in words, by its name in ``RULES``."""
    traffic = features.traffic or Traffic()
    words = {}
    if traffic.agents:
        words["agent"] = "Events of named agents (scanners, crawlers, scripts)"
    if traffic.sends and traffic.open_within_seconds and _used(traffic.opens, features):
        words["open"] = f"Opens within {_seconds(traffic.open_within_seconds)} of a send"
    if traffic.links and traffic.links_within_seconds and _used(traffic.clicks, features):
        span = _seconds(traffic.links_within_seconds)
        words["links"] = f"Clicks from the {_ordinal(traffic.links)} different link within {span} on"
    if traffic.burst_events and traffic.burst_seconds:
        words["burst"] = f"Events of a lead beyond {traffic.burst_events:,} within {_seconds(traffic.burst_seconds)}"
    return words


def tape_codes(features: FeatureSet) -> dict[str, int]:
    """Code of each event type on the tape; every type that is not named here has ``len(features.event_types)``.

    Types that only a rule needs have codes beyond that one, which ``drop_machines`` takes away again; -1 is not on the
    tape at all.
    """
    codes = {name: place for place, name in enumerate(features.event_types)}
    codes |= dict.fromkeys(features.dropped_types, -1)
    for name in _needed(features):
        if codes.get(name, -1) < 0:
            codes[name] = len(features.event_types) + 1 + sum(c > len(features.event_types) for c in codes.values())
    return codes


def traffic_notes(features: FeatureSet) -> Iterator[str]:
    """Say what a reader should know about opens, and about rules that cannot work on these data."""
    traffic = features.traffic or Traffic()
    if features.dropped_opens:
        names = ", ".join(repr(name) for name in features.dropped_opens)
        yield (
            f"Opened mails are not used as features, since machines open most of them: {names}; name them in [events] "
            "use to change that."
        )
    elif traffic.opens and traffic.open_within_seconds and not traffic.sends:
        yield "Opened mails are used, and no event says when one was sent: opens by machines cannot be told."
    if traffic.coarse:
        words = {"open": "opens after a send", "links": "links in a row", "burst": "bursts"}
        named = ", ".join(words[rule] for rule in traffic.coarse)
        yield f"Times of events are too coarse to tell machines by them: the rules for {named} are off."


def _used(types: Sequence[str], features: FeatureSet) -> tuple[str, ...]:
    return tuple(name for name in types if name not in features.dropped_types)


def _needed(features: FeatureSet) -> Iterator[str]:
    """Types that must be told apart on the tape: opens and clicks that are looked at, and the sends before opens."""
    rules, traffic = rules_in_force(features), features.traffic or Traffic()
    if "open" in rules:
        yield from (*traffic.sends, *_used(traffic.opens, features))
    if "links" in rules:
        yield from _used(traffic.clicks, features)


def _recognised(role: str, types: Sequence[str]) -> tuple[str, ...]:
    words = {*_ALSO[role], *(text for verb in _VERBS[role] for mail in _MAIL for text in (mail + verb, verb + mail))}
    return tuple(sorted(name for name in types if re.sub(r"[\W_]", "", name.lower()) in words))


def _resolution(types: Sequence[str], counts: Sequence[TypeCount]) -> int:
    """Seconds between times that the events of some types can tell apart."""
    found = [c for c in counts if c.event_type in types]
    enough = _COARSE_SHARE * sum(c.events for c in found)
    if not enough:
        return 0
    if sum(c.whole_hours for c in found) >= enough:
        return _DAY_SECONDS
    return _MINUTE_SECONDS if sum(c.whole_minutes for c in found) >= enough else 1


def _seconds(seconds: int) -> str:
    return f"{seconds:,} second" if seconds == 1 else f"{seconds:,} seconds"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third", 4: "fourth", 5: "fifth"}.get(number, f"{number}th")
