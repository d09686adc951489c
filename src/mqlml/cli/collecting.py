"""The command that collects what changed from one extract of the leads to the next."""

from __future__ import annotations

import click

from mqlml import show
from mqlml.cli.common import config_option, json_option, load, tell_result

__all__ = ["COMMANDS"]


@click.command()
@config_option
@click.option("--as-of", metavar="DATE", required=True, help="When the extract of the leads was made.")
@json_option
def collect(*, config_path: str, as_of: str, as_json: bool) -> None:
    """Compare the leads with the extract before, and keep what changed in [history] collect.

    `mqlml score` does it by itself; this is for the days without scoring. The same extract again adds nothing.

    \b
    Example: mqlml collect --as-of 2026-06-30
    """
    from mqlml.workflows.collecting import collect as run

    done = run(load(config_path), as_of=as_of)
    tell_result(done, show.collected(done), as_json=as_json)


COMMANDS = (collect,)
