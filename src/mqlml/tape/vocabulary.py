"""Which features to compute is learned from the past: the types, assets and channels that are worth a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mqlml.tape.columns import OTHER, RESERVED, Attribute
from mqlml.tape.engine import Use, remote_tape
from mqlml.tape.features import DEFAULT_FAMILIES, FAMILIES, FeatureSet
from mqlml.tape.traffic import Traffic, learn_traffic

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History


def learn_feature_set(
    history: History, config: Config, *, until: datetime | None, attributes: Sequence[str]
) -> FeatureSet:
    """Choose the features from what was known strictly before ``until``.

    Parameters
    ----------
    history : History
    config : Config
        ``[features]`` gives families, windows, half-lives, the length of a pause between sessions and how many event
        types, assets and channels get features of their own; ``[events]`` the types made by sales and the column that
        says who can be tracked; ``[leads] timezone`` whose days and hours count.
    until : datetime or None
        Moment with a zone; ``None`` in a history without dates.
    attributes : sequence of str
        Columns that may be used. One that occurs anywhere in the field history is never taken from the leads table,
        whose value may be younger than the snapshot.

    Returns
    -------
    FeatureSet
        Without pairs: these are chosen by what they tell of the outcome.
    """
    from mqlml.tape import local

    dated = history.leads["created_at"].null_count < history.leads.num_rows
    every = local.count_event_types(history, until=until) if dated else []
    traffic = learn_traffic(config.events.machines, every) if config.events and dated else None
    dropped = _dropped_types(config, traffic)
    counts = [c for c in every if c.event_type not in dropped]
    kept, other = _named({c.event_type: c.events for c in counts}, config.features.max_event_types, of=len(counts))
    with _known_events(history, until, dropped if counts else None) as events:
        assets, used = events("asset"), events("channel")
    named_assets, other_assets = _named(_lasting(assets), config.features.max_assets, of=len(assets))
    counted = {name: use.events for name, use in used.items()}
    channels, other_channels = _named(counted, config.features.max_channels, of=len(used))
    changed = local.changed_fields(history)
    return FeatureSet(
        event_types=kept,
        windows_days=tuple(sorted(set(config.features.windows_days))),
        half_lives_days=tuple(sorted(set(config.features.half_lives_days))),
        attributes=tuple(_attribute(name, history.attributes, changed) for name in attributes),
        other=other,
        valued_types=_valued_types(counts, kept),
        dropped_types=dropped,
        assets=any(c.assets for c in counts),
        age=dated,
        named_assets=named_assets,
        other_assets=other_assets,
        channels=channels,
        other_channels=other_channels,
        families=_families(config),
        stages=dated and _has_stages(history, until),
        accounts=dated and _has_colleagues(history, until),
        zone=config.leads.timezone or "UTC",
        session_gap_minutes=config.features.session_gap_minutes,
        tracked=config.events.tracked if config.events else None,
        traffic=traffic,
    )


def _dropped_types(config: Config, traffic: Traffic | None) -> tuple[str, ...]:
    """Types made by sales, and opened mails, unless they are wanted."""
    if config.events is None:
        return ()
    off = {*config.events.by_sales, *(traffic.opens if traffic else ())}
    return tuple(sorted(off.difference(config.events.use)))


def _families(config: Config) -> tuple[str, ...]:
    chosen = config.features.families
    return DEFAULT_FAMILIES if chosen is None else tuple(name for name in FAMILIES if name in chosen)


def _named(counts: dict[str, int], most: int, *, of: int) -> tuple[tuple[str, ...], bool]:
    """The most frequent names, ties by name, and whether any of all names are left over."""
    ranked = sorted((name for name in counts if name not in RESERVED), key=lambda name: (-counts[name], name))
    return tuple(ranked[:most]), of > len(ranked[:most])


def _lasting(uses: dict[str, Use]) -> dict[str, int]:
    """Counts of the assets that will be there tomorrow: in use for more than half of the past, and still.

    What a page of last spring's campaign told says nothing of leads that can no longer open it: on OULAD, where each
    course brings its own pages, naming them made forecasts worse (docs/decisions/015).
    """
    begin, end = min((u.first for u in uses.values()), default=0), max((u.last for u in uses.values()), default=0)
    middle, late = begin + (end - begin) // 2, end - (end - begin) // 5
    return {name: use.events for name, use in uses.items() if use.first <= middle and use.last >= late}


@contextmanager
def _known_events(history: History, until: datetime | None, dropped: Sequence[str] | None) -> Iterator[Any]:
    """Count the events of known leads by a column, as far as they were known; ``None``: there are none."""
    remote = remote_tape(history)

    def count(column: str) -> dict[str, Use]:
        if dropped is None:
            return {}
        if remote is not None:
            return remote.count_names(column, until=until, without=dropped)
        query = f"""
            SELECT {column}, count(*), epoch_us(min(occurred_at)), epoch_us(max(occurred_at))
            FROM events SEMI JOIN vocabulary_leads USING (lead_id)
            WHERE {column} IS NOT NULL AND event_type IS NOT NULL AND NOT list_contains($dropped, event_type)
              AND ($until IS NULL OR (occurred_at < $until AND (recorded_at IS NULL OR recorded_at < $until)))
            GROUP BY ALL
        """
        given = {"dropped": list(dropped), "until": _naive(until)}
        return {row[0]: Use(*row[1:]) for row in history.connection.execute(query, given).fetchall()}

    history.connection.register("vocabulary_leads", history.leads.select(["lead_id"]))
    try:
        yield count
    finally:
        history.connection.unregister("vocabulary_leads")


def _has_stages(history: History, until: datetime | None) -> bool:
    if "stages" not in history.tables:
        return False
    query = "SELECT 1 FROM stages WHERE stage IS NOT NULL AND ($1 IS NULL OR entered_at < $1) LIMIT 1"
    return bool(history.connection.execute(query, [_naive(until)]).fetchall())


def _has_colleagues(history: History, until: datetime | None) -> bool:
    leads = history.leads
    if until is not None:
        leads = leads.filter(pc.less(leads["created_at"], pa.scalar(until, leads.schema.field("created_at").type)))
    accounts = leads["account_id"].drop_null()
    return len(accounts) > len(accounts.unique())


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _valued_types(counts: Sequence[Any], kept: Sequence[str]) -> tuple[str, ...]:
    valued = {c.event_type if c.event_type in kept else OTHER for c in counts if c.values}
    return tuple(name for name in (*kept, OTHER) if name in valued)


def _attribute(name: str, table: pa.Table, changed: frozenset[str]) -> Attribute:
    number = name in table.column_names and pa.types.is_floating(table.schema.field(name).type)
    return Attribute(name, "number" if number else "category", "history" if name in changed else "creation")
