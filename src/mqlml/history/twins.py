"""Several rows under one lead id: the same twice is one lead, anything else is a contradiction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.errors import shown
from mqlml.history.session import ROW, quoted

if TYPE_CHECKING:
    from mqlml.history.files import Raw
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

_ID, _COPIES = "mqlml:id", "mqlml:copies"


def refuse_conflicts(session: Session, findings: Findings, raw: Raw) -> None:
    """Rows of one id must be the same in every column of the file; name the columns that differ."""
    if (session.one("SELECT max(copies) AS n FROM raw.known")["n"] or 0) < 2:
        return
    found = session.one(_differences(raw))
    rows, count = found.pop(ROW), found.pop(_COPIES)
    if count:
        names = ", ".join(f"'{shown(name)}'" for name, differs in found.items() if differs)
        what = f"a lead has several rows that differ in {names}"
        fix = "keep one row a lead (several outcomes of a lead belong into a file of their own, [outcomes] path)"
        findings.problem("dup-lead", raw.file, what, fix, count=int(count), total=raw.rows_in, rows=rows)


def _differences(raw: Raw) -> str:
    """Per column whether any id has different values in it, the rows concerned, and the first ones."""
    names = [quoted(name) for name in raw.columns]
    row, id_, copies = quoted(ROW), quoted(_ID), quoted(_COPIES)
    twins = (
        f"SELECT r.*, l.id AS {id_} FROM raw.lead_rows AS l JOIN raw.known AS k ON k.lead_id = l.id "
        f"JOIN {raw.relation} AS r ON r.{row} = l.{row} "
        'WHERE k.copies > 1 AND l."mqlml:kept" AND l."mqlml:fault" IS NULL'
    )
    differs = ", ".join(f"(count(DISTINCT {n}) + (count({n}) < count(*))::INT) > 1 AS {n}" for n in names)
    leads = f"SELECT {differs}, min({row}) AS {row}, count(*) AS {copies} FROM ({twins}) GROUP BY {id_}"
    any_differs = ", ".join(f"bool_or({n}) AS {n}" for n in names)
    return (
        f"SELECT {any_differs}, sum({copies}) AS {copies}, list({row} ORDER BY {row})[:5] AS {row} "
        f"FROM ({leads}) WHERE {' OR '.join(names)}"
    )
