"""Small histories in a folder, and reading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.config import Config
from mqlml.history.contract import History, TableAccount
from mqlml.history.reading import read_history

LEADS = (
    "lead_id,created_at,source,employees\n"
    "007,2024-01-01T08:00:00Z,web,10\n"
    "1e5,2024-01-02T08:00:00Z,NA,20\n"
    "null,2024-01-03T08:00:00Z,,\n"
)
OUTCOMES = "lead_id,outcome,decided_at\n007,won,2024-02-01T00:00:00Z\n1e5,lost,2024-02-02T00:00:00Z\nnull,,\n"
EVENTS = (
    "lead_id,occurred_at,event_type,value\n007,2024-01-01T09:00:00Z,visit,1.5\n1e5,2024-01-02T10:00:00+02:00,visit,\n"
)

Content = str | bytes | pa.Table


def at(text: str) -> datetime:
    """Write a UTC moment short."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def write(folder: Path, files: dict[str, Content]) -> None:
    """Write texts, bytes and (as Parquet) tables into a folder."""
    for name, content in files.items():
        if isinstance(content, pa.Table):
            pq.write_table(content, folder / name)
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def configured(folder: Path, **sections: Any) -> Config:
    """Configure leads.csv and outcomes.csv of a folder, with further sections and keys."""
    tables = {"leads": {"path": "leads.csv"}, "outcomes": {"path": "outcomes.csv"}}
    merged = {key: tables.get(key, {}) | sections.get(key, {}) for key in {**tables, **sections}}
    return Config.of(merged, root=folder)


@contextmanager
def reading(folder: Path, files: dict[str, Content], **sections: Any) -> Iterator[History]:
    """Write files, read them, and check that every row is accounted for."""
    write(folder, files)
    with read_history(configured(folder, **sections)) as history:
        yield history
        for account in history.accounts:
            assert account.rows_in == account.used + account.quarantined + sum(account.skipped.values()), account
        assert sum(a.quarantined for a in history.accounts) == history.quarantine.num_rows


def account(history: History, table: str) -> TableAccount:
    """Find the account of a table."""
    return next(a for a in history.accounts if a.table == table)
