"""A planted order is found, chance is not, and rows that come later teach nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tape.conftest import EVENTS, Maker

from mqlml.learning.labels import Rows
from mqlml.learning.pairs import choose_pairs, pair_notes
from mqlml.learning.snapshots import NEVER
from mqlml.tape.features import FeatureSet, Pair

TYPES = ("web", "webinar", "mail", "form")
FEATURES = FeatureSet(event_types=TYPES, families=("count", "recency", "pairs"), windows_days=(7, 30))
LEADS, MARKS = 600, (20, 40)
HORIZON = 60


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker()


def world(maker: Maker, *, seed: int, planted: float, slope: float = 0.3) -> tuple[Any, Rows]:
    """Leads created over a year with a few events of each type in 40 days; order matters by ``planted`` log-odds."""
    rng = np.random.default_rng(seed)
    created = np.sort(rng.uniform(0, 365, LEADS))
    many = rng.poisson(2.0, (LEADS, len(TYPES)))
    lead = np.repeat(np.repeat(np.arange(LEADS), len(TYPES)), many.ravel())
    kind = np.repeat(np.tile(np.arange(len(TYPES)), LEADS), many.ravel())
    since = rng.uniform(0, 40, len(lead))
    history = maker.history(
        [{"lead_id": f"{i:04}", "created_at": maker.start + int(created[i] * maker.day)} for i in range(LEADS)],
        events=events(maker, lead, kind, created[lead] + since),
    )
    first, then = (np.flatnonzero(kind == TYPES.index(name)) for name in ("webinar", "form"))
    after = since[then][None, :] - since[first][:, None]
    one, _ = np.nonzero((lead[first][:, None] == lead[then][None, :]) & (after > 0) & (after <= 7))
    in_order = np.isin(np.arange(LEADS), lead[first[one]])
    logit = -1.2 + slope * (many[:, 1] + many[:, 3] - 4) + planted * in_order
    won = (rng.random(LEADS) < 1 / (1 + np.exp(-logit))).astype(float)
    at = maker.start + ((created[:, None] + np.array(MARKS)) * maker.day).astype(np.int64).ravel()
    who = np.repeat(np.arange(LEADS), len(MARKS))
    known = at + HORIZON * maker.day
    return history, Rows(who, at, at, known, won[who], who, "horizon")


def events(maker: Maker, lead: np.ndarray, kind: np.ndarray, day: np.ndarray) -> pa.Table:
    moments = pa.array(maker.start + (day * maker.day).astype(np.int64), pa.int64()).cast(pa.timestamp("us"))
    given = {
        "lead_id": pa.array([f"{i:04}" for i in lead]),
        "occurred_at": moments,
        "event_type": pa.array([TYPES[k] for k in kind]),
    }
    return pa.table([given.get(f.name, pa.nulls(len(lead), f.type)) for f in EVENTS], schema=EVENTS)


def chosen(maker: Maker, history: Any, rows: Rows, **settings: Any) -> tuple[Pair, ...]:
    config = maker.config(features=settings)
    return choose_pairs(history, FEATURES, rows, config, before=int(rows.known.max()) + 1, seed=0)


def test_pairs_when_an_order_is_planted_then_it_is_found_first(maker: Maker) -> None:
    found = chosen(maker, *world(maker, seed=1, planted=1.5))
    assert found[0] == Pair("webinar", "form", 7)
    assert Pair("form", "webinar", 7) not in found


def test_notes_when_pairs_were_found_then_name_them() -> None:
    assert pair_notes(()) == ()
    assert pair_notes([Pair("webinar", "form", 7)]) == (
        "Found to tell more than the two events alone: 'form' at most 7 days after 'webinar'.",
    )


def test_pairs_when_only_how_often_matters_then_none_is_found_in_nineteen_of_twenty(maker: Maker) -> None:
    found = [bool(chosen(maker, *world(maker, seed=seed, planted=0.0))) for seed in range(20)]
    assert sum(found) <= 1


def test_pairs_when_rows_come_later_then_the_choice_is_the_same(maker: Maker) -> None:
    history, rows = world(maker, seed=1, planted=1.5)
    config = maker.config()
    before = int(np.quantile(rows.known, 0.7))
    early = rows.where(rows.known < before)
    late = rows.known >= before
    other = replace(rows, won=np.where(late, 1 - rows.won, rows.won))
    choices = {choose_pairs(history, FEATURES, r, config, before=before, seed=0) for r in (early, rows, other)}
    assert len(choices) == 1
    assert choices.pop() == (Pair("webinar", "form", 7),)


def test_pairs_when_events_come_later_then_the_choice_is_the_same(maker: Maker) -> None:
    history, rows = world(maker, seed=1, planted=1.5)
    before = int(np.quantile(rows.known, 0.7))
    config = maker.config()
    first = choose_pairs(history, FEATURES, rows, config, before=before, seed=0)
    newest = int(rows.at[rows.known < before].max())
    gone = history.connection.execute(f"DELETE FROM events WHERE epoch_us(occurred_at) >= {newest}").fetchall()
    assert gone[0][0] > 100
    assert choose_pairs(history, FEATURES, rows, config, before=before, seed=0) == first


def test_pairs_when_more_rows_than_looked_at_then_whole_leads_are_drawn(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mqlml.learning.pairs._MOST_ROWS", 800)
    history, rows = world(maker, seed=1, planted=2.5)
    assert chosen(maker, history, rows)[0] == Pair("webinar", "form", 7)


@pytest.mark.parametrize("few", [{"max_pairs": 0}, {"families": ["count"]}])
def test_pairs_when_switched_off_then_none(maker: Maker, few: dict[str, Any]) -> None:
    history, rows = world(maker, seed=1, planted=1.5)
    features = replace(FEATURES, families=tuple(few.get("families", FEATURES.families)))
    config = maker.config(features=few)
    assert choose_pairs(history, features, rows, config, before=int(NEVER), seed=0) == ()


def test_pairs_when_there_is_too_little_then_none(maker: Maker) -> None:
    history, rows = world(maker, seed=1, planted=1.5)
    config = maker.config()
    undated = replace(rows, at=np.full(len(rows), NEVER))
    one = replace(FEATURES, event_types=("web",))
    assert choose_pairs(history, FEATURES, rows, config, before=None, seed=0) == ()
    assert choose_pairs(history, FEATURES, undated, config, before=int(NEVER), seed=0) == ()
    assert choose_pairs(history, one, rows, config, before=int(NEVER), seed=0) == ()
    assert choose_pairs(history, FEATURES, rows, config, before=int(rows.known.min()), seed=0) == ()
    rare = maker.config(model={"min_level_count": LEADS})
    assert choose_pairs(history, FEATURES, rows, rare, before=int(NEVER), seed=0) == ()
