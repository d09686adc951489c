"""What was collected from extracts of the leads, read together with the field history that is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqlml.config import Changes
from mqlml.history.facts import CHANGES, Circumstances, read_facts
from mqlml.history.files import Raw, open_source
from mqlml.history.session import quoted

if TYPE_CHECKING:
    from collections.abc import Set

    from mqlml.config import Config
    from mqlml.history.findings import Findings
    from mqlml.history.session import Session

__all__ = ["CHANGES_FILE", "EXTRACT_FILE", "open_collected", "read_collected"]

CHANGES_FILE, EXTRACT_FILE = "changes.parquet", "extract.parquet"
"""What was collected, in the form of ``[history]``; and the last extract, to compare the next one with."""

_COLUMNS = (*(field.name for field in CHANGES), "has_old_value")


def open_collected(session: Session, findings: Findings, config: Config) -> Raw | None:
    """Open the table that ``[history] collect`` has filled so far; None where there is none."""
    if config.history is None or config.history.collect is None:
        return None
    path = config.path(config.history.collect) / CHANGES_FILE
    if not path.exists():
        return None
    source = Changes(path=str(path.resolve()))
    return open_source(session, findings, section="collected", source=source, root=config.root)


def read_collected(session: Session, findings: Findings, raw: Raw, *, around: Circumstances, made: Set[str]) -> bool:
    """Add what was collected to the relation ``changes``, or make it; True when it was used.

    A field that the delivered history tells too is taken from there alone: it knows when a value changed, a comparison
    of extracts only by when.
    """
    if not raw.rows_in:
        return False
    source = Changes(path=raw.file)
    done = read_facts(
        session, findings, raw, source=source, fields=CHANGES, table="collected", time="changed_at", around=around
    )
    if not done:
        return False
    columns = ", ".join(map(quoted, _COLUMNS))
    if "changes" not in made:
        session.run(f"CREATE VIEW changes AS SELECT {columns} FROM collected")
        return True
    delivered = session.one("SELECT table_type AS kind FROM information_schema.tables WHERE table_name = 'changes'")
    kind = "VIEW" if delivered["kind"] == "VIEW" else "TABLE"
    session.run(f"ALTER {kind} changes RENAME TO delivered_changes")
    both = [
        "FROM delivered_changes",
        "FROM collected WHERE field NOT IN (SELECT DISTINCT field FROM delivered_changes)",
    ]
    session.run(f"CREATE VIEW changes AS {' UNION ALL '.join(f'SELECT {columns} {part}' for part in both)}")
    return True
