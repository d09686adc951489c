"""The reference of the Python API: signatures and numpydoc docstrings as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

PUBLIC: dict[str, dict[str, tuple[str, ...]]] = {
    "Settings and data": {
        "mqlml.config": ("Config",),
        "mqlml.history.sample": ("write_sample",),
        "mqlml.history.reading": ("read_history",),
        "mqlml.workflows.initialising": ("initialise",),
        "mqlml.workflows.checking": ("check",),
    },
    "Features": {"mqlml.tape.build": ("build_features",), "mqlml.tape.features": ("FeatureSet",)},
    "Learning and judging": {
        "mqlml.workflows.training": ("train", "Trained"),
        "mqlml.workflows.reporting": ("report", "features", "definition"),
        "mqlml.workflows.thresholds": ("threshold",),
        "mqlml.workflows.backtesting": ("backtest",),
        "mqlml.workflows.carding": ("scorecard",),
    },
    "Scoring": {
        "mqlml.workflows.scoring": ("score", "ScoreResult"),
        "mqlml.workflows.explaining": ("explain",),
        "mqlml.operation.scoring": ("LeadScorer", "Scored"),
        "mqlml.operation.bundle": ("read_bundle", "Bundle"),
    },
    "In use": {
        "mqlml.workflows.promoting": ("promote", "retrain"),
        "mqlml.workflows.comparing": ("compare",),
        "mqlml.workflows.returning": ("rollback",),
        "mqlml.workflows.monitoring": ("monitor",),
        "mqlml.workflows.importing": ("import_handovers",),
        "mqlml.workflows.forgetting": ("forget",),
    },
    "Errors": {"mqlml.errors": ("MqlError", "UsageError", "DataRefused", "GateClosed", "EngineError", "Problem")},
}
INTRO = """# Python

Every command is a function of the same name: `mqlml train` calls `mqlml.workflows.training.train`. Functions take a
`Config` and plain values, raise the errors listed at the end, and print nothing. The notebooks show them at work.
"""
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_ANNOTATION = re.compile(r"(: |-> )'([^']*)'")
_PATH = re.compile(r"(?:Posix|Windows)Path\('\.'\)")
_LISTS = ("Parameters", "Attributes", "Returns", "Raises", "Yields")


def python_page() -> str:
    """Describe the public functions and classes."""
    return "\n".join([INTRO, *_groups()])


def _groups() -> Iterator[str]:
    for title, modules in PUBLIC.items():
        yield f"## {title}\n"
        for module, names in modules.items():
            for name in names:
                yield from _entry(f"{module}.{name}", getattr(import_module(module), name))


def _entry(path: str, thing: Any) -> Iterator[str]:
    yield f"### {path}\n"
    yield from _described(path.rpartition(".")[2], thing)
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
                yield f"#### {thing.__name__}.{name}\n"
                yield from _described(f"{thing.__name__}.{name}", getattr(thing, name))


def _described(name: str, thing: Any) -> Iterator[str]:
    # A model's generated signature repeats its keys, which have a page of their own.
    if not hasattr(thing, "model_fields"):
        yield f"```text\n{_signature(name, thing)}\n```\n"
    yield from _markdown(inspect.getdoc(thing) or "")


def _signature(name: str, thing: Any) -> str:
    signature = inspect.signature(thing)
    line = _plain(f"{name}{signature}")
    if len(line) <= 100:
        return line
    shown: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        shown.append(_plain(str(parameter)))
    end = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    return "\n".join([f"{name}(", *(f"    {one}," for one in shown), f"){end}"])


def _plain(text: str) -> str:
    """Take the quotes from annotations, and the platform from paths."""
    return _PATH.sub(r"Path()", _ANNOTATION.sub(r"\1\2", text))


def _markdown(text: str) -> Iterator[str]:
    """Turn a numpydoc docstring into paragraphs and lists; double backticks become single ones."""
    first, *rest = _HEADING.split(text.replace("``", "`"))
    yield f"{first.strip()}\n"
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        shown = "\n".join(_items(body)) if title in _LISTS else f"```pycon\n{inspect.cleandoc(body)}\n```"
        yield f"**{title}**\n\n{shown}\n"


def _items(body: str) -> Iterator[str]:
    """Each unindented line begins an item; the indented ones under it are its text."""
    item: list[str] = []
    for line in [*body.strip().splitlines(), "end"]:
        if line.startswith(" ") or not line.strip():
            item.append(line.strip())
            continue
        if item:
            head, *said = item
            yield f"- `{head}`{': ' if said else ''}{' '.join(filter(None, said))}"
        item = [line.strip()]
