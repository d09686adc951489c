"""Write docs/reference/*.md from the code: command line, settings, scores, features and Python API.

``--check`` writes nothing and fails where a page is not what the code says.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import click
import pyarrow as pa
from reference_python import python_page
from reference_settings import settings_page

from mqlml.cli import cli
from mqlml.operation.scoring import CONTRIBUTIONS, SCORES
from mqlml.tape.features import DEFAULT_FAMILIES, FAMILIES, Attribute, FeatureSet, Pair

FOLDER = Path(__file__).resolve().parent.parent / "docs/reference"
MADE = "<!-- Written by scripts/reference.py from the code; do not edit. -->\n\n"

# One lead history that has everything, so that every family shows its features.
EXAMPLE = FeatureSet(
    event_types=("page_view", "form"),
    windows_days=(7, 30),
    half_lives_days=(7,),
    attributes=(Attribute("industry", "category", "creation"), Attribute("company_size", "number", "history")),
    valued_types=("form",),
    assets=True,
    named_assets=("/pricing",),
    channels=("email",),
    pairs=(Pair("page_view", "form", 7),),
    families=FAMILIES,
    stages=True,
    accounts=True,
)


def cell(text: str) -> str:
    """Make a text fit into a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def commands_page() -> str:
    """Describe every command: what it does, its options, an example."""
    intro = (
        "# Command line\n\nResults go to stdout, progress and messages to stderr. Exit codes are the same for every "
        "command: [Exit codes and messages](../messages.md). `mqlml COMMAND --help` prints the same as this page.\n\n"
    )
    return intro + "\n".join(_command(cli, "mqlml"))


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"## {path}\n\n```text\n{usage}\n```\n"
    yield from _help(command.help or "")
    records = [r for p in command.params if isinstance(p, click.Option) and (r := p.get_help_record(context))]
    if records:
        rows = (f"| `{cell(option)}` | {cell(said)} |" for option, said in records)
        yield "\n".join(["| option | meaning |", "|---|---|", *rows, ""])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _command(command.commands[name], f"{path} {name}")


def _help(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        kept = paragraph.strip().removeprefix("\b")  # click's mark for "keep these lines"
        if kept != paragraph.strip():
            yield f"```text\n{inspect.cleandoc(kept)}\n```\n"
        else:
            yield f"{' '.join(kept.split())}\n"


def scores_page() -> str:
    """Describe the columns of scores and contributions."""
    return (
        "# Columns of the scores\n\nWhat `mqlml score` writes: one row for each candidate, key `(lead_id, as_of, "
        "model_version, policy_version)`. What the list columns mean is told in [Handing over](../handing-over.md).\n\n"
        f"{_columns(SCORES)}\n## Contributions\n\nWhat `--contributions FILE` writes: one row for each lead and "
        f"criterion. The rows of a lead sum to its calibrated log-odds.\n\n{_columns(CONTRIBUTIONS)}"
    )


def _columns(schema: pa.Schema) -> str:
    rows = (f"| `{f.name}` | {f.type} | {cell(f.metadata[b'description'].decode())} |" for f in schema)
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows, ""])


def features_page() -> str:
    """Describe the features of each family, on a small example."""
    parts = [
        "# Features\n\nThe features of an example: two event types (`page_view`, `form`), windows of 7 and 30 days, "
        "one half-life of 7 days, a category known at creation, a number with history, one named page and one channel. "
        "`mqlml features` prints the same table for a bundle, with your own names. A family marked *off* is computed "
        "only where `[features] families` names it; [what each family earns](../families.md) says why.\n"
    ]
    by_family = sorted(EXAMPLE.features, key=lambda feature: FAMILIES.index(feature.family))
    for family, features in groupby(by_family, key=lambda feature: feature.family):
        rows = (f"| `{cell(f.name)}` | {cell(f.description)} | {f.unit} | {f.group} |" for f in features)
        state = "" if family in DEFAULT_FAMILIES else " (off)"
        table = "\n".join(["| feature | meaning | unit | group |", "|---|---|---|---|", *rows])
        parts.append(f"## {family}{state}\n\n{table}\n")
    return "\n".join(parts)


def pages() -> Mapping[str, str]:
    """Every page by its file name."""
    made = {
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "scores.md": scores_page(),
        "features.md": features_page(),
        "python.md": python_page(),
    }
    return {name: f"{MADE}{text.rstrip()}\n" for name, text in made.items()}


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is not up to date")
    checking = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    old = [n for n, t in pages().items() if not (f := FOLDER / n).exists() or f.read_text(encoding="utf-8") != t]
    for name in old:
        if checking:
            print(f"docs/reference/{name} is not what the code says. Fix: make docs", file=sys.stderr)
        else:
            (FOLDER / name).write_text(pages()[name], encoding="utf-8")
    return 1 if checking and old else 0


if __name__ == "__main__":
    sys.exit(main())
