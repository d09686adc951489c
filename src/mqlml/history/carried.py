"""Columns of the leads that nobody learns from and that lists for people carry along, such as an e-mail address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from mqlml.history.columns import report_missing
from mqlml.history.leads import USED
from mqlml.history.session import ROW, quoted

if TYPE_CHECKING:
    from mqlml.config import Handoff
    from mqlml.history.contract import History
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

__all__ = ["carried_columns", "keep_columns"]


def keep_columns(session: Session, findings: Findings, raw: Raw, handoff: Handoff) -> None:
    """Make ``carried(lead_id, c0, c1, ...)``, as text, of the columns that ``[handoff]`` names."""
    keys = {handoff.recipient: "recipient", handoff.consent: "consent"}
    missing = [name for name in handoff.carried if name not in raw.columns]
    for name in missing:
        report_missing(findings, raw, key=f"[handoff] {keys.get(name, 'columns')}", name=name)
    if missing:
        return
    columns = "".join(f", r.{quoted(name)}::VARCHAR AS c{i}" for i, name in enumerate(handoff.carried))
    session.run(
        f"CREATE TABLE carried AS SELECT k.lead_id{columns} FROM {raw.relation} AS r "
        f"JOIN raw.known AS k ON k.row = r.{quoted(ROW)} WHERE k.status = {USED}"
    )


def carried_columns(history: History, names: Sequence[str], lead_ids: pa.Array) -> pa.Table:
    """The kept columns of some leads.

    Parameters
    ----------
    history : History
    names : sequence of str
        ``Handoff.carried``.
    lead_ids : pa.Array of string

    Returns
    -------
    pa.Table
        The columns under their own names, as text, row for row as ``lead_ids``.
    """
    columns = "".join(f", c.c{i} AS c{i}" for i in range(len(names)))
    wanted = pa.table({"lead_id": lead_ids, "place": pa.array(range(len(lead_ids)), pa.int64())})
    history.connection.register("handed_ids", wanted)
    try:
        found = history.connection.sql(
            f"SELECT w.place{columns} FROM handed_ids AS w LEFT JOIN carried AS c ON c.lead_id = w.lead_id "
            "ORDER BY w.place"
        ).to_arrow_table()
    finally:
        history.connection.unregister("handed_ids")
    return found.select([f"c{i}" for i in range(len(names))]).rename_columns(list(names))
