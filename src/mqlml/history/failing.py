"""What DuckDB's failures mean for whoever delivers the data or runs the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from mqlml.errors import DataRefused, EngineError, Problem, shown

if TYPE_CHECKING:
    from mqlml.history.session import Session

__all__ = ["as_ours"]


def as_ours(error: duckdb.Error, session: Session) -> Exception:
    """Tell a damaged file from a failing machine, and both from a bug."""
    session.close()
    text = str(error).splitlines()[0]
    if isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException)):
        return EngineError(f"DuckDB failed while reading: {text}.", hint="see whether disk and memory suffice")
    damaged = [path.name for path in session.sources if str(path) in text]
    if damaged:
        what = f"a part of the file cannot be read ({shown(text.rsplit(':', 1)[-1].strip())})"
        return DataRefused([Problem("damaged", damaged[0], what, "export the file again; it is damaged")])
    return error
