"""CRM Sales Opportunities: deals of a fictitious company, with dirty keys and nothing to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.examples.public import PublicSet, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

SETTINGS = """\
# CRM Sales Opportunities in mqlml's data contract: which deal is won?
# Source: Maven Analytics Data Playground, https://mavenanalytics.io/data-playground/crm-sales-opportunities; reported
# as public domain by those who mirror it. A fictitious company: an honest model finds next to nothing here.
# Changed: accounts, products and teams were joined to the deals; GTXPro became GTX Pro (1,480 deals would not have
# joined), technolgy became technology, Philipines became Philippines; the value of lost deals (0) became empty.
# 500 deals that were never engaged have no date and are left out. Open deals stay open: open is not lost.
# Try: mqlml train --as-of 2018-01-01

[leads]
path = "leads.parquet"
timezone = "UTC"
known_at_creation = [
    "sales_agent", "manager", "regional_office", "product", "series", "sales_price", "sector", "year_established",
    "revenue", "employees", "office_location", "subsidiary_of",
]

[outcomes]
path = "outcomes.parquet"          # the month of decided_at gives the outcome away: it is a time, never a feature
won = ["won"]
lost = ["lost"]

# No [label] horizon_days: what counts is the final outcome of closed deals. The account is filled in when a deal
# closes (1,088 open deals have none), so with a horizon "no account" would give away that a deal is not won.

[snapshots]
every_days = 7
max_age_days = 140                 # the longest deal took 138 days

[policy]
capacity_per_week = 30             # deals that can be worked on a week; some 130 are engaged
"""

_DEALS = """
CREATE TEMP TABLE deals AS
SELECT opportunity_id AS lead_id, account AS account_id, engage_date::TIMESTAMP AS created_at,
    sales_agent, manager, regional_office, product, series, sales_price::DOUBLE AS sales_price,
    CASE sector WHEN 'technolgy' THEN 'technology' ELSE sector END AS sector,
    year_established::DOUBLE AS year_established, revenue::DOUBLE AS revenue, employees::DOUBLE AS employees,
    CASE office_location WHEN 'Philipines' THEN 'Philippines' ELSE office_location END AS office_location,
    subsidiary_of, number, deal_stage, close_date, close_value
FROM (SELECT * REPLACE (CASE product WHEN 'GTXPro' THEN 'GTX Pro' ELSE product END AS product),
        row_number() OVER () AS number FROM sales_pipeline)
LEFT JOIN accounts USING (account) LEFT JOIN products USING (product) LEFT JOIN sales_teams USING (sales_agent)
WHERE engage_date IS NOT NULL"""

_LEADS = "SELECT * EXCLUDE (number, deal_stage, close_date, close_value) FROM deals ORDER BY number"

_OUTCOMES = """
SELECT lead_id, lower(deal_stage) AS outcome, close_date::TIMESTAMP AS decided_at,
    CASE WHEN deal_stage = 'Won' THEN close_value::DOUBLE END AS value
FROM deals WHERE deal_stage IN ('Won', 'Lost') ORDER BY number"""


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table]]:
    connection.execute(_DEALS)
    yield "leads", query(connection, _LEADS)
    yield "outcomes", query(connection, _OUTCOMES)


SET = PublicSet(
    name="crm-sales",
    folder="crm_sales",
    files={
        "sales_pipeline": (
            "opportunity_id",
            "sales_agent",
            "product",
            "account",
            "deal_stage",
            "engage_date",
            "close_date",
            "close_value",
        ),
        "accounts": ("account", "sector", "year_established", "revenue", "employees", "office_location"),
        "products": ("product", "series", "sales_price"),
        "sales_teams": ("sales_agent", "manager", "regional_office"),
    },
    url="https://mavenanalytics.io/data-playground/crm-sales-opportunities",
    licence="reported as public domain; confirm on the page",
    settings=SETTINGS,
    convert=_convert,
)
