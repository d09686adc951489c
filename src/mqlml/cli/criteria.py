"""Commands about what marketing and sales agree on: criteria to review, what decisions changed, the MQL definition."""

from __future__ import annotations

from pathlib import Path

import click

from mqlml.cli.common import config_option, json_option, load, model_option, tell_result
from mqlml.show import criteria as texts

__all__ = ["COMMANDS"]


@click.group(invoke_without_command=True)
@config_option
@model_option
@json_option
@click.pass_context
def criteria(context: click.Context, *, config_path: str, model: str | None, as_json: bool) -> None:
    """Show the criteria that people are asked to review; 'criteria diff' compares decisions or models.

    \b
    Those that carry 90 % of the weight, at most 20; once the model in use has been reviewed, only new or reversed ones.
    Example: mqlml criteria --model 2026-06-30-0123456789ab
    """
    if context.invoked_subcommand is not None:
        return
    from mqlml.workflows.reviewing import required

    found = required(load(config_path), model=model)
    tell_result(found, texts.required(found), as_json=as_json)


@criteria.command()
@click.argument("old")
@click.argument("new")
@config_option
@json_option
def diff(old: str, new: str, *, config_path: str, as_json: bool) -> None:
    """Say what changed from OLD to NEW: each a criteria.toml, or the version or path of a bundle.

    \b
    Between bundles also what each decision cost or gained, and which criteria are new, reversed, drifted or minor now.
    Example: mqlml criteria diff 2026-03-31-0123456789ab 2026-06-30-ba9876543210
    """
    from mqlml.workflows.reviewing import diff as run

    found = run(load(config_path), old, new)
    tell_result(found, texts.diff(found), as_json=as_json)


@click.command()
@config_option
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file. Default: print it.")
def definition(*, config_path: str, model: str | None, out: Path | None) -> None:
    """Write the MQL definition that marketing and sales sign, as Markdown.

    \b
    Example: mqlml definition --out mql.md
    """
    from mqlml.workflows.reporting import definition as run

    text = run(load(config_path), out=out, model=model)
    click.echo(text.rstrip("\n") if out is None else str(out))


COMMANDS = (
    criteria,
    definition,
)
