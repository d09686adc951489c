"""Bank Marketing: contacted clients of a telephone campaign, in the order they were called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.examples.public import PublicSet, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

SETTINGS = """\
# Bank Marketing (bank-additional-full) in mqlml's data contract: who subscribes a term deposit?
# Source: Moro, Cortez, Rita (2014), Decision Support Systems 62:22-31, doi 10.1016/j.dss.2014.03.001; UCI doi
# 10.24432/C5K306, https://archive.ics.uci.edu/dataset/222/bank+marketing, CC BY 4.0. Changed: lead_id and row_order
# were added, 'campaign' (which counts the current call) became 'contacts_before', pdays 999 (never) became empty.
# There are no dates, only the order of the file (May 2008 to November 2010).
# The share of subscribers grows sixteenfold along the file, so random splits flatter: order keeps the test honest.

[leads]
path = "leads.parquet"
created_at = ""                    # this history has no dates ...
order = "row_order"                # ... but the rows stand in the order of the calls
known_at_creation = [
    "job", "education", "default", "housing", "loan", "contact", "contacts_before", "pdays", "previous", "poutcome",
    "day_of_week",
]
exclude = [
    "duration",                    # seconds of the call that asked for the answer: known only after it, a plain leak
    "month", "emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed",
                                   # these name the period, not the client, and mislead forward in time
]
sensitive = ["age", "marital"]     # off as features

[outcomes]                         # no path: the outcome is a column of the leads
outcome = "y"
won = ["yes"]
lost = ["no"]

[policy]
cost = 5.0                         # a call costs 5 ...
value = 50.0                       # ... and a subscription brings 50: call from a chance of 10 % on
"""

_LEADS = """
SELECT 'client-' || lpad((number - 1)::VARCHAR, 5, '0') AS lead_id, number - 1 AS row_order,
    campaign - 1 AS contacts_before, CASE WHEN pdays <> 999 THEN pdays END AS pdays,
    * EXCLUDE ({without})
FROM (SELECT *, (row_number() OVER ())::INT AS number FROM bank_additional_full) ORDER BY number"""


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table]]:
    given = connection.table("bank_additional_full").columns
    without = ["number", "campaign", "pdays", *(["row_order"] if "row_order" in given else [])]
    yield "leads", query(connection, _LEADS.format(without=", ".join(without)))


SET = PublicSet(
    name="bank-marketing",
    folder="bank_marketing",
    files={"bank-additional-full": ("duration", "campaign", "pdays", "month", "y")},
    url="https://archive.ics.uci.edu/dataset/222/bank+marketing",
    licence="CC BY 4.0",
    settings=SETTINGS,
    convert=_convert,
)
