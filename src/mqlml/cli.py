"""The command line: the only place that prints. Results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mqlml import __version__, show
from mqlml.errors import DataRefused, EngineError, MqlError, UsageError

if TYPE_CHECKING:
    from types import FrameType

    from mqlml.config import Config
    from mqlml.tape.engine import Engine

__all__ = ["main"]

EXAMPLES = ("oulad", "online-retail", "bank-marketing", "online-shoppers", "salvirt", "hotel", "crm-sales")

_config = click.option(
    "--config",
    "config_path",
    default="mqlml.toml",
    show_default=True,
    help="Settings; paths in them are relative to it.",
)
_as_of = click.option(
    "--as-of",
    metavar="DATE",
    help="Only what was known strictly before this date or ISO timestamp. Default: the day after the newest "
    "creation or decision.",
)
_model = click.option("--model", metavar="PATH", help="A bundle's path or version. Default: the one in use.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
_ENGINE = (
    click.option(
        "--engine",
        type=click.Choice(["local", "spark"]),
        default="local",
        show_default=True,
        help="Where events are read and features and scores are computed; the results are the same.",
    ),
    click.option("--spark-master", metavar="URL", help="local[4], yarn, k8s://..., spark://... Default: Spark's own."),
    click.option("--spark-conf", metavar="KEY=VALUE", multiple=True, help="A setting of Spark; may be repeated."),
    click.option(
        "--spark-folder", metavar="PATH", help="A folder that this machine and the executors of a cluster both see."
    ),
)


def _engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_ENGINE):
        command = option(command)
    return command


class _Terminated(BaseException):
    """SIGTERM arrived: leave through every ``finally``, so that nothing half-written stays."""

    seen = False


_INTERRUPTED = frozenset({"RuntimeError", "InterruptException", "EngineError"})


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mqlml")
@click.option("-q", "--quiet", is_flag=True, help="No progress; only results and errors.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, quiet: bool, debug: bool) -> None:
    """Learn from won and lost leads who will convert, why, and whom to hand to sales.

    \b
    A first tour:   mqlml demo
    Your own data:  mqlml check && mqlml train && mqlml score --out scores.csv
    """


@cli.command()
@click.option("--leads", default=20_000, show_default=True, type=click.IntRange(1_000, 10_000_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--out", type=click.Path(path_type=Path), default=Path("sample"), show_default=True, help="Folder.")
@_json
def sample(*, leads: int, seed: int, out: Path, as_json: bool) -> None:
    """Write a made-up B2B history to try everything on.

    \b
    Example: mqlml sample --leads 5000 --out sample && mqlml train --config sample/mqlml.toml
    """
    from mqlml.history.sample import write_sample

    progress = show.progress(quiet=_quiet())
    with progress:
        progress.begin(f"Writing a history of {leads:,} leads", leads)
        tables = write_sample(out, leads=leads, seed=seed, progress=lambda done, _: progress.reach(done))
    _written(out, tables, as_json=as_json)


@cli.command()
@click.argument("name", type=click.Choice(EXAMPLES))
@click.option("--source", type=click.Path(path_type=Path), help="Folder of the downloaded files.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("example"), show_default=True, help="Folder.")
@_json
def example(*, name: str, source: Path | None, out: Path, as_json: bool) -> None:
    """Turn a public data set into tables and settings mqlml reads.

    Without --source it says where to get the data.
    """
    from mqlml.history.examples import write_example

    progress = show.progress(quiet=_quiet())
    with progress:
        progress.begin(f"Converting {name}")
        tables = write_example(name, source=source, out=out)
    _written(out, tables, as_json=as_json)


@cli.command()
@_config
@_as_of
@click.option(
    "--previous",
    type=click.Path(path_type=Path),
    help="An earlier extract of the leads: finds columns that were changed since.",
)
@_json
def check(*, config_path: str, as_of: str | None, previous: Path | None, as_json: bool) -> int:
    """Look at a history as a training would: what is usable, what gives the outcome away, whether it suffices.

    Ends with 3 where a training would be refused.

    \b
    Example: mqlml check --previous ../2026-09/leads.parquet
    """
    from mqlml.workflows.checking import check as run

    progress = show.progress(quiet=_quiet())
    with progress:
        progress.begin("Checking the history")
        found = run(_load(config_path), as_of=as_of, previous=previous)
    _result(found, show.check(found), as_json=as_json)
    return DataRefused.exit_code if found["problems"] else 0


@cli.command()
@_config
@_as_of
@_engine_options
@_json
def train(*, config_path: str, as_of: str | None, as_json: bool, **engine: Any) -> None:
    """Learn, judge, set the threshold and write a bundle and its report; prints the bundle's path.

    \b
    Example: mqlml train --as-of 2026-06-30
    """
    from mqlml.workflows.training import train as run

    progress = show.progress(quiet=_quiet())
    with progress:
        done = run(_load(config_path), as_of=as_of, engine=_engine(**engine), progress=progress)
    _tell(show.trained(done.summary, done.notes))
    _tell(f"Report: {done.report}\nBundle:")
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
    _result(facts, str(done.bundle), as_json=as_json)


@cli.command()
@_config
@_as_of
@_model
@click.option("--out", type=click.Path(path_type=Path), required=True, help=".parquet, .csv, .duckdb or a folder.")
@click.option(
    "--previous", type=click.Path(path_type=Path), help="Earlier scores (Parquet): `change` compares with them."
)
@_engine_options
@click.option("--no-reasons", is_flag=True, help="Leave reasons and grades empty; faster.")
@click.option(
    "--contributions", type=click.Path(path_type=Path), help="Also write every contribution (.parquet, .csv)."
)
@_json
def score(
    *,
    config_path: str,
    as_of: str | None,
    model: str | None,
    out: Path,
    previous: Path | None,
    no_reasons: bool,
    contributions: Path | None,
    as_json: bool,
    **engine: Any,
) -> None:
    """Score every open lead as of a moment; prints the path of the scores.

    \b
    Example: mqlml score --as-of 2026-06-30 --out scores.parquet
    """
    from mqlml.workflows.scoring import score as run

    progress = show.progress(quiet=_quiet())
    with progress:
        done = run(
            _load(config_path),
            out=out,
            as_of=as_of,
            model=model,
            previous=previous,
            reasons=not no_reasons,
            contributions=contributions,
            engine=_engine(**engine),
            progress=progress,
        )
    _tell(show.scored(done.manifest))
    _result({"out": str(done.out), **done.manifest}, str(done.out), as_json=as_json)


@cli.command()
@_config
@_as_of
@click.option("--weeks", default=26, show_default=True, type=click.IntRange(1, 520), help="Past weeks to walk.")
@click.option(
    "--retrain-every-weeks", default=13, show_default=True, type=click.IntRange(1), help="Weeks a model is used."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("backtest"), show_default=True, help="Folder.")
@click.option("--restart", is_flag=True, help="Start over instead of going on where an earlier run stopped.")
@_engine_options
@_json
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

    progress = show.progress(quiet=_quiet())
    with progress:
        done = run(
            _load(config_path),
            out=out,
            weeks=weeks,
            retrain_every_weeks=retrain_every_weeks,
            as_of=as_of,
            restart=restart,
            engine=_engine(**engine),
            progress=progress,
        )
    _tell(show.backtested(done.summary))
    _result({"out": str(done.page), **done.summary}, str(done.page), as_json=as_json)


@cli.command()
@click.argument("lead_id")
@_config
@_as_of
@_model
@_json
def explain(*, lead_id: str, config_path: str, as_of: str | None, model: str | None, as_json: bool) -> None:
    """Tell one lead's story: its chance, what raises and lowers it, what it did lately."""
    from mqlml.workflows.explaining import explain as run

    found = run(_load(config_path), lead_id, as_of=as_of, model=model)
    _result(found, show.explained(found), as_json=as_json)


_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@cli.command()
@_config
@_model
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
@_json
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
    Examples: mqlml threshold --capacity 120
              mqlml threshold --cost 80 --value 4000 --set --author "A. Lee" --reason "new day rate"
    """
    from mqlml.workflows.thresholds import threshold as run

    found = run(
        _load(config_path),
        {name: rule for name, rule in rules.items() if rule is not None} | _worth(value),
        without=without,
        model=model,
        as_of=as_of,
        author=author,
        reason=reason,
        put_in_force=put_in_force,
    )
    _result(found, show.threshold(found), as_json=as_json)


@cli.command()
@_config
@_model
@click.option("--out", type=click.Path(path_type=Path), help="HTML file. Default: beside the bundle.")
@_json
def report(*, config_path: str, model: str | None, out: Path | None, as_json: bool) -> None:
    """Write the report of a bundle again; prints its path."""
    from mqlml.workflows.reporting import report as run

    path = run(_load(config_path), out=out, model=model)
    _result({"report": str(path)}, str(path), as_json=as_json)


@cli.command()
@_config
@_model
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file. Default: print it.")
def features(*, config_path: str, model: str | None, out: Path | None) -> None:
    """Say what each feature of a bundle means, as a Markdown table.

    \b
    Example: mqlml features --out features.md
    """
    from mqlml.workflows.reporting import features as run

    text = run(_load(config_path), out=out, model=model)
    click.echo(text.rstrip("\n") if out is None else str(out))


@cli.command()
@_config
@_model
@click.option(
    "--out", type=click.Path(path_type=Path), help=".csv to paste, .md for a wiki, .txt. Default: the screen."
)
@_json
def scorecard(*, config_path: str, model: str | None, out: Path | None, as_json: bool) -> None:
    """Show the model as at most 12 rules with points, for tools that cannot run a model.

    \b
    Example: mqlml scorecard --out scorecard.csv
    """
    from mqlml.workflows.carding import scorecard as run

    card, text = run(_load(config_path), model=model, out=out)
    _result(card, text if out is None else str(out), as_json=as_json)


@cli.command()
@click.option("--leads", default=20_000, show_default=True, type=click.IntRange(1_000, 1_000_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder.")
@_json
def demo(*, leads: int, seed: int, out: Path, as_json: bool) -> None:
    """Go the whole way once on a made-up history: train, score, explain, report."""
    from mqlml.workflows.demonstrating import demonstrate

    progress = show.progress(quiet=_quiet())
    with progress:
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
    _result(facts, show.demonstrated(done), as_json=as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 bug, 2 usage, 3 data, 4 gate, 5 engine, 130/143 stopped."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    previous = _on_sigterm(_stop)
    _Terminated.seen = False
    try:
        result = cli.main(arguments, prog_name="mqlml", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        _tell(f"mqlml: {error.format_message()} Run 'mqlml --help' for help.")
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _told(130)
    except _Terminated:
        return _told(143)
    except BrokenPipeError:
        return _pipe_closed()
    except MqlError as error:
        if (code := _stopped(error)) is not None:
            return _told(code)
        if "--debug" in arguments:
            traceback.print_exc()
        _tell(_one_line_each(error))
        return error.exit_code
    except OSError as error:
        if "--debug" in arguments:
            traceback.print_exc()
        _tell(f"mqlml: {error}. Nothing half-written was kept; running again is safe.")
        return EngineError.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort turns a bug into its exit code
        if (code := _stopped(error)) is not None:
            return _told(code)
        if "--debug" in arguments:
            traceback.print_exc()
        _tell(
            f"mqlml: a bug in mqlml: {type(error).__name__}: {error}. Run again with --debug and report what it shows."
        )
        return 1
    finally:
        _on_sigterm(previous)


def _on_sigterm(handler: Any) -> Any:
    try:
        return signal.signal(signal.SIGTERM, handler)
    except ValueError:
        return None  # not the main thread: whoever runs mqlml there handles signals


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    _Terminated.seen = True
    raise _Terminated


def _stopped(error: Exception) -> int | None:
    """The exit code where a signal ended a query: DuckDB then raises an error of its own instead of letting it out."""
    if _Terminated.seen:
        return 143
    return 130 if "interrupted" in str(error).lower() and type(error).__name__ in _INTERRUPTED else None


def _told(code: int) -> int:
    _tell(f"mqlml: {'interrupted' if code == 130 else 'terminated'}; nothing half-written was kept.")
    return code


def _pipe_closed() -> int:
    # Python would complain once more while flushing stdout at exit.
    sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123
    return 0


def _one_line_each(error: MqlError) -> str:
    kept = " Nothing was written; earlier outputs are unchanged." if isinstance(error, DataRefused) else ""
    return "\n".join(f"{line}{kept}" for line in str(error).splitlines())


def _quiet() -> bool:
    return bool(click.get_current_context().find_root().params.get("quiet"))


def _load(path: str) -> Config:
    from mqlml.config import Config

    return Config.load(path)


def _engine(
    *, engine: str, spark_master: str | None, spark_conf: Sequence[str], spark_folder: str | None
) -> Engine | None:
    if engine == "local":
        if spark_master or spark_conf or spark_folder:
            raise UsageError("The --spark options need --engine spark.")
        return None
    from mqlml.tape.spark import SparkEngine, SparkSettings

    wrong = [text for text in spark_conf if "=" not in text]
    if wrong:
        raise UsageError(f"--spark-conf {wrong[0]}: not a setting.", hint="write --spark-conf key=value")
    return SparkEngine(SparkSettings(spark_master, dict(text.split("=", 1) for text in spark_conf), spark_folder))


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


def _written(out: Path, tables: Mapping[str, int], *, as_json: bool) -> None:
    for name, rows in tables.items():
        _tell(f"{name}: {rows:,} rows")
    _result({"out": str(out), "tables": dict(tables)}, str(out), as_json=as_json)


def _result(facts: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    click.echo(json.dumps(facts, default=_plain, ensure_ascii=False) if as_json else text)


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    message = f"{type(value).__name__} is not plain data"
    raise TypeError(message)
