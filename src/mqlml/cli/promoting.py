"""Commands that compare bundles, put one in use, and go back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mqlml import show
from mqlml.cli.common import (
    as_of_option,
    config_option,
    engine_of,
    engine_options,
    json_option,
    load,
    steps,
    tell,
    tell_result,
)
from mqlml.errors import GateClosed

__all__ = ["COMMANDS"]

_author_option = click.option("--author", metavar="NAME", help="Who wants it; for the record.")
_reason_option = click.option("--reason", metavar="TEXT", help="Why; for the record.")


@click.command()
@click.argument("old")
@click.argument("new")
@config_option
@as_of_option
@click.option(
    "--previous",
    type=click.Path(path_type=Path),
    help="Earlier scores by OLD (Parquet): tells what new facts moved, and what the new model.",
)
@click.option("--out", type=click.Path(path_type=Path), help=".parquet or .csv: each candidate, what moved it and why.")
@engine_options
@json_option
def compare(
    *,
    old: str,
    new: str,
    config_path: str,
    as_of: str | None,
    previous: Path | None,
    out: Path | None,
    as_json: bool,
    **engine: Any,
) -> None:
    """Compare two bundles on the same past weeks, and say who enters and leaves the list of MQLs.

    OLD and NEW are bundles' paths or versions, or the words champion and challenger.

    \b
    Example: mqlml compare champion challenger --as-of 2026-06-30 --out moves.csv
    """
    from mqlml.workflows.comparing import compare as run

    with steps() as progress:
        found = run(
            load(config_path),
            old,
            new,
            as_of=as_of,
            previous=previous,
            out=out,
            engine=engine_of(**engine),
            progress=progress,
        )
    tell_result(found, show.compared(found), as_json=as_json)


@click.command()
@click.argument("model", required=False)
@config_option
@as_of_option
@click.option("--reviewed-by", metavar="NAME", help="Who read its report, and answers the audit's questions.")
@click.option("--force", is_flag=True, help="Although gates are closed; needs --author and --reason.")
@_author_option
@_reason_option
@engine_options
@json_option
def promote(
    *,
    model: str | None,
    config_path: str,
    as_of: str | None,
    reviewed_by: str | None,
    force: bool,
    author: str | None,
    reason: str | None,
    as_json: bool,
    **engine: Any,
) -> int:
    """Put MODEL (by default the challenger) in use, if it is not worse, calibrated, audited and reviewed.

    Ends with 4 where a gate is closed, and says what opens it.

    \b
    Example: mqlml promote --as-of 2026-06-30 --reviewed-by "A. Lee" --author "B. Roy"
    """
    from mqlml.workflows.promoting import promote as run

    with steps() as progress:
        found = run(
            load(config_path),
            model,
            as_of=as_of,
            author=author,
            reason=reason,
            reviewed_by=reviewed_by,
            force=force,
            at=_now(),
            engine=engine_of(**engine),
            progress=progress,
        )
    tell(show.promoted(found))
    tell_result(found, found["champion"], as_json=as_json)
    return 0 if found["promoted"] else GateClosed.exit_code


@click.command()
@config_option
@_author_option
@_reason_option
@json_option
def rollback(*, config_path: str, author: str | None, reason: str | None, as_json: bool) -> None:
    """Put the bundle that was in use before in use again, in one step; prints its version.

    \b
    Example: mqlml rollback --author "B. Roy" --reason "too many MQLs from one campaign"
    """
    from mqlml.workflows.returning import rollback as run

    found = run(load(config_path), author=author, reason=reason, at=_now())
    tell(show.rolled_back(found))
    tell_result(found, found["champion"], as_json=as_json)


@click.command()
@config_option
@as_of_option
@engine_options
@json_option
def retrain(*, config_path: str, as_of: str | None, as_json: bool, **engine: Any) -> int:
    """Train, compare with the bundle in use and stop at the gates; prints the new bundle's path. For schedulers.

    Ends with 0 where every gate is open (put in use only with [promotion] automatic = true), with 4 where one is
    closed: the challenger waits then, and the bundle in use stays.

    \b
    Example: mqlml retrain --as-of 2026-06-30 --json
    """
    from mqlml.workflows.promoting import retrain as run

    with steps() as progress:
        found = run(load(config_path), as_of=as_of, at=_now(), engine=engine_of(**engine), progress=progress)
    tell(show.retrained(found))
    tell_result(found, found["bundle"], as_json=as_json)
    return GateClosed.exit_code if found["outcome"] == "stopped" else 0


def _now() -> str:
    """The moment of a change, for the record alone; no result depends on it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


COMMANDS = (
    compare,
    promote,
    rollback,
    retrain,
)
