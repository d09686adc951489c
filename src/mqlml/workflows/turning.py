"""Today's lists of two bundles beside one another: who enters, who leaves, and what moved them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.decision.memory import Listed
from mqlml.decision.turnover import ListSide, Turnover, turnover
from mqlml.errors import DataRefused, Problem, UsageError, shown
from mqlml.learning.moments import NEVER
from mqlml.learning.snapshots import mark_table
from mqlml.tape.build import build_features
from mqlml.workflows.choosing import Choosing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mqlml.config import Config
    from mqlml.learning.moments import Integers
    from mqlml.operation.scoring import LeadScorer
    from mqlml.review.reasons import Explanation
    from mqlml.workflows.opening import Opened

__all__ = ["MOVES", "turn"]

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

_LEADS_AT_A_TIME = 200_000
# A criterion whose part differs by less than this moves a chance of 50 % by less than half a point.
_WORTH_SAYING = 0.02

MOVES = pa.schema(
    [
        pa.field("lead_id", pa.string(), metadata={"description": "the lead"}),
        pa.field("earlier_probability", pa.float64(), metadata={"description": "by the old model on earlier facts"}),
        pa.field("old_probability", pa.float64(), metadata={"description": "by the old model on today's facts"}),
        pa.field("new_probability", pa.float64(), metadata={"description": "by the new model on today's facts"}),
        pa.field("earlier_mql", pa.bool_(), metadata={"description": "on the earlier list"}),
        pa.field("old_mql", pa.bool_(), metadata={"description": "on today's list of the old model"}),
        pa.field("new_mql", pa.bool_(), metadata={"description": "on today's list of the new model"}),
        pa.field("by_data", pa.string(), metadata={"description": "what new facts did: enters, leaves, stays, none"}),
        pa.field("by_model", pa.string(), metadata={"description": "what the new model does: the same words"}),
        pa.field("data_effect", pa.float64(), metadata={"description": "log-odds that new facts added"}),
        pa.field("model_effect", pa.float64(), metadata={"description": "log-odds that the new model adds"}),
        pa.field("why", pa.string(), metadata={"description": "chance, line and criterion behind a move"}),
    ]
)


@dataclass(frozen=True)
class _Earlier:
    """A list of the old model at an earlier moment, and its chances by lead."""

    listed: Listed
    p: dict[str, float]
    as_of: str | None


def turn(
    opened: Opened, config: Config, old: LeadScorer, new: LeadScorer, *, previous: Path | None = None
) -> tuple[dict[str, Any], pa.Table]:
    """Make today's list by each bundle, as ``mqlml score`` would, and hold them against one another.

    Parameters
    ----------
    opened : Opened
    config : Config
    old, new : LeadScorer
    previous : Path, optional
        Scores of the old bundle at an earlier moment (Parquet).

    Returns
    -------
    tuple of (dict, pa.Table)
        Counts, and one row a candidate, schema ``MOVES``.
    """
    lead = _candidates(opened)
    ids = np.asarray(opened.people.lead_id.take(pa.array(lead)).to_pylist(), dtype=object)
    earlier = None if previous is None else _read(previous, old, opened)
    sides = [_side(opened, config, scorer, lead, earlier) for scorer in (old, new)]
    before, gone = (None, 0) if earlier is None else _before(earlier, ids)
    found = turnover(*sides, earlier=before, gone=gone)
    why = _reasons(opened, old, new, lead, found, sides)
    counts = {**found.counts, "earlier_as_of": None if earlier is None else earlier.as_of}
    return counts, _table(ids, sides, before, found, why)


def _candidates(opened: Opened) -> Integers:
    people = opened.people
    if opened.moment is None:
        return np.flatnonzero(np.isnan(people.outcome) & ~people.ignored)
    return np.flatnonzero(people.fates(opened.moment)["candidate"])


def _side(opened: Opened, config: Config, scorer: LeadScorer, lead: Integers, earlier: _Earlier | None) -> ListSide:
    listed = None if earlier is None else earlier.listed
    choosing = Choosing(config, scorer.policy, opened, scorer.model.features, lead, listed)
    choosing.check()
    wanted, parts = ["lead_id", "probability", "fit_grade", "is_mql"], []
    for start in range(0, len(lead), _LEADS_AT_A_TIME):
        table = _features(opened, scorer, lead[start : start + _LEADS_AT_A_TIME])
        scored = scorer.score(table, as_of=opened.moment, reasons=config.policy.min_fit is not None)
        parts.append(scored.scores.select(wanted))
    if not parts:
        return ListSide(np.zeros(0), np.zeros(0, dtype=bool))
    scores = pa.concat_tables(parts)
    return ListSide(scores["probability"].to_numpy(), choosing.select(scores).is_mql)


def _features(opened: Opened, scorer: LeadScorer, lead: Integers) -> pa.Table:
    moment = NEVER if opened.moment is None else opened.moment
    marks = mark_table(opened.people, lead, np.full(len(lead), moment, dtype=np.int64))
    return build_features(opened.history, marks, scorer.model.features)


def _read(path: Path, old: LeadScorer, opened: Opened) -> _Earlier:
    """Read scores of the old bundle.

    Raises
    ------
    UsageError
        There is no such file, another bundle gave them, or they are not older than this comparison.
    DataRefused
        The file holds no scores.
    """
    try:
        table = pq.read_table(path)
        listed, versions = Listed.of(table), set(table["model_version"].to_pylist())
        p = dict(zip(table["lead_id"].to_pylist(), table["probability"].to_pylist(), strict=True))
    except FileNotFoundError:
        raise UsageError(f"--previous {path}: there is no such file.", hint="leave it out") from None
    except (pa.ArrowInvalid, KeyError) as error:
        what = f"cannot be read as scores: {error}"
        raise DataRefused([Problem("previous", str(path), what, "name a Parquet file of scores")]) from error
    if versions - {old.model_version}:
        names = ", ".join(f"'{shown(v)}'" for v in sorted(map(str, versions)))
        raise UsageError(
            f"--previous {path}: was scored by {names}, not by '{old.model_version}'.",
            hint="name scores of the first of the two bundles, or leave it out",
        )
    if opened.moment is not None and listed.at >= opened.moment:
        raise UsageError(f"--previous {path}: is not older than this comparison.", hint="name the list before this one")
    moments = [at for at in table["as_of"].unique().to_pylist() if at is not None]
    return _Earlier(listed, p, max(moments).isoformat() if moments else None)


def _before(earlier: _Earlier, ids: Texts) -> tuple[ListSide, int]:
    on_list = set(earlier.listed.lead_id[earlier.listed.mql].tolist())
    p = np.array([earlier.p.get(lead_id, np.nan) for lead_id in ids], dtype=np.float64)
    mql = np.array([lead_id in on_list for lead_id in ids], dtype=bool)
    return ListSide(p, mql), len(on_list - set(ids.tolist()))


def _reasons(
    opened: Opened, old: LeadScorer, new: LeadScorer, lead: Integers, found: Turnover, sides: list[ListSide]
) -> Texts:
    """What is behind each lead's move: both chances, both lines, and the criterion that differs most."""
    why = np.full(len(lead), None, dtype=object)
    moved = np.flatnonzero(np.isin(found.by_model.astype(str), ["enters", "leaves"]))
    for start in range(0, len(moved), _LEADS_AT_A_TIME):
        rows = moved[start : start + _LEADS_AT_A_TIME]
        was, now = (s.explainer.explain(_features(opened, s, lead[rows])) for s in (old, new))
        criteria = _criteria(was, now, np.asarray(found.by_model[rows] == "enters", dtype=bool))
        for row, criterion in zip(rows, criteria, strict=True):
            chances = f"chance {_percent(sides[0].p[row])} by the old model, {_percent(sides[1].p[row])} by the new one"
            why[row] = f"{chances}; {_lines(old, new)}{criterion}"
    if found.by_data is not None:
        data = np.isin(found.by_data.astype(str), ["enters", "leaves"]) & (why == None)  # noqa: E711 - of an array
        why[data] = "new facts since the earlier list"
    return why


def _criteria(old: Explanation, new: Explanation, enters: npt.NDArray[np.bool_]) -> Iterator[str]:
    """The criterion that the new model weighs most differently in the direction of the move."""
    names = list(dict.fromkeys([*old.names, *new.names]))
    change = np.zeros((len(enters), len(names)))
    for sign, explanation in ((-1.0, old), (1.0, new)):
        change[:, [names.index(name) for name in explanation.names]] += sign * explanation.parts
    toward = np.where(enters[:, None], change, -change)
    best = toward.argmax(axis=1)
    for row, j in enumerate(best):
        amount = change[row, j]
        word = "more" if amount > 0 else "less"
        said = f"; '{shown(names[j])}' counts {abs(amount):.2f} {word} in log-odds than by the old model"
        yield said if toward[row, j] > _WORTH_SAYING else ""


def _lines(old: LeadScorer, new: LeadScorer) -> str:
    lines = [scorer.policy.threshold for scorer in (old, new)]
    if None in lines:
        return "the best of each file are taken"
    was, now = (_percent(float(line)) for line in lines if line is not None)
    return f"line {was}, now {now}" if was != now else f"line {was}"


def _percent(p: float) -> str:
    return f"{100 * p:.1f} %"


def _table(ids: Texts, sides: list[ListSide], before: ListSide | None, found: Turnover, why: Texts) -> pa.Table:
    n = len(ids)
    columns = {
        "lead_id": pa.array(ids, pa.string()),
        "earlier_probability": _numbers(None if before is None else before.p, n),
        "old_probability": sides[0].p,
        "new_probability": sides[1].p,
        "earlier_mql": pa.nulls(n, pa.bool_()) if before is None else before.mql,
        "old_mql": sides[0].mql,
        "new_mql": sides[1].mql,
        "by_data": pa.nulls(n, pa.string()) if found.by_data is None else pa.array(found.by_data, pa.string()),
        "by_model": pa.array(found.by_model, pa.string()),
        "data_effect": _numbers(found.data_effect, n),
        "model_effect": found.model_effect,
        "why": pa.array(why, pa.string()),
    }
    return pa.table(columns, schema=MOVES)


def _numbers(values: Floats | None, n: int) -> pa.Array:
    """Numbers as a column, null where there is none."""
    return pa.nulls(n, pa.float64()) if values is None else pa.array(values, pa.float64(), mask=np.isnan(values))
