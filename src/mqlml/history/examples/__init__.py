"""Public data sets turned into the data contract, each with an explained ``mqlml.toml``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mqlml.errors import UsageError
from mqlml.history.examples import (
    bank_marketing,
    crm_sales,
    hotel,
    online_retail,
    online_shoppers,
    oulad,
    salvirt,
)
from mqlml.history.writing import refuse_other_text, write_table, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mqlml.history.examples.public import PublicSet

__all__ = ["EXAMPLES", "write_example"]

EXAMPLES: Mapping[str, PublicSet] = {
    one.name: one
    for one in (
        oulad.SET,
        online_retail.SET,
        bank_marketing.SET,
        online_shoppers.SET,
        salvirt.SET,
        hotel.SET,
        crm_sales.SET,
    )
}
"""The public sets by the name the command line knows them by."""


def write_example(name: str, *, source: Path | None, out: Path) -> dict[str, int]:
    """Turn one public data set into the data contract.

    Parameters
    ----------
    name : str
        A key of `EXAMPLES`.
    source : Path or None
        Folder with the set's files (Parquet or CSV), or the folder above it.
    out : Path
        Folder for the tables and ``mqlml.toml``.

    Returns
    -------
    dict of str to int
        Rows of each table.

    Raises
    ------
    UsageError
        The name is unknown; the files are not there (the message says where to get them); ``out`` holds other settings.
    DataRefused
        A file is not the publisher's.
    EngineError
        Writing failed.
    """
    public = _named(name)
    refuse_other_text(out / "mqlml.toml", public.settings)
    rows = {}
    for table, content in public.tables(source):
        rows[table] = write_table(content, out / f"{table}.parquet")
    write_text(out / "mqlml.toml", public.settings)
    return rows


def _named(name: str) -> PublicSet:
    if name in EXAMPLES:
        return EXAMPLES[name]
    near = difflib.get_close_matches(name, EXAMPLES, n=1, cutoff=0.4)
    raise UsageError(
        f"There is no example '{name}'.",
        hint=f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(EXAMPLES)}",
    )
