"""The leads alone, without what happened to them: today's extract, or an earlier one of the same form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import duckdb

from mqlml.config import Policy, Snapshots
from mqlml.errors import DataRefused
from mqlml.history.failing import as_ours
from mqlml.history.files import open_source
from mqlml.history.findings import Findings
from mqlml.history.leads import as_delivered, finish_leads, only_columns, read_leads
from mqlml.history.outcomes import outcome_columns
from mqlml.history.reading import open_table, read_identities, refuse
from mqlml.history.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from mqlml.config import Config, Source
    from mqlml.history.attributes import AttributeKind

__all__ = ["read_extract"]


def read_extract(
    config: Config, path: Path | None = None, *, kinds: Mapping[str, AttributeKind] | None = None
) -> tuple[pa.Table, pa.Table]:
    """Read nothing but the leads, of today or from another file of the same form such as last month's extract.

    Parameters
    ----------
    config : Config
        Names the columns of ids and creation.
    path : Path, optional
        By default that of ``[leads]``, whose ``where`` and ``exclude`` hold then, and ``[suppress]`` too.
    kinds : mapping of str to {"number", "category"}, optional
        The attributes to read, where the file has them; by default all that are neither excluded nor sensitive.

    Returns
    -------
    tuple of two pa.Table
        ``leads`` and ``attributes`` as a History has them.

    Raises
    ------
    DataRefused
        The file cannot be used.
    """
    session, findings = Session.open(), Findings()
    try:
        leads = config.leads if path is None else as_delivered(config.leads, path)
        config = config.model_copy(update={"leads": leads, "snapshots": Snapshots(), "policy": Policy()})
        raws = {"leads": open_source(session, findings, section="leads", source=leads, root=config.root)}
        for section in ("links", "suppress"):
            source: Source | None = getattr(config, section)
            wanted = path is None and source is not None
            raws[section] = (
                open_table(session, findings, section, source, config.root, None) if wanted and source else None
            )
        session.harden()
        read_identities(session, findings, config, raws)
        rows = None
        if (raw := raws["leads"]) is not None:
            bare = config.model_copy(update={"leads": only_columns(leads, raw, kinds)})
            taken = outcome_columns(config, raw) if path is None else ()
            rows = read_leads(session, findings, raw, config=bare, outcome_columns=taken, kinds=kinds)
        if rows is None:
            raise DataRefused(findings.problems)
        found = finish_leads(session, findings, rows)
        refuse(session, findings)
    except duckdb.Error as error:
        raise as_ours(error, session) from error
    finally:
        session.close()
    return found
