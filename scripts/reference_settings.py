"""The reference of ``mqlml.toml``: every key with its type, default and sentence, read from ``mqlml.config``."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from mqlml.config import Config, Section, Source

WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number"}
BOUNDS = {Ge: ("from {}", "ge"), Gt: ("above {}", "gt"), Le: ("to {}", "le"), Lt: ("below {}", "lt")}
INTRO = """# Settings: mqlml.toml

Paths are relative to the file. A key that nobody knows is refused (exit code 2) with the nearest valid one. Only
`[leads] path` and what `[outcomes]` need for the outcome must be given; every other key has the default shown here, and
a table that is not named is not read.

## Where a table comes from

`[leads]`, `[outcomes]`, `[events]`, `[history]`, `[stages]`, `[handovers]`, `[links]`, `[spend]` and `[suppress]` share
these keys.
"""


def settings_page() -> str:
    """Describe every key, section by section."""
    parts = [INTRO, _table(Source, own=Source.model_fields)]
    for name, field in Config.model_fields.items():
        if not field.exclude:
            parts += _section(f"[{name}]", _section_of(field.annotation))
    return "\n".join(parts)


def _section(title: str, section: type[Section]) -> Iterator[str]:
    own = {
        name: field
        for name, field in section.model_fields.items()
        if not issubclass(section, Source) or name in section.__annotations__
    }
    yield f"## {title}\n\n{_prose(section)}\n"
    yield _table(section, own=own)
    for name, field in own.items():
        below = _section_of(field.annotation)
        if below is not None:
            several = "tuple" in str(field.annotation)
            inner = f"{title.strip('[]')}.{name}"
            yield from _section(f"[[{inner}]]" if several else f"[{inner}]", below)


def _prose(section: type[Section]) -> str:
    text = (inspect.getdoc(section) or "").split("\n\nExamples\n")[0].replace("``", "`")
    said = text.split(": ", 1)[1] if text.startswith("`[") else text
    return said[0].upper() + said[1:]


def _table(section: type[Section], *, own: dict[str, FieldInfo]) -> str:
    said = sentences(section)
    if silent := sorted(set(own) - set(said)):
        message = f"{section.__module__}.{section.__name__}: write a sentence (a docstring) under {', '.join(silent)}"
        raise SystemExit(message)
    rows = (
        f"| `{field.alias or name}` | {_kind(field)} | {_default(field)} | {said[name].replace('``', '`')} |"
        for name, field in own.items()
    )
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def sentences(section: type[Section]) -> dict[str, str]:
    """Read the sentence that stands in the source under each key of a section and of those it is made from."""
    found: dict[str, str] = {}
    for one in reversed([c for c in section.__mro__ if issubclass(c, Section)]):
        (definition,) = ast.parse(inspect.getsource(one)).body
        assert isinstance(definition, ast.ClassDef)
        for key, below in zip(definition.body, definition.body[1:], strict=False):
            if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(below, ast.Expr):
                found[key.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def _kind(field: FieldInfo) -> str:
    return _words(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


def _words(kind: Any) -> str:
    """Say a type in plain words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        limits = [m for note in inner[1:] for m in getattr(note, "metadata", [note])]
        bounds = ((*BOUNDS[type(m)], m) for m in limits if type(m) in BOUNDS)
        said = [text.format(getattr(limit, name)) for text, name, limit in bounds]
        return " ".join([_words(inner[0]), *said])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(one) for one in inner if one is not NoneType))
    if origin is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in inner)
    if origin is tuple:
        return "two numbers" if inner == (float, float) else f"list of {_words(inner[0])}"
    if origin is dict:
        return f"table of {_words(inner[1])}"
    return WORDS.get(kind, "table")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section):
        return "see below"
    if value is None:
        return "absent"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = (_section_of(one) for one in get_args(annotation))
    return next((one for one in found if one is not None), None)
