"""Commands that score leads."""

from __future__ import annotations

from collections.abc import Sequence
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
    model_option,
    place_of,
    steps,
    tell,
    tell_result,
)

__all__ = ["COMMANDS"]


@click.command()
@config_option
@as_of_option
@model_option
@click.option(
    "--out",
    help=".parquet, .csv, .duckdb, a folder, or postgresql://user@host/base#table. "
    "Default: the first of [output] scores.",
)
@click.option(
    "--previous",
    help="Earlier scores (Parquet, or the newest in a postgresql:// table): `change` compares with them.",
)
@engine_options
@click.option("--no-reasons", is_flag=True, help="Leave reasons and grades empty; faster.")
@click.option(
    "--contributions", type=click.Path(path_type=Path), help="Also write every contribution (.parquet, .csv)."
)
@click.option(
    "--handoff",
    type=click.Path(path_type=Path),
    help="Folder for lists of who is new, stays and leaves, one a recipient. Default: that of [handoff].",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Folder in which checked events are kept; the next run then reads only files that are new in the folder "
    "[events] path. Default: [output] state.",
)
@json_option
def score(
    *,
    config_path: str,
    as_of: str | None,
    model: str | None,
    out: str | None,
    previous: str | None,
    no_reasons: bool,
    contributions: Path | None,
    handoff: Path | None,
    state: Path | None,
    as_json: bool,
    **engine: Any,
) -> None:
    """Score every open lead as of a moment; prints the path of the scores.

    \b
    Example: mqlml score --as-of 2026-06-30 --out scores.parquet
    Reading only files of events that are new: mqlml score --as-of 2026-06-30 --out scores.parquet --state state
    """
    from mqlml.workflows.scoring import score as run

    with steps() as progress:
        done = run(
            load(config_path),
            out=None if out is None else place_of(out),
            as_of=as_of,
            model=model,
            previous=None if previous is None else place_of(previous),
            reasons=not no_reasons,
            contributions=contributions,
            handoff=handoff,
            engine=engine_of(**engine),
            state=state,
            progress=progress,
        )
    tell(show.scored(done.manifest, done.state))
    facts = {"out": str(done.out), **done.manifest, **({} if done.state is None else {"state": done.state})}
    tell_result(facts, str(done.out), as_json=as_json)


@click.command()
@click.argument("lead_id")
@config_option
@as_of_option
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="HTML file: the same as a card that opens offline.")
@json_option
def explain(
    *, lead_id: str, config_path: str, as_of: str | None, model: str | None, out: Path | None, as_json: bool
) -> None:
    """Tell one lead's story: its chance, what raises and lowers it, how it came about, what would change it.

    \b
    Example: mqlml explain L0001234 --as-of 2026-06-30 --out card.html
    """
    from mqlml.workflows.explaining import explain as run

    found = run(load(config_path), lead_id, as_of=as_of, model=model, out=out)
    tell_result(found, show.explained(found) if out is None else str(out), as_json=as_json)


@click.command()
@click.argument("lead_id")
@config_option
@click.option("--also", multiple=True, metavar="PLACE", help="Another file, folder or postgresql:// table to look in.")
@json_option
def forget(*, lead_id: str, config_path: str, also: Sequence[str], as_json: bool) -> None:
    """Erase a person from all that is kept, and keep them from being learned from or scored again.

    \b
    Example: mqlml forget 0042 --also contributions.parquet
    """
    from mqlml.workflows.forgetting import forget as run

    found = run(load(config_path), lead_id, also=also)
    tell_result(found, show.forgotten(found), as_json=as_json)


COMMANDS = (
    score,
    explain,
    forget,
)
