"""The leak audit on public data: what must be found, and what must be left in peace."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mqlml.learning.audit import AuditInput, audit_columns, usable_columns

pytestmark = pytest.mark.real_data

SUSPICIOUS = {
    "assigned_room_type",
    "booking_changes",
    "days_in_waiting_list",
    "country",
    "deposit_type",
    "adr",
    "previous_cancellations",
}


@pytest.fixture(autouse=True)
def _skip_without_data(public_data: Path) -> None:
    """Skip every test here where the public data sets are not."""


def read(*path: str) -> pa.Table:
    return pq.read_table(Path(os.environ["MQLML_DATA"], *path))


def leads_of(table: pa.Table, won: np.ndarray, *left_out: str, created: np.ndarray | None = None) -> AuditInput:
    attributes = table.drop_columns([name for name in left_out if name in table.column_names])
    for at, field in enumerate(attributes.schema):
        if pa.types.is_boolean(field.type) or pa.types.is_temporal(field.type):
            text = attributes[field.name].cast(pa.string())
            attributes = attributes.set_column(at, field.name, pc.dictionary_encode(text))
    rows = np.arange(len(won))
    return AuditInput(attributes, won.astype(float), created, -np.ones(len(won), np.int64), rows)


def hotel(*left_out: str, dated: bool = True) -> AuditInput:
    table = read("hotel_bookings", "hotel_bookings.parquet")
    months = {datetime(2000, at, 1).strftime("%B"): f"{at:02}" for at in range(1, 13)}
    day = zip(*(table[f"arrival_date_{part}"].to_pylist() for part in ("year", "month", "day_of_month")), strict=True)
    arrival = np.array([f"{y}-{months[m]}-{d:02}" for y, m, d in day], dtype="datetime64[D]")
    booked = (arrival - table["lead_time"].to_numpy()).astype("datetime64[us]").astype(np.int64)
    won = table["is_canceled"].to_numpy() == 0
    return leads_of(table, won, "is_canceled", *left_out, created=booked if dated else None)


def by_level(data: AuditInput) -> dict[str, set[str]]:
    findings = audit_columns(data, waive={})
    return {level: {f.column for f in findings if f.level == level} for level in ("block", "ask", "note")}


@pytest.mark.parametrize("dated", [True, False])
def test_audit_of_hotel_when_everything_is_given_then_finds_each_leak_and_little_else(dated):
    data = hotel(dated=dated)
    found = by_level(data)
    assert found["block"] == {"reservation_status", "reservation_status_date", "required_car_parking_spaces"}
    assert found["ask"] - {"lead_id"} >= SUSPICIOUS
    assert len(found["ask"] - {"lead_id"} - SUSPICIOUS) <= 3
    assert (
        set(data.attributes.column_names) - set(usable_columns(data, audit_columns(data, waive={}))) == found["block"]
    )


def test_audit_of_hotel_when_leaks_are_excluded_then_blocks_nothing_more():
    found = by_level(hotel("reservation_status", "reservation_status_date", "required_car_parking_spaces"))
    assert found["block"] == set()
    assert found["ask"] >= SUSPICIOUS


def test_audit_of_online_shoppers_then_names_page_values_first():
    table = read("online_shoppers", "online_shoppers_intention.parquet")
    findings = audit_columns(leads_of(table, table["Revenue"].to_numpy(), "Revenue"), waive={})
    assert findings[0].column == "PageValues"
    assert findings[0].level == "ask"
    assert "for all other columns together" in findings[0].figure


@pytest.mark.parametrize("with_duration", [True, False])
def test_audit_of_bank_marketing_then_finds_duration_and_nothing_else(with_duration):
    table = read("bank_marketing", "bank-additional-full.parquet")
    left_out = ("y", "row_order") if with_duration else ("y", "row_order", "duration")
    order = table["row_order"].to_numpy().astype(np.int64)
    found = by_level(leads_of(table, pc.equal(table["y"], "yes").to_numpy(), *left_out, created=order))
    assert found["block"] | found["ask"] == ({"duration"} if with_duration else set())


def test_audit_of_crm_sales_then_is_quiet():
    deals = read("crm_sales", "sales_pipeline.parquet")
    deals = deals.filter(pc.is_valid(deals["engage_date"]))
    deals = deals.join(read("crm_sales", "accounts.parquet"), "account").join(
        read("crm_sales", "products.parquet"), "product"
    )
    stage = deals["deal_stage"].to_numpy()
    won = np.select([stage == "Won", stage == "Lost"], [1.0, 0.0], np.nan)
    created = deals["engage_date"].to_numpy().astype("datetime64[us]").astype(np.int64)
    left_out = ("opportunity_id", "deal_stage", "engage_date", "close_date", "close_value")
    found = by_level(leads_of(deals, won, *left_out, created=created))
    assert found["block"] | found["ask"] == set()
    with_value = by_level(leads_of(deals, won, *left_out[:-1], created=created))
    assert with_value["block"] == {"close_value"}


def test_audit_of_oulad_then_is_quiet():
    leads = read("events_contract", "oulad", "leads.parquet")
    leads = leads.join(read("events_contract", "oulad", "outcomes.parquet"), "lead_id").sort_by("lead_id")
    created = leads["created_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    won = pc.equal(leads["outcome"], "won").to_numpy()
    data = leads_of(leads, won, "lead_id", "account_id", "created_at", "outcome", "decided_at", created=created)
    found = by_level(data)
    assert found["block"] | found["ask"] == set()


def test_audit_of_salvirt_then_is_quiet():
    table = read("salvirt_b2b", "salvirt_b2b.parquet")
    found = by_level(leads_of(table, pc.equal(table["Status"], "Won").to_numpy(), "Status"))
    assert found["block"] | found["ask"] - {"lead_id"} == set()
