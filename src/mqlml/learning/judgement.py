"""The evidence for a training in plain data: figures with intervals, the baseline ladder and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.baselines import LADDER
from mqlml.learning.breakdown import by_month, by_segment
from mqlml.learning.contest import contest
from mqlml.learning.evaluation import brier_parts, perfect_calibration_error, reliability
from mqlml.learning.measures import PLAIN, accuracy, measure
from mqlml.learning.resampling import Draws, Interval, Resampler
from mqlml.learning.verdict import Evidence, more_wins, verdict
from mqlml.learning.windows import MIN_TEST_WINS

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.learning.present import PresentRule
    from mqlml.learning.training import Tested
    from mqlml.learning.windows import Plan

__all__ = ["Judgement", "judge"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judgement:
    """What the tests showed.

    Attributes
    ----------
    verdict : dict
        ``code`` (ready, too thin, no signal, not better), ``sentence``, ``details`` and ``more_wins``.
    metrics : dict of str to Interval
    evaluation : dict
        Plain data for the report.
    """

    verdict: dict[str, Any]
    metrics: dict[str, Interval]
    evaluation: dict[str, Any]


def judge(
    rows: Rows,
    tested: Tested,
    plan: Plan,
    *,
    segments: Mapping[str, npt.NDArray[np.str_]],
    seed: int,
    segment: str | None = None,
    present: PresentRule | None = None,
) -> Judgement:
    """Judge the chances on the final test window, or on all tested rows where that holds too few wins.

    Parameters
    ----------
    rows : Rows
    tested : Tested
        With the chances of every simpler way among its ``baselines``.
    plan : Plan
    segments : mapping of str to ndarray of str
        Values by row of ``rows`` for the breakdown.
    seed : int
    segment : str, optional
        The one of ``segments`` whose values have intercepts of their own.
    present : PresentRule or None
    """
    inside, pooled = _judged(rows, tested)
    row, p = tested.row[inside], tested.p[inside]
    won, group, lead = rows.won[row], rows.group[row], rows.lead[row]
    resampler = Resampler(group, seed=seed, winning_groups=len(np.unique(group[won > 0])))
    others = {name: tested.baselines[name][inside] for name in LADDER if name in tested.baselines}
    drawn = measure(won, p, resampler, reference=others["base rate"])
    metrics = {name: draws.interval() for name, draws in drawn.items()}
    wins = rows.winning_leads(_flags(len(rows), row))
    ladder, gains = _ladder(won, drawn, others, resampler, wins, present)
    evaluation = {
        "window": _window(rows, row, wins),
        "pooled": pooled,
        "sentence": _window_sentence(plan, wins, pooled=pooled),
        "metrics": [{"name": k, "model": v.to_dict(), "plain": PLAIN[k]} for k, v in metrics.items()],
        **_calibration(won, p, lead, seed=seed),
        "ladder": ladder,
        "present": _against_present(rows, row, p, present, seed=seed),
        "reliability": reliability(won, p, lead, resampler),
        "by_month": by_month(rows, tested, seed=seed),
        "by_segment": by_segment(
            won,
            p,
            lead,
            {k: v[row] for k, v in segments.items()},
            resampler,
            own=segment,
            alike=None if tested.alike is None else tested.alike[inside],
        ),
        "looks": _looks(rows, tested, plan, pooled=pooled),
    }
    return Judgement(verdict(_evidence(drawn, gains, wins, plan, present)), metrics, evaluation)


def _calibration(won: Floats, p: Floats, lead: Integers, *, seed: int) -> dict[str, Any]:
    """What the calibration error of perfect chances would be, and the parts of the Brier score."""
    perfect, high = perfect_calibration_error(p, lead, seed=seed)
    return {"ece_if_perfect": perfect, "ece_if_perfect_high": high, "brier_parts": brier_parts(won, p)}


def _evidence(
    drawn: Mapping[str, Draws],
    gains: list[tuple[str, Draws]],
    wins: int,
    plan: Plan,
    present: PresentRule | None,
) -> Evidence:
    return Evidence(
        auc=drawn["auc"],
        observed_over_expected=drawn["observed_over_expected"],
        gains=gains,
        present=None if present is None else present.name,
        wins=wins,
        remark=None if plan.mode == "forward" else plan.sentence,
        skill=drawn["log_loss_skill"],
    )


def _judged(rows: Rows, tested: Tested) -> tuple[Flags, bool]:
    """Rows of the final test where it holds enough wins, else every tested row; and whether they were pooled."""
    last = tested.part == "test"
    if last.any() and rows.winning_leads(_flags(len(rows), tested.row[last])) >= MIN_TEST_WINS:
        return last, False
    return np.ones(len(tested.row), dtype=bool), True


def _flags(n: int, row: Integers) -> Flags:
    flags = np.zeros(n, dtype=bool)
    flags[row] = True
    return flags


def _window(rows: Rows, row: Integers, wins: int) -> dict[str, int]:
    """What the figures were measured on; times in microseconds."""
    when = rows.when[row]
    leads = len(np.unique(rows.lead[row]))
    return {"from": int(when.min()), "to": int(when.max()), "snapshots": len(row), "leads": leads, "wins": wins}


def _window_sentence(plan: Plan, wins: int, *, pooled: bool) -> str:
    if plan.mode != "forward":
        return f"{plan.sentence} {wins:,} won leads; not certified."
    which = (
        f"all forward tests together, since the newest alone holds fewer than {MIN_TEST_WINS} won leads: not certified"
        if pooled
        else "the newest test window, which was looked at once"
    )
    return f"{plan.sentence} Figures are from {which} ({wins:,} won leads)."


def _ladder(
    won: Floats,
    model: Mapping[str, Draws],
    others: Mapping[str, Floats],
    resampler: Resampler,
    wins: int,
    present: PresentRule | None,
) -> tuple[list[dict[str, Any]], list[tuple[str, Draws]]]:
    """Every rung with its log loss and AUC, and how much the model is better in both, on the same draws."""
    rungs, gains = [], []
    for kind, q in others.items():
        name = present.name if present is not None and kind == "present rule" else kind
        found = accuracy(won, q, resampler)
        gain, auc_gain = found["log_loss"] - model["log_loss"], model["auc"] - found["auc"]
        gains.append((name, gain))
        rungs.append(
            {
                **_rung(name, kind, found),
                "model_better_by": gain.interval().to_dict(),
                "auc_better_by": auc_gain.interval().to_dict(),
                "more_wins": more_wins(gain.interval(), wins),
            }
        )
    rungs.append({**_rung("mqlml", "model", model), "model_better_by": None, "auc_better_by": None, "more_wins": None})
    return rungs, gains


def _rung(name: str, kind: str, found: Mapping[str, Draws]) -> dict[str, Any]:
    figures = {key: found[key].interval().to_dict() for key in ("log_loss", "brier", "auc", "lift_10")}
    return {"name": name, "kind": kind, **figures, "is_model": kind == "model"}


def _against_present(
    rows: Rows, row: Integers, p: Floats, present: PresentRule | None, *, seed: int
) -> dict[str, Any] | None:
    """What the present rule is, and how its MQLs fared against as many of the model's."""
    if present is None:
        return None
    found = None if present.marked is None else contest(rows, row, p, present.marked[row], seed=seed)
    return {"name": present.name, "sentence": present.sentence, "contest": found}


def _looks(rows: Rows, tested: Tested, plan: Plan, *, pooled: bool) -> list[dict[str, Any]]:
    """Every use that was made of each part of the plan, in order: a part looked at twice is no fresh evidence."""
    names = list(dict.fromkeys(r.part for r in plan.rounds))
    looks = []
    for place, name in enumerate(names):
        later = plan.mode == "forward" and place < len(names) - 1
        uses = ["predicted once by models that had not seen it"]
        teaches = (later or plan.mode != "forward") and name not in {r.part for r in plan.frozen}
        uses += ["taught blend and calibration of later parts"] if teaches else []
        uses += ["final figures, ladder and verdict"] if pooled or name == "test" else []
        shipped = name in {r.part for r in plan.frozen}
        uses += ["threshold and replay"] if plan.refit or shipped else []
        uses += [] if shipped else ["blend, calibration and fit of the shipped model"]
        part = tested.part == name
        wins = rows.winning_leads(_flags(len(rows), tested.row[part]))
        looks += [{"part": name, "use": use, "snapshots": int(part.sum()), "wins": wins} for use in uses]
    return looks
