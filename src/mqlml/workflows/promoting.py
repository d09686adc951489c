"""Putting a challenger in use when every gate is open, and retraining for schedulers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mqlml.errors import MqlError, UsageError
from mqlml.operation.aliases import follow_standing
from mqlml.operation.bundle import read_json
from mqlml.operation.gates import Gate, check_gates
from mqlml.operation.promotion import NOBODY, put_in_use
from mqlml.workflows.comparing import Pair, compare_pair
from mqlml.workflows.opening import Progress, Quiet
from mqlml.workflows.reviewing import as_told
from mqlml.workflows.standins import criteria_of
from mqlml.workflows.training import train

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.operation.standing import Change
    from mqlml.tape.engine import Engine

__all__ = ["promote", "retrain"]

_MACHINE = "mqlml retrain"


def promote(
    config: Config,
    model: str | None = None,
    *,
    as_of: str | None = None,
    author: str | None = None,
    reason: str | None = None,
    reviewed_by: str | None = None,
    force: bool = False,
    at: str | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare a bundle with the one in use, and put it in use if every gate is open.

    Parameters
    ----------
    config : Config
    model : str, optional
        A bundle's path or version; by default the challenger.
    as_of : str, optional
        Moment of the comparison; by default the day after the newest creation or decision.
    author, reason : str, optional
        For the record; needed to ``force``.
    reviewed_by : str, optional
        Who read its report and answered the questions of the leak audit.
    force : bool
        Put it in use although gates are closed.
    at : str, optional
        Now, ISO 8601; for the record.
    engine : Engine, optional
    progress : Progress, optional

    Returns
    -------
    dict
        ``promoted``, ``champion`` (the version in use afterwards), ``gates``, ``change`` (as recorded, or None),
        ``comparison`` and ``notes``.

    Raises
    ------
    UsageError
        There is no such bundle or no champion, it is in use already, or ``force`` comes without author and reason.
    """
    for option, given in (("author", author), ("reason", reason)):
        if force and not (given or "").strip():
            raise UsageError(f"closed gates are opened by somebody for a reason: --{option} is missing.")
    for option, given in (("author", author), ("reason", reason), ("reviewed-by", reviewed_by)):
        if given is not None and not given.strip():
            raise UsageError(f"--{option} is empty.", hint="leave it out, or give a name or a sentence")
    progress = progress or Quiet()
    pair = Pair.load(config, None, model or "challenger")
    try:
        comparison, gates = _examine(config, pair, as_of, reviewed_by, engine, progress)
    except MqlError as error:
        if not force:
            raise
        comparison, gates = None, (Gate("compared", passed=False, sentence=str(error)),)
    change = None
    if force or all(gate.passed for gate in gates):
        review = _review(gates, reviewed_by)
        change = _put_in_use(config, pair, comparison, gates, review=review, author=author, reason=reason, at=at)
    return _told(config, pair, comparison, gates, change, progress)


def retrain(
    config: Config,
    *,
    as_of: str | None = None,
    at: str | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train, compare with the bundle in use, and stop at the gates; for schedulers.

    A challenger that passes every gate is put in use where ``[promotion] automatic`` says so, and waits otherwise.

    Parameters
    ----------
    config : Config
    as_of : str, optional
        By default the day after the newest creation or decision.
    at : str, optional
        Now, ISO 8601; for the record.
    engine : Engine, optional
    progress : Progress, optional

    Returns
    -------
    dict
        As `promote`, with ``bundle``, ``report``, ``verdict`` and ``outcome``: "in use" (the first bundle, or nothing
        is new), "promoted", "ready" (every gate is open; a person promotes it) or "stopped" (a gate is closed).
    """
    progress = progress or Quiet()
    trained = train(config, as_of=as_of, engine=engine, progress=progress)
    facts: dict[str, Any] = {
        "bundle": str(trained.bundle),
        "report": str(trained.report),
        "model_version": trained.bundle.name,
        "verdict": dict(trained.summary["verdict"]),
    }
    if trained.champion:
        nothing = {"promoted": False, "champion": trained.bundle.name, "gates": [], "change": None, "comparison": None}
        return {**facts, "outcome": "in use", **nothing, "notes": list(trained.notes)}
    pair = Pair.load(config, None, trained.bundle.name)
    comparison, gates = _examine(config, pair, as_of, None, engine, progress)
    opened, change = all(gate.passed for gate in gates), None
    if opened and config.promotion.automatic:
        review = _review(gates, None)
        reason = "every gate is open"
        change = _put_in_use(config, pair, comparison, gates, review=review, author=_MACHINE, reason=reason, at=at)
    outcome = "promoted" if change is not None else "ready" if opened else "stopped"
    told = _told(config, pair, comparison, gates, change, progress)
    return {**facts, "outcome": outcome, **told, "notes": [*trained.notes, *told["notes"]]}


def _examine(
    config: Config,
    pair: Pair,
    as_of: str | None,
    reviewed_by: str | None,
    engine: Engine | None,
    progress: Progress,
) -> tuple[dict[str, Any], tuple[Gate, ...]]:
    comparison, _ = compare_pair(config, pair, as_of=as_of, engine=engine, progress=progress)
    bundle = pair.new.bundle
    # After a reviewed champion only new and reversed criteria ask for a decision.
    summary = as_told(read_json(bundle.parts, "report.json"), config.path(config.output.models), bundle.path)
    criteria = criteria_of(pair.new)
    gates = check_gates(comparison["window"], summary, config.promotion, criteria=criteria, reviewed_by=reviewed_by)
    return comparison, gates


def _review(gates: tuple[Gate, ...], reviewed_by: str | None) -> str:
    """What every output says of how far people reviewed it."""
    if reviewed_by is not None:
        return f"reviewed by {reviewed_by}"
    passed = any(gate.name == "reviewed" and gate.passed for gate in gates)
    return "criteria reviewed" if passed else "unreviewed"


def _put_in_use(
    config: Config,
    pair: Pair,
    comparison: dict[str, Any] | None,
    gates: tuple[Gate, ...],
    *,
    review: str,
    author: str | None,
    reason: str | None,
    at: str | None,
) -> Change:
    return put_in_use(
        config.path(config.output.models),
        pair.new.model_version,
        review=review,
        expected=pair.old.model_version,
        author=author or NOBODY,
        reason=reason or "",
        at=at,
        as_of=None if comparison is None else comparison["as_of"],
        forced=not all(gate.passed for gate in gates),
        gates=[{"name": gate.name, "passed": gate.passed, "sentence": gate.sentence} for gate in gates],
    )


def _told(
    config: Config,
    pair: Pair,
    comparison: dict[str, Any] | None,
    gates: tuple[Gate, ...],
    change: Change | None,
    progress: Progress,
) -> dict[str, Any]:
    progress.begin("Setting the aliases in MLflow")
    return {
        "promoted": change is not None,
        "model_version": pair.new.model_version,
        "champion": pair.old.model_version if change is None else change.model_version,
        "gates": [gate.to_dict() for gate in gates],
        "change": None if change is None else asdict(change),
        "comparison": comparison,
        "notes": follow_standing(config),
    }
