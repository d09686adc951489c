"""Commands that learn, choose thresholds and test them on the past."""

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
    steps,
    tell,
    tell_result,
)
from mqlml.errors import UsageError

__all__ = ["COMMANDS"]

_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@config_option
@as_of_option
@engine_options
@json_option
def train(*, config_path: str, as_of: str | None, as_json: bool, **engine: Any) -> None:
    """Learn, judge, set the threshold and write a bundle and its report; prints the bundle's path.

    \b
    Example: mqlml train --as-of 2026-06-30
    """
    from mqlml.workflows.training import train as run

    with steps() as progress:
        done = run(load(config_path), as_of=as_of, engine=engine_of(**engine), progress=progress)
    tell(show.trained(done.summary, done.notes))
    tell(f"Report: {done.report}\nBundle:")
    facts = {
        "bundle": str(done.bundle),
        "report": str(done.report),
        "model_version": done.bundle.name,
        "champion": done.champion,
        "run_id": done.run_id,
        **{key: done.summary[key] for key in ("as_of", "review", "verdict", "population", "plan", "decision")},
        "metrics": {m["name"]: m["model"] for m in done.summary["evaluation"]["metrics"]},
        "notes": list(done.notes),
    }
    tell_result(facts, str(done.bundle), as_json=as_json)


@click.command()
@config_option
@as_of_option
@click.option("--weeks", default=26, show_default=True, type=click.IntRange(1, 520), help="Past weeks to walk.")
@click.option(
    "--retrain-every-weeks", default=13, show_default=True, type=click.IntRange(1), help="Weeks a model is used."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("backtest"), show_default=True, help="Folder.")
@click.option("--restart", is_flag=True, help="Start over instead of going on where an earlier run stopped.")
@engine_options
@json_option
def backtest(
    *,
    config_path: str,
    as_of: str | None,
    weeks: int,
    retrain_every_weeks: int,
    out: Path,
    restart: bool,
    as_json: bool,
    **engine: Any,
) -> None:
    """Walk past weeks: hand over as the policy would have done then, and see what came of it; prints a page's path.

    Interrupted, it goes on where it was when it is run again.

    \b
    Example: mqlml backtest --weeks 26 --out backtest
    """
    from mqlml.workflows.backtesting import backtest as run

    with steps() as progress:
        done = run(
            load(config_path),
            out=out,
            weeks=weeks,
            retrain_every_weeks=retrain_every_weeks,
            as_of=as_of,
            restart=restart,
            engine=engine_of(**engine),
            progress=progress,
        )
    tell(show.backtested(done.summary))
    tell_result({"out": str(done.page), **done.summary}, str(done.page), as_json=as_json)


@click.command()
@config_option
@model_option
@click.option("--as-of", metavar="DATE", help="Only weeks whose outcomes were known before this date count.")
@click.option("--capacity", "capacity_per_week", type=click.IntRange(1), help="Most MQLs of a usual week.")
@click.option("--cost", type=click.FloatRange(0, min_open=True), help="Cost of working an MQL; needs a value.")
@click.option("--value", help="What a win is worth: a number, 'learned' from won leads, or 'column' as at training.")
@click.option("--precision", type=_SHARE, help="Win rate of MQLs to certify, such as 0.2; needs [model] refit = false.")
@click.option("--confidence", type=click.FloatRange(0.5, 1, max_open=True), help="Of the certificate. Default: 0.9.")
@click.option("--recall", type=_SHARE, help="Share of the wins to keep.")
@click.option("--floor", type=_SHARE, help="Least chance of an MQL.")
@click.option("--share", type=_SHARE, help="Share of the leads to hand over.")
@click.option("--unit", type=click.Choice(["lead", "account"]), help="What is counted.")
@click.option("--without", multiple=True, metavar="RULE", help="Drop a rule of the policy in force; may be repeated.")
@click.option("--set", "put_in_force", is_flag=True, help="Put the policy in force; needs --author and --reason.")
@click.option("--author", help="Who sets it.")
@click.option("--reason", help="Why.")
@json_option
def threshold(
    *,
    config_path: str,
    model: str | None,
    as_of: str | None,
    value: str | None,
    without: Sequence[str],
    put_in_force: bool,
    author: str | None,
    reason: str | None,
    as_json: bool,
    **rules: Any,
) -> None:
    """Choose the threshold again from stored past weeks, without training: other rules, their evidence.

    Rules given here replace those of the policy in force; its other rules stay. Nothing changes without --set.

    \b
    Example: mqlml threshold --capacity 120
             mqlml threshold --cost 80 --value 4000 --set --author "A. Lee" --reason "new day rate"
    """
    from mqlml.workflows.thresholds import threshold as run

    found = run(
        load(config_path),
        {name: rule for name, rule in rules.items() if rule is not None} | _worth(value),
        without=without,
        model=model,
        as_of=as_of,
        author=author,
        reason=reason,
        put_in_force=put_in_force,
    )
    tell_result(found, show.threshold(found), as_json=as_json)


def _worth(text: str | None) -> dict[str, Any]:
    """What was given as --value: an amount, or where values come from."""
    if text is None:
        return {}
    if text in ("learned", "column"):
        return {"value": text}
    try:
        return {"value": float(text)}
    except ValueError:
        raise UsageError(f"--value {text}: neither a number nor 'learned' nor 'column'.") from None


COMMANDS = (
    train,
    backtest,
    threshold,
)
