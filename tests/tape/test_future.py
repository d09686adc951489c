"""Nothing at or after a mark changes its row, whatever is added, deleted, edited or reordered there."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mqlml.tape.build import build_features
from mqlml.tape.features import FAMILIES, Attribute, FeatureSet, Pair

# Worlds of one example share a history, each with leads of its own: a history has a fixed cost.
CASES, TOGETHER = 300, 15
FEATURES = FeatureSet(
    event_types=("web",),
    windows_days=(1, 7),
    half_lives_days=(7,),
    attributes=(
        Attribute("stage", "category", "history"),
        Attribute("score", "number", "history"),
        Attribute("source", "category", "creation"),
    ),
    other=True,
    valued_types=("web", "other"),
    assets=True,
    named_assets=("x",),
    other_assets=True,
    channels=("mail",),
    pairs=(Pair("web", "other", 3), Pair("web", "web", 1)),
    families=FAMILIES,
    accounts=True,
    zone="Europe/Berlin",
)
LEADS = {"a": "acme", "b": "acme", "c": None}
MARK_DAYS = 10
BEFORE = st.one_of(st.integers(-12 * 24, -1).map(lambda hours: hours * 3_600_000_000), st.just(-1))
AFTER = st.one_of(st.integers(0, 9 * 24).map(lambda hours: hours * 3_600_000_000), st.sampled_from([0, 0, 1]))
EVENT = {
    "lead_id": st.sampled_from(["a", "a", "b", "c"]),
    "event_type": st.sampled_from(["web", "form", "new"]),
    "value": st.sampled_from([None, 0.1, 0.2, 1e16, -3.0, float("nan")]),
    "asset": st.sampled_from([None, "x", "y", "z"]),
    "channel": st.sampled_from([None, "mail"]),
}
PAST_EVENT = st.fixed_dictionaries({**EVENT, "occurred_at": BEFORE, "recorded_at": st.one_of(st.none(), BEFORE)})
FUTURE_EVENT = st.one_of(
    st.fixed_dictionaries({**EVENT, "occurred_at": AFTER, "recorded_at": st.one_of(st.none(), BEFORE, AFTER)}),
    st.fixed_dictionaries({**EVENT, "occurred_at": BEFORE, "recorded_at": AFTER}),
)
VALUES = {"stage": st.sampled_from([None, "new", "old", "won"]), "score": st.sampled_from([None, "1", "2.5", "many"])}


@dataclass(frozen=True)
class World:
    """What was known at the mark, and two versions of everything else."""

    past: list[dict[str, Any]]
    futures: tuple[list[dict[str, Any]], list[dict[str, Any]]]
    born_with: dict[tuple[str, str], str | None]
    past_changes: dict[tuple[str, str], list[tuple[int, str | None]]]
    later_changes: tuple[dict[tuple[str, str], list[tuple[int, str | None]]], ...]


PAIRS = [(lead, field) for lead in "ab" for field in VALUES]


def per_pair(moments: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """Values of every field over time: never two at one moment, so that what was replaced is known."""

    def changes(field: str) -> st.SearchStrategy[Any]:
        return st.lists(st.tuples(moments, VALUES[field]), max_size=2, unique_by=lambda change: change[0])

    return st.fixed_dictionaries({pair: changes(pair[1]) for pair in PAIRS})


WORLDS = st.builds(
    World,
    past=st.lists(PAST_EVENT, max_size=8),
    futures=st.tuples(st.lists(FUTURE_EVENT, max_size=5), st.lists(FUTURE_EVENT, max_size=5)),
    born_with=st.fixed_dictionaries({pair: VALUES[pair[1]] for pair in PAIRS}),
    past_changes=per_pair(BEFORE),
    later_changes=st.tuples(per_pair(AFTER), per_pair(AFTER)),
)


Rows = list[bytes]


def rows(make: Any, worlds: list[World], order: random.Random, *, has_old_value: bool) -> tuple[Rows, Rows]:
    """Every lead's row as bytes, in the one and the other future, with the facts in any order."""
    now = make.start + MARK_DAYS * make.day
    events, changes, leads, today = [], [], [], {}
    for number, version in itertools.product(range(len(worlds)), (0, 1)):
        name = f"{number}/{version}/"
        world = worlds[number]
        leads += [{"lead_id": name + lead, "account_id": account and name + account} for lead, account in LEADS.items()]
        events += [{**e, "lead_id": name + e["lead_id"]} for e in (*world.past, *world.futures[version])]
        steps, last = field_history(world, version, has_old_value=has_old_value)
        changes += [{**c, "lead_id": name + c["lead_id"]} for c in steps]
        today |= {(name + lead, field): value for (lead, field), value in last.items()}
    order.shuffle(events)
    order.shuffle(changes)
    history = make.history(
        leads,
        events=[moved(e, now) for e in events],
        changes=[moved(c, now) for c in changes],
        attributes={
            "stage": [today.get((lead["lead_id"], "stage")) for lead in leads],
            "score": [number_of(today.get((lead["lead_id"], "score"), "0.5")) for lead in leads],
            "source": [str(lead["account_id"] is None) for lead in leads],
        },
    )
    # A mark later on is one more thing that may not change the earlier row.
    marks = [(lead["lead_id"], now + later) for later in (0, make.day) for lead in leads]
    made = build_features(history, make.marks(*marks), FEATURES).slice(0, len(leads)).drop_columns(["lead_id", "at"])
    by_row = [b"|".join(row) for row in zip(*(encoded(column) for column in made.columns), strict=True)]
    of_version = [lead["lead_id"].split("/")[1] for lead in leads]
    one, other = ([row for row, v in zip(by_row, of_version, strict=True) if v == version] for version in "01")
    return one, other


def field_history(world: World, version: int, *, has_old_value: bool) -> tuple[list[Any], dict[Any, str | None]]:
    """The changes as a field history tells them, and the values it ends with."""
    changes, today = [], dict(world.born_with)
    for pair in PAIRS:
        steps = sorted([*world.past_changes[pair], *world.later_changes[version][pair]], key=lambda step: step[0])
        for changed_at, value in steps:
            row = {"lead_id": pair[0], "field": pair[1], "changed_at": changed_at, "value": value}
            old = {"old_value": today[pair] if has_old_value else None, "has_old_value": has_old_value}
            changes.append({**row, **old})
            today[pair] = value
    return changes, today


def moved(row: dict[str, Any], now: int) -> dict[str, Any]:
    times = ("occurred_at", "recorded_at", "changed_at")
    return {name: v + now if name in times and v is not None else v for name, v in row.items()}


def number_of(text: str | None) -> float | None:
    return float(text) if text not in (None, "many") else None


def encoded(column: pa.ChunkedArray) -> list[bytes]:
    if pa.types.is_dictionary(column.type):
        return [repr(value).encode() for value in column.to_pylist()]
    return [value.tobytes() for value in np.asarray(column.to_numpy())]


@settings(max_examples=CASES // TOGETHER, deadline=None, derandomize=True, database=None)
@given(
    worlds=st.lists(WORLDS, min_size=TOGETHER, max_size=TOGETHER),
    order=st.randoms(use_true_random=False),
    has_old_value=st.booleans(),
)
def test_row_when_the_future_is_another_then_the_same_bytes(
    make: Any, worlds: list[World], order: random.Random, has_old_value: bool
) -> None:
    one, other = rows(make, worlds, order, has_old_value=has_old_value)
    assert one == other
