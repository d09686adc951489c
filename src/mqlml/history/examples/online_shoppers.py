"""Online Shoppers Purchasing Intention: visits to a shop, without any date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.examples.public import PublicSet, grouped, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

SETTINGS = """\
# Online Shoppers Purchasing Intention in mqlml's data contract: which visit ends in a purchase?
# Source: Sakar, Polat, Katircioglu, Kastro (2019), Neural Computing and Applications 31, doi 10.1007/s00521-018-3523-0;
# UCI doi 10.24432/C5F88Q, https://archive.ics.uci.edu/dataset/468/online+shoppers+purchasing+intention+dataset,
# CC BY 4.0. Changed: lead_id was added, coded columns became text, Revenue became the outcome.
# Page counts and seconds are totals at the end of the visit, so this is a look back, not a forecast.

[leads]
path = "leads.parquet"
created_at = ""                    # no dates at all: one row a visit, judged by cross-validation
account_id = "equal_inputs"        # visits with equal columns stay in one fold, or the test would know them already
known_at_creation = [
    "Administrative", "Administrative_Duration", "Informational", "Informational_Duration", "ProductRelated",
    "ProductRelated_Duration", "BounceRates", "ExitRates", "SpecialDay", "Month", "OperatingSystems", "Browser",
    "Region", "TrafficType", "VisitorType", "Weekend",
]
exclude = [
    "PageValues",                  # computed from completed purchases; remove this line to see the leak audit name it
]

[outcomes]
path = "outcomes.parquet"
won = ["won"]
lost = ["lost"]

[policy]
cost = 1.0                         # a voucher costs 1 ...
value = 5.0                        # ... and a purchase brings 5: offer it from a chance of 20 % on
"""

_CODES = ("OperatingSystems", "Browser", "Region", "TrafficType")

_LEADS = """
SELECT * EXCLUDE (Revenue) REPLACE ({codes}, lower(Weekend::VARCHAR) = 'true' AS Weekend)
FROM visits ORDER BY lead_id"""

_OUTCOMES = """
SELECT lead_id, CASE WHEN lower(Revenue::VARCHAR) = 'true' THEN 'won' ELSE 'lost' END AS outcome
FROM visits ORDER BY lead_id"""


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table]]:
    visits = grouped("online_shoppers_intention", prefix="visit", digits=5, without=("PageValues", "Revenue"))
    connection.execute(f"CREATE TEMP TABLE visits AS {visits}")
    codes = ", ".join(f"'code ' || {column}::VARCHAR AS {column}" for column in _CODES)
    yield "leads", query(connection, _LEADS.format(codes=codes))
    yield "outcomes", query(connection, _OUTCOMES)


SET = PublicSet(
    name="online-shoppers",
    folder="online_shoppers",
    files={"online_shoppers_intention": ("PageValues", "Month", "Weekend", "Revenue", *_CODES)},
    url="https://archive.ics.uci.edu/dataset/468/online+shoppers+purchasing+intention+dataset",
    licence="CC BY 4.0",
    settings=SETTINGS,
    convert=_convert,
)
