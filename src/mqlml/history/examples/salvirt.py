"""Salvirt B2B sales: a few hundred opportunities of a software company, without any date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.history.examples.public import PublicSet, grouped, query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

SETTINGS = """\
# Salvirt B2B sales in mqlml's data contract: which opportunity is won?
# Source: Bohanec, Kljajic Borstnar, Robnik-Sikonja (2017), Expert Systems with Applications 71:416-428,
# doi 10.1016/j.eswa.2016.11.010, https://huggingface.co/datasets/markobo/B2B_Sales_data, CC BY 4.0 on its card.
# Changed: lead_id and equal_inputs were added.
# 448 rows are few: expect wide intervals and a simple model.

[leads]
path = "leads.parquet"
created_at = ""                    # no dates at all: one row an opportunity, judged by cross-validation
account_id = "equal_inputs"        # made from the columns: rows with equal inputs share one, so that they stay in one
                                   # fold; otherwise the test would hold rows the model has already seen
known_at_creation = [
    "Product", "Seller", "Authority", "Comp_size", "Competitors", "Purch_dept", "Partnership", "Budgt_alloc",
    "Forml_tend", "RFI", "RFP", "Growth", "Source", "Scope", "Strat_deal", "Cross_sale", "Deal_type", "Needs_def",
    "Att_t_client",
]
exclude = [
    "Posit_statm", "Up_sale", "Client",   # judged close to the outcome: sellers may have filled them in afterwards
]

[outcomes]                         # no path: the outcome is a column of the leads
outcome = "Status"
won = ["Won"]
lost = ["Lost"]

[policy]
cost = 2.0                         # working on an opportunity costs 2 ...
value = 5.0                        # ... and a win brings 5: worth it from a chance of 40 % on
"""

_CLOSE_TO_OUTCOME = ("Posit_statm", "Up_sale", "Client", "Status")


def _convert(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pa.Table]]:
    sql = grouped("salvirt_b2b", prefix="opportunity", digits=3, without=_CLOSE_TO_OUTCOME)
    yield "leads", query(connection, f"{sql} ORDER BY lead_id")


SET = PublicSet(
    name="salvirt",
    folder="salvirt_b2b",
    files={"salvirt_b2b": ("Product", "Seller", *_CLOSE_TO_OUTCOME)},
    url="https://huggingface.co/datasets/markobo/B2B_Sales_data",
    licence="CC BY 4.0",
    settings=SETTINGS,
    convert=_convert,
)
