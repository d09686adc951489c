"""Synthetic events, leads and marks for the tape benchmark: the same bytes every time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAY = 86_400_000_000
START = 1_704_067_200_000_000  # 2024-01-01
DAYS, WEEKS, SNAPSHOTS = 365, 26, 3
SHARES = {
    "page_view": 35,
    "email_open": 20,
    "email_click": 10,
    "pricing_page": 6,
    "form": 5,
    "login": 5,
    "download": 5,
    "call": 4,
    "webinar": 3,
    "chat": 3,
    "demo": 2,
    "trade_fair": 2,
}
TYPES = tuple(SHARES)
PAIRS, PAIR_DAYS = tuple(pairwise(TYPES[:11])), 7  # one type follows another within so many days
CHANNELS = ("web", "email", "ads", "events", "partner", "phone")
ASSETS = 2_000
LEADS_PER_ACCOUNT = 4
_MOMENT = pa.timestamp("us", tz="UTC")
_CHUNK = 1_000_000


def make(folder: Path, *, events: int, leads: int, text_ids: bool) -> None:
    """Write events.parquet, leads.parquet and marks.parquet unless they are there."""
    if (folder / "marks.parquet").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    ids = pa.array([f"00Q{i * 2_654_435_761 % 2**32:010d}" for i in range(leads)] if text_ids else range(leads))
    activity = np.cumsum(random.lognormal(0, 1.2, leads))
    with pq.ParquetWriter(folder / "events.parquet", _event_schema(ids.type), compression="zstd") as writer:
        for start in range(0, events, _CHUNK):
            writer.write_table(_events(random, ids, activity / activity[-1], min(_CHUNK, events - start)))
    pq.write_table(_leads(random, ids), folder / "leads.parquet", compression="zstd")
    pq.write_table(_marks(random, ids), folder / "marks.parquet", compression="zstd")


def _event_schema(ids: pa.DataType) -> pa.Schema:
    columns = {"lead_id": ids, "occurred_at": _MOMENT, "event_type": pa.string(), "value": pa.float64()}
    return pa.schema({**columns, "channel": pa.string(), "asset": pa.string()}.items())


def _events(random: np.random.Generator, ids: pa.Array, activity: np.ndarray, rows: int) -> pa.Table:
    """Events in no order: few leads do most, few pages are seen most, a fifth has a value, some have no asset."""
    lead = np.minimum(np.searchsorted(activity, random.random(rows)), len(ids) - 1)
    kind = random.choice(len(TYPES), rows, p=np.array(list(SHARES.values())) / 100)
    asset = (ASSETS * random.random(rows) ** 3).astype(np.int64)
    columns = [
        ids.take(pa.array(lead)),
        pa.array(START + 1_000_000 * random.integers(0, DAYS * 86_400, rows), _MOMENT),
        pa.array(TYPES).take(pa.array(kind)),
        pa.array(np.round(random.gamma(2, 50, rows)), mask=random.random(rows) > 0.2),
        pa.array(CHANNELS).take(pa.array(random.integers(0, len(CHANNELS), rows))),
        pa.array([f"/page/{i}" for i in range(ASSETS)]).take(pa.array(asset, mask=random.random(rows) < 0.4)),
    ]
    return pa.table(columns, schema=_event_schema(ids.type))


def _leads(random: np.random.Generator, ids: pa.Array) -> pa.Table:
    n = len(ids)
    return pa.table(
        {
            "lead_id": ids,
            "account_id": pa.array([f"A{i // LEADS_PER_ACCOUNT}" for i in range(n)]),
            "created_at": pa.array(np.full(n, START), _MOMENT),
            "outcome": pa.array(["won", "lost"]).take(pa.array(random.integers(0, 2, n))),
            "decided_at": pa.array(np.full(n, START + DAYS * DAY), _MOMENT),
        }
    )


def _marks(random: np.random.Generator, ids: pa.Array) -> pa.Table:
    """Three of the last 26 week starts for every lead."""
    weeks = np.argsort(random.random((len(ids), WEEKS)), axis=1)[:, :SNAPSHOTS]
    at = START + (DAYS - 7 * WEEKS + 7 * np.sort(weeks, axis=1)) * DAY
    lead = np.repeat(np.arange(len(ids)), SNAPSHOTS)
    return pa.table({"lead_id": ids.take(pa.array(lead)), "at": pa.array(at.ravel(), _MOMENT)})
