"""Hotel booking demand: bookings as leads, kept or cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.examples.public import PublicSet, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

SETTINGS = """\
# Hotel booking demand in mqlml's data contract: which booking will be kept?
# Source: Antonio, de Almeida, Nunes (2019), Data in Brief 22:41-49, doi 10.1016/j.dib.2018.11.126, CC BY 4.0.
# Changed: lead_id and created_at (day of arrival minus lead_time) were added, is_canceled became the outcome, agent
# and company became text.
# won = kept (not cancelled), decided at noon of reservation_status_date, since only its day is known.
# The data are sampled by arrival: of the last bookings, those for a far day are missing.
# Try: mqlml train --as-of 2017-01-01

[leads]
path = "leads.parquet"
timezone = "UTC"
known_at_creation = [              # written down when the room was booked
    "hotel", "lead_time", "arrival_date_month", "arrival_date_week_number", "arrival_date_day_of_month",
    "stays_in_weekend_nights", "stays_in_week_nights", "adults", "children", "babies", "meal", "market_segment",
    "distribution_channel", "is_repeated_guest", "previous_bookings_not_canceled", "reserved_room_type", "agent",
    "company", "customer_type", "total_of_special_requests",
    "previous_cancellations",      # strong, yet honest: it counts earlier bookings
]
exclude = [                        # remove a line to see what the leak audit says about it
    "reservation_status",          # is the outcome
    "reservation_status_date",     # is the time of the outcome
    "required_car_parking_spaces", # settled at arrival: nobody with a place ever cancelled
    "assigned_room_type",          # set at check-in
    "booking_changes",             # counted until the end
    "days_in_waiting_list",        # known only some time after booking
    "country",                     # corrected at check-in
    "deposit_type",                # suspicious: 99 % of 'Non Refund' are cancelled; a person has to decide
    "adr",                         # suspicious: the final price, 0 for many that were kept
    "arrival_date_year",           # names the period, not the guest
]

[outcomes]
path = "outcomes.parquet"
won = ["won"]
lost = ["lost"]

# No [label] horizon_days: what counts is the final outcome, whenever the day of arrival is.

[snapshots]
every_days = 7
max_age_days = 740                 # the longest booking lies 737 days ahead

[policy]
capacity_per_week = 150            # bookings that can be confirmed by telephone a week; some 700 come in
"""

_BOOKINGS = """
CREATE TEMP TABLE bookings AS
SELECT 'booking-' || lpad(number::VARCHAR, 6, '0') AS lead_id,
    (strptime(concat_ws(' ', arrival_date_year, arrival_date_month, arrival_date_day_of_month), '%Y %B %d')::DATE
        - lead_time::INT)::TIMESTAMP AS created_at,
    * EXCLUDE (number) REPLACE (agent::INT::VARCHAR AS agent, company::INT::VARCHAR AS company)
FROM (SELECT *, row_number() OVER () AS number FROM hotel_bookings) ORDER BY number"""

_OUTCOMES = """
SELECT lead_id, CASE WHEN is_canceled = 0 THEN 'won' ELSE 'lost' END AS outcome,
    reservation_status_date::TIMESTAMP + INTERVAL 12 HOUR AS decided_at
FROM bookings ORDER BY lead_id"""


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table]]:
    connection.execute(_BOOKINGS)
    yield "leads", query(connection, "SELECT * EXCLUDE (is_canceled) FROM bookings ORDER BY lead_id")
    yield "outcomes", query(connection, _OUTCOMES)


SET = PublicSet(
    name="hotel",
    folder="hotel_bookings",
    files={
        "hotel_bookings": (
            "is_canceled",
            "lead_time",
            "arrival_date_year",
            "arrival_date_month",
            "arrival_date_day_of_month",
            "agent",
            "company",
            "reservation_status_date",
        )
    },
    url="https://doi.org/10.1016/j.dib.2018.11.126",
    licence="CC BY 4.0",
    settings=SETTINGS,
    convert=_convert,
)
