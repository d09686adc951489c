"""PostgreSQL: tables and queries read in batches, scores written in one transaction."""

from __future__ import annotations

from mqlml.history.postgres.address import Address, is_postgres
from mqlml.history.postgres.erasing import delete_rows
from mqlml.history.postgres.fetching import Fetched, fetch
from mqlml.history.postgres.listing import Listed, list_tables
from mqlml.history.postgres.upserting import Incoming, place_of, upsert

__all__ = [
    "Address",
    "Fetched",
    "Incoming",
    "Listed",
    "delete_rows",
    "fetch",
    "is_postgres",
    "list_tables",
    "place_of",
    "upsert",
]
