"""Commands that show what was learned."""

from __future__ import annotations

from pathlib import Path

import click

from mqlml import show
from mqlml.cli.common import config_option, json_option, load, model_option, steps, tell_result

__all__ = ["COMMANDS"]


@click.command()
@config_option
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="HTML file. Default: beside the bundle.")
@json_option
def report(*, config_path: str, model: str | None, out: Path | None, as_json: bool) -> None:
    """Write the report of a bundle again; prints its path.

    \b
    Example: mqlml report --out report.html
    """
    from mqlml.workflows.reporting import report as run

    path = run(load(config_path), out=out, model=model)
    tell_result({"report": str(path)}, str(path), as_json=as_json)


@click.command()
@config_option
@model_option
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file. Default: print it.")
def features(*, config_path: str, model: str | None, out: Path | None) -> None:
    """Say what each feature of a bundle means, as a Markdown table.

    \b
    Example: mqlml features --out features.md
    """
    from mqlml.workflows.reporting import features as run

    text = run(load(config_path), out=out, model=model)
    click.echo(text.rstrip("\n") if out is None else str(out))


@click.command()
@config_option
@model_option
@click.option(
    "--out", type=click.Path(path_type=Path), help=".csv to paste, .md for a wiki, .txt. Default: the screen."
)
@json_option
def scorecard(*, config_path: str, model: str | None, out: Path | None, as_json: bool) -> None:
    """Show the model as at most 12 rules with points, for tools that cannot run a model.

    \b
    Example: mqlml scorecard --out scorecard.csv
    """
    from mqlml.workflows.carding import scorecard as run

    card, text = run(load(config_path), model=model, out=out)
    tell_result(card, text if out is None else str(out), as_json=as_json)


@click.command()
@click.option("--leads", default=12_000, show_default=True, type=click.IntRange(1_000, 1_000_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder.")
@json_option
def demo(*, leads: int, seed: int, out: Path, as_json: bool) -> None:
    """Go the whole way once on a made-up history: train, score, explain, report.

    \b
    Example: mqlml demo --leads 5000 --out demo
    """
    from mqlml.workflows.demonstrating import demonstrate

    with steps() as progress:
        done = demonstrate(out, leads=leads, seed=seed, progress=progress)
    facts = {
        "folder": str(done.folder),
        "tables": dict(done.tables),
        "bundle": str(done.trained.bundle),
        "report": str(done.trained.report),
        "scores": str(done.scored.out),
        "verdict": done.trained.summary["verdict"],
        "mqls": done.scored.manifest["mqls"],
    }
    tell_result(facts, show.demonstrated(done), as_json=as_json)


COMMANDS = (
    report,
    features,
    scorecard,
    demo,
)
