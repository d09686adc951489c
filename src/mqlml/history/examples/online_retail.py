"""Online Retail II: new customers as leads, invoices as events, the second order as the win."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.examples.public import PublicSet, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

SETTINGS = """\
# Online Retail II in mqlml's data contract: which new customer will order again?
# Source: Chen, D., Online Retail II, UCI Machine Learning Repository, doi 10.24432/C5CG6D,
# https://archive.ics.uci.edu/dataset/502/online+retail+ii, CC BY 4.0. Changed: turned into leads, events and outcomes.
# A lead is a customer whose first order is of 2010-03-01 or later (the data begin three months before, so that old
# customers are not taken for new ones); won = the first further order.
# Times are the shop's clock, written as UTC.
# Try: mqlml train --as-of 2011-06-01, then mqlml score --as-of 2011-09-01

[leads]
path = "leads.parquet"
timezone = "UTC"
known_at_creation = ["country"]

[outcomes]
path = "outcomes.parquet"
won = ["won"]
lost = []                          # nobody is ever marked lost: open at the end of a mature horizon is "not won"

[events]
path = "events.parquet"            # orders and cancellations, value in pounds; customers go on buying after the win

[label]
horizon_days = 90                  # orders again within 90 days?

[snapshots]
every_days = 7
max_age_days = 120

[policy]
capacity_per_week = 10             # customers that can be called a week; some 45 new ones come in
"""

_INVOICES = """
CREATE TEMP TABLE invoices AS
SELECT CustomerID::INT::VARCHAR AS lead_id, InvoiceNo, min(InvoiceDate)::TIMESTAMP AS occurred_at,
    min(number) AS number, round(sum(Quantity * UnitPrice), 2)::DOUBLE AS value, InvoiceNo LIKE 'C%' AS cancels,
    arg_min(Country, number) AS country
FROM (SELECT * REPLACE (InvoiceNo::VARCHAR AS InvoiceNo), row_number() OVER () AS number FROM online_retail_ii)
WHERE CustomerID IS NOT NULL
GROUP BY ALL"""

_CUSTOMERS = """
CREATE TEMP TABLE customers AS
SELECT lead_id, min(occurred_at) AS created_at, arg_min(country, (occurred_at, number)) AS country
FROM invoices WHERE NOT cancels GROUP BY lead_id HAVING created_at >= TIMESTAMP '2010-03-01'"""

_LEADS = "SELECT lead_id, created_at, country FROM customers ORDER BY lead_id"

_EVENTS = """
SELECT lead_id, occurred_at, CASE WHEN cancels THEN 'cancellation' ELSE 'order' END AS event_type, value,
    InvoiceNo AS asset
FROM invoices SEMI JOIN customers USING (lead_id) ORDER BY number"""

_OUTCOMES = """
SELECT lead_id, 'won' AS outcome, min(occurred_at) AS decided_at, arg_min(value, (occurred_at, number)) AS value
FROM invoices JOIN customers USING (lead_id)
WHERE NOT cancels AND occurred_at > created_at GROUP BY lead_id ORDER BY lead_id"""


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table]]:
    connection.execute(_INVOICES)
    connection.execute(_CUSTOMERS)
    yield "leads", query(connection, _LEADS)
    yield "events", query(connection, _EVENTS)
    yield "outcomes", query(connection, _OUTCOMES)


SET = PublicSet(
    name="online-retail",
    folder="online_retail_ii",
    files={"online_retail_ii": ("InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")},
    url="https://archive.ics.uci.edu/dataset/502/online+retail+ii",
    licence="CC BY 4.0",
    settings=SETTINGS,
    convert=_convert,
)
