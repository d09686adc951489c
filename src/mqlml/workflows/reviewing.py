"""The loop over criteria: what a bundle's review asks for, and what changed between two sets of decisions or models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mqlml.errors import DataRefused, UsageError, shown
from mqlml.operation.bundle import read_bundle, read_json
from mqlml.operation.registry import champion, champion_review, resolve, review_state
from mqlml.review.changes import changes, known_criteria
from mqlml.review.criteria import needs_review, read_criteria

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["as_told", "diff", "required"]

_MINUTES = ("decision", "cap", "label", "note", "by", "on")


def as_told(summary: Mapping[str, Any], models: Path, bundle: Path) -> dict[str, Any]:
    """Add what only the moment of telling knows: name, review, changes since the champion, and what is to be reviewed.

    It is not stored with the bundle, whose bytes do not depend on which other model is in use.

    Parameters
    ----------
    summary : mapping
    models : Path
        Folder of all bundles.
    bundle : Path
        The one that the summary is of.
    """
    told = {**summary, "model_version": bundle.name, "review": review_state(models, bundle)}
    return {**told, **_since_champion(told, models)}


def required(config: Config, *, model: str | None = None) -> dict[str, Any]:
    """List the criteria of a bundle that people are asked to decide on, with the decisions there are.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    model : str, optional
        By default the champion.

    Returns
    -------
    dict
        ``model_version``, ``review``; ``criteria``: ``criterion``, ``importance``, ``direction``, ``sentence``,
        ``change`` since the champion (None where there is none to compare with) and ``mark`` (None where nobody
        decided); ``since``: the champion compared with, or None; ``others``: how many criteria ask for nothing.
    """
    models = config.path(config.output.models)
    bundle = read_bundle(resolve(models, model))
    told = as_told(read_json(bundle.parts, "report.json"), models, bundle.path)
    since = told["since"]
    marks = {mark["name"]: mark for mark in told["criteria"]["marks"]}
    asked = set(told["to_review"])
    lines = [
        {
            **{key: driver.get(key) for key in ("criterion", "importance", "direction", "sentence")},
            "change": None if since is None else since["criteria"][driver["criterion"]]["change"],
            "mark": marks.get(driver["criterion"]),
        }
        for driver in told["drivers"]
        if driver["criterion"] in asked
    ]
    return {
        "model_version": bundle.model_version,
        "review": told["review"],
        "since": None if since is None else since["model_version"],
        "criteria": lines,
        "others": len(told["drivers"]) - len(lines),
    }


def diff(config: Config, old: str, new: str) -> dict[str, Any]:
    """Compare the decisions of two files or bundles, and the criteria of two bundles.

    Parameters
    ----------
    config : Config
        Says where the bundles are.
    old, new : str
        Each the path of a ``criteria.toml``, or a bundle's version or path.

    Returns
    -------
    dict
        ``old``, ``new``: what was compared; ``decisions``: ``criterion``, ``what`` (added, changed or withdrawn),
        ``before`` and ``after`` (the marks, or None), and ``effect`` and ``figures`` where ``new`` is a bundle that
        weighed it; ``unchanged``: how many decisions are the same; ``together`` of ``new``, or None; ``drivers``: as
        `mqlml.review.changes.changes` says, None unless both are bundles.

    Raises
    ------
    UsageError
        A name is neither a file nor a bundle, or a file is wrong.
    """
    sides = [_side(config, name) for name in (old, new)]
    before, after = ({mark["name"]: mark for mark in side["marks"]} for side in sides)
    lines = [_decision(name, before.get(name), after.get(name)) for name in dict.fromkeys([*after, *before])]
    drivers = [side["drivers"] for side in sides]
    both = all(found is not None for found in drivers)
    return {
        "old": sides[0]["name"],
        "new": sides[1]["name"],
        "decisions": [line for line in lines if line["what"] != "same"],
        "unchanged": sum(line["what"] == "same" for line in lines),
        "together": sides[1]["together"],
        "drivers": changes(drivers[1], drivers[0]) if both else None,
    }


def _since_champion(told: Mapping[str, Any], models: Path) -> dict[str, Any]:
    """``since``: changes against the model in use, where that is another; ``to_review``: what people should look at."""
    drivers: Sequence[Mapping[str, Any]] = told.get("drivers") or []
    in_use = champion(models)
    earlier = None if in_use is None or in_use.name == told["model_version"] else _drivers_of(in_use)
    decided = told.get("criteria") or {}
    marked = {mark["name"] for mark in decided.get("marks") or [] if mark["decision"] != "none"}
    if in_use is None or earlier is None:
        return {"since": None, "to_review": list(needs_review(drivers, marked))}
    found = changes(drivers, earlier)
    reviewed = (champion_review(models) or "unreviewed") != "unreviewed"
    later = decided.get("model_version") not in (None, in_use.name)
    known = known_criteria(earlier if reviewed else [], found, marked, marked_since=later)
    since = {"model_version": in_use.name, "reviewed": reviewed, **found}
    return {"since": since, "to_review": list(needs_review(drivers, known))}


def _drivers_of(bundle: Path) -> Sequence[Mapping[str, Any]] | None:
    """Drivers of another bundle; None where it cannot be read: this one's report is made all the same."""
    try:
        found = read_json(read_bundle(bundle).parts, "report.json")
    except DataRefused:
        return None
    drivers = found.get("drivers")
    return drivers if isinstance(drivers, list) else None


def _side(config: Config, name: str) -> dict[str, Any]:
    """Decisions, and for a bundle what they cost and its drivers."""
    path = Path(name) if Path(name).is_file() else config.path(name)
    if path.is_file():
        criteria = read_criteria(path.read_text(encoding="utf-8"), where=name)
        return {"name": name, "marks": criteria.to_dict()["marks"], "together": None, "drivers": None}
    if name.endswith(".toml"):
        raise UsageError(f"there is no file '{shown(name)}'.", hint="correct the path, or name a bundle")
    bundle = read_bundle(resolve(config.path(config.output.models), name))
    decided = read_json(bundle.parts, "criteria.json")
    drivers = read_json(bundle.parts, "report.json").get("drivers") or []
    together = {"effect": decided.get("together"), "figures": decided.get("together_figures")}
    return {
        "name": bundle.model_version,
        "marks": decided["marks"],
        "together": together if together["effect"] else None,
        "drivers": drivers,
    }


def _decision(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any]:
    sides = [None if mark is None else {key: mark.get(key) for key in _MINUTES} for mark in (before, after)]
    if sides[0] == sides[1]:
        what = "same"
    else:
        what = "added" if before is None else "withdrawn" if after is None else "changed"
    told = {} if after is None else {key: after.get(key) for key in ("effect", "figures")}
    return {
        "criterion": name,
        "what": what,
        "before": sides[0],
        "after": sides[1],
        "effect": None,
        "figures": None,
    } | told
