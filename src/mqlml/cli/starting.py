"""Commands for the first day: settings from exports or a database, and whether this machine can run mqlml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mqlml import show
from mqlml.cli.common import json_option, steps, tell_result
from mqlml.errors import DataRefused, EngineError

__all__ = ["COMMANDS"]


@click.command()
@click.argument("place", default=".")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", help="For a database: where settings go.")
@click.option("--leads", metavar="FILE", help="The file (or table) with one row a lead, where it is not recognised.")
@click.option("--outcome", metavar="COLUMN", help="The column of the leads that says what became of them.")
@click.option("--created", "created_at", metavar="COLUMN", help="The column of the leads that says when they came in.")
@click.option("--won", multiple=True, metavar="VALUE", help="A value that means won; may be repeated.")
@click.option("--lost", multiple=True, metavar="VALUE", help="A value that means lost; may be repeated.")
@click.option("--timezone", metavar="ZONE", help="Zone of times that name none, such as Europe/Berlin.")
@click.option(
    "--date-order", type=click.Choice(["dmy", "mdy"]), help="How to read 03/04/2026, where the files do not tell."
)
@click.option("--match-email", is_flag=True, help="People with the same e-mail address are the same person.")
@click.option("--force", is_flag=True, help="Replace settings that are there already.")
@click.option("--tables-only", is_flag=True, help="Make the tables anew from newer exports; settings stay.")
@json_option
def init(*, place: str, out: Path | None, force: bool, tables_only: bool, as_json: bool, **wishes: Any) -> int:
    """Look at exports or a database and propose commented settings: mqlml.toml.

    PLACE is a folder of exports, one file, or postgresql://USER@HOST/DATABASE; without it, the current folder.
    Recognises CSV, Parquet and DuckDB files, and the layouts of Salesforce, HubSpot, Dynamics 365 and Marketo. Says
    what it assumed and what a person must decide. Ends with 3 where no leads or no outcome are found.

    \b
    Example: mqlml init exports --timezone Europe/Berlin && mqlml check --config exports/mqlml.toml
    Example: mqlml init postgresql://reader@db.example/crm --out crm
    """
    from mqlml.workflows.initialising import Wishes, initialise

    with steps() as progress:
        progress.begin("Looking at the exports")
        done = initialise(place, wishes=Wishes(**wishes), out=out, force=force, tables_only=tables_only).to_dict()
    tell_result(done, show.started(done), as_json=as_json)
    return DataRefused.exit_code if done["problems"] else 0


@click.command()
@click.option(
    "--config", "config_path", default="mqlml.toml", show_default=True, help="Settings; looked at where they exist."
)
@json_option
def doctor(*, config_path: str, as_json: bool) -> int:
    """Say whether this machine can run mqlml: versions, threads, disk, cache, Java, MLflow.

    Ends with 5 where something keeps it from working.

    \b
    Example: mqlml doctor --json
    """
    from mqlml.workflows.examining import examine

    checks = [check.to_dict() for check in examine(Path(config_path))]
    healthy = all(check["state"] != "bad" for check in checks)
    tell_result({"healthy": healthy, "checks": checks}, show.doctor(checks), as_json=as_json)
    return 0 if healthy else EngineError.exit_code


COMMANDS = (
    init,
    doctor,
)
