"""Commands that bring a history and look at it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mqlml import show
from mqlml.cli.common import as_of_option, config_option, json_option, load, steps, tell_result, tell_tables
from mqlml.errors import DataRefused

__all__ = ["COMMANDS"]

EXAMPLES = ("oulad", "online-retail", "bank-marketing", "online-shoppers", "salvirt", "hotel", "crm-sales")


@click.command()
@click.option("--leads", default=20_000, show_default=True, type=click.IntRange(1_000, 10_000_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--out", type=click.Path(path_type=Path), default=Path("sample"), show_default=True, help="Folder.")
@json_option
def sample(*, leads: int, seed: int, out: Path, as_json: bool) -> None:
    """Write a made-up B2B history to try everything on.

    \b
    Example: mqlml sample --leads 5000 --out sample && mqlml train --config sample/mqlml.toml
    """
    from mqlml.history.sample import write_sample

    with steps() as progress:
        progress.begin(f"Writing a history of {leads:,} leads", leads)
        tables = write_sample(out, leads=leads, seed=seed, progress=lambda done, _: progress.reach(done))
    tell_tables(out, tables, as_json=as_json)


@click.command()
@click.argument("name", type=click.Choice(EXAMPLES))
@click.option("--source", type=click.Path(path_type=Path), help="Folder of the downloaded files.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("example"), show_default=True, help="Folder.")
@json_option
def example(*, name: str, source: Path | None, out: Path, as_json: bool) -> None:
    """Turn a public data set into tables and settings mqlml reads.

    Without --source it says where to get the data.

    \b
    Example: mqlml example oulad --source downloads --out oulad
    """
    from mqlml.history.examples import write_example

    with steps() as progress:
        progress.begin(f"Converting {name}")
        tables = write_example(name, source=source, out=out)
    tell_tables(out, tables, as_json=as_json)


@click.command()
@config_option
@as_of_option
@click.option(
    "--previous",
    type=click.Path(path_type=Path),
    help="An earlier extract of the leads: finds columns that were changed since.",
)
@json_option
def check(*, config_path: str, as_of: str | None, previous: Path | None, as_json: bool) -> int:
    """Look at a history as a training would: what is usable, what gives the outcome away, whether it suffices.

    Ends with 3 where a training would be refused.

    \b
    Example: mqlml check --previous ../2026-09/leads.parquet
    """
    from mqlml.workflows.checking import check as run

    with steps() as progress:
        progress.begin("Checking the history")
        found = run(load(config_path), as_of=as_of, previous=previous)
    tell_result(found, show.check(found, shlex.quote(config_path)), as_json=as_json)
    return DataRefused.exit_code if found["problems"] else 0


COMMANDS = (
    sample,
    example,
    check,
)
