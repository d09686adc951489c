"""Commands that watch a model in use and bring in what sales answered."""

from __future__ import annotations

from pathlib import Path

import click

from mqlml import show
from mqlml.cli.common import config_option, json_option, load, model_option, place_of, steps, tell, tell_result
from mqlml.errors import GateClosed

__all__ = ["COMMANDS"]


@click.command()
@config_option
@click.option("--as-of", metavar="DATE", required=True, help="Only what was known strictly before this date or time.")
@click.option(
    "--scores",
    multiple=True,
    help="Scores of past weeks: a file (.parquet, .csv), a folder or a postgresql:// table; may be repeated.",
)
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="Also write a page (.html).")
@json_option
def monitor(
    *, config_path: str, as_of: str, scores: tuple[str, ...], model: str | None, out: Path | None, as_json: bool
) -> int:
    """Check the model in use: promises, answers from sales, drift, freshness; ends with 4 when something alarms.

    \b
    Example: mqlml monitor --as-of 2026-06-30 --scores scores --out monitor.html
    """
    from mqlml.workflows.monitoring import monitor as run

    with steps() as progress:
        done = run(
            load(config_path),
            as_of=as_of,
            scores=[place_of(s) for s in scores],
            model=model,
            out=out,
            progress=progress,
        )
    if done.page is not None:
        tell(f"Page: {done.page}")
    facts = {**done.summary, "page": None if done.page is None else str(done.page), "run_id": done.run_id}
    tell_result(facts, show.monitored(done.summary), as_json=as_json)
    return GateClosed.exit_code if done.closed else 0


@click.group()
def handovers() -> None:
    """What sales answered to the leads it was given.

    \b
    Example: mqlml handovers import answers.csv
    """


@handovers.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@json_option
def import_(*, file: Path, config_path: str, as_json: bool) -> None:
    """Merge answers from sales (accepted, rejected with reason, first touch, override) into the table [handovers].

    A row is known by lead and time of hand-over: new ones are added, filled cells replace what stood there. Importing
    the same file again changes nothing.

    \b
    Example: mqlml handovers import answers.csv
    """
    from mqlml.workflows.importing import import_handovers

    done = import_handovers(load(config_path), file)
    tell_result(done, show.imported(done), as_json=as_json)


COMMANDS = (monitor, handovers)
