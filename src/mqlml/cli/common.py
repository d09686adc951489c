"""What every command shares: the group itself, options, and how results and messages are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mqlml import __version__
from mqlml.cli.log import begin_log, log_event, log_result, steps, tell
from mqlml.errors import UsageError

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.tape.engine import Engine

__all__ = [
    "as_of_option",
    "cli",
    "config_option",
    "engine_of",
    "engine_options",
    "json_option",
    "load",
    "model_option",
    "place_of",
    "steps",
    "tell",
    "tell_result",
    "tell_tables",
]

config_option = click.option(
    "--config",
    "config_path",
    default="mqlml.toml",
    show_default=True,
    help="Settings; paths in them are relative to it.",
)
as_of_option = click.option(
    "--as-of",
    metavar="DATE",
    help="Only what was known strictly before this date or ISO timestamp. Default: the day after the newest "
    "creation or decision.",
)
model_option = click.option("--model", metavar="PATH", help="A bundle's path or version. Default: the one in use.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
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


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where features and scores are computed."""
    for option in reversed(_ENGINE):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mqlml")
@click.option("-q", "--quiet", is_flag=True, help="No progress; only results and errors.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--log",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    envvar="MQLML_LOG",
    show_envvar=True,
    is_eager=True,
    expose_value=False,
    callback=lambda _context, _option, kind: begin_log(kind),
    help="Messages on stderr: for people, or one JSON object a line.",
)
@click.pass_context
def cli(context: click.Context, /, **_: bool) -> None:
    """Learn from won and lost leads who will convert, why, and whom to hand to sales.

    \b
    Example, a first tour:   mqlml demo
    Example, your own data:  mqlml init . && mqlml check && mqlml train && mqlml score --out scores.csv
    """
    log_event("started", f"mqlml {context.invoked_subcommand}", version=__version__)


def load(path: str) -> Config:
    """Read the settings; imported late so that --help stays quick."""
    from mqlml.config import Config

    return Config.load(path)


def engine_of(
    *, engine: str, spark_master: str | None, spark_conf: Sequence[str], spark_folder: str | None
) -> Engine | None:
    """Make the engine that was asked for; None is the local one."""
    if engine == "local":
        if spark_master or spark_conf or spark_folder:
            raise UsageError("The --spark options need --engine spark.")
        return None
    from mqlml.tape.spark import SparkEngine, SparkSettings

    wrong = [text for text in spark_conf if "=" not in text]
    if wrong:
        raise UsageError(f"--spark-conf {wrong[0]}: not a setting.", hint="write --spark-conf key=value")
    return SparkEngine(SparkSettings(spark_master, dict(text.split("=", 1) for text in spark_conf), spark_folder))


def place_of(text: str) -> Path | str:
    """A path, or the address of a database as it is."""
    return text if "://" in text else Path(text)


def tell_tables(out: Path, tables: Mapping[str, int], *, as_json: bool) -> None:
    """Say what was written into a folder."""
    for name, rows in tables.items():
        tell(f"{name}: {rows:,} rows")
    tell_result({"out": str(out), "tables": dict(tables)}, str(out), as_json=as_json)


def tell_result(facts: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result on stdout: the text, or one JSON object."""
    log_result(facts)
    click.echo(json.dumps(facts, default=_plain, ensure_ascii=False) if as_json else text)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    message = f"{type(value).__name__} is not plain data"
    raise TypeError(message)
