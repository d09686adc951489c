"""The evidence for a training in plain data: figures with intervals, the baseline ladder and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mqlml.learning.evaluation import (
    STANDARD_METRICS,
    Interval,
    Resampler,
    expected_calibration_error,
    log_loss,
    perfect_calibration_error,
    reliability,
    roc_auc,
)
from mqlml.learning.windows import MIN_TEST_WINS

if TYPE_CHECKING:
    from mqlml.learning.labels import Rows
    from mqlml.learning.training import Tested
    from mqlml.learning.windows import Plan

__all__ = ["Judgement", "judge"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_WINS_TO_JUDGE = 40
# Promises that are off by more than a quarter either way mislead whoever plans with them.
_MOST_OFF = 1.25

_PLAIN = {
    "log_loss": "how surprising the outcomes were to the chances (lower is better)",
    "brier": "mean squared error of the chances (lower is better)",
    "auc": "how often a won lead stood above one that was not (0.5 is chance)",
    "average_precision": "mean win rate above each won lead",
    "lift_5": "win rate of the top 5 % against all",
    "lift_10": "win rate of the top 10 % against all",
    "lift_20": "win rate of the top 20 % against all",
    "slope": "calibration slope (1 is perfect; below 1 the chances are too extreme)",
    "intercept": "calibration intercept at the log-odds of the chances (0 is perfect)",
    "observed_over_expected": "won leads for each one promised (1 is perfect)",
    "ece": "mean distance between promised and realised win rate",
}


@dataclass(frozen=True)
class Judgement:
    """What the tests showed.

    Attributes
    ----------
    verdict : dict
        ``code`` (ready, too thin, no signal), ``sentence`` and ``details``.
    metrics : dict of str to Interval
    evaluation : dict
        Plain data for the report.
    """

    verdict: dict[str, Any]
    metrics: dict[str, Interval]
    evaluation: dict[str, Any]


def judge(
    rows: Rows, tested: Tested, plan: Plan, *, segments: Mapping[str, npt.NDArray[np.str_]], seed: int
) -> Judgement:
    """Judge the chances on the final test window, or on all tested rows where that holds too few wins.

    Parameters
    ----------
    rows : Rows
    tested : Tested
    plan : Plan
    segments : mapping of str to ndarray of str
        Values by row of ``rows`` for the breakdown.
    seed : int
    """
    inside, pooled = _judged(rows, tested)
    row, p = tested.row[inside], tested.p[inside]
    won, group, lead = rows.won[row], rows.group[row], rows.lead[row]
    resampler = Resampler(group, seed=seed)
    metrics = resampler.metrics(won, p, STANDARD_METRICS)
    metrics["observed_over_expected"] = resampler.interval(lambda w: float((w * won).sum() / max((w * p).sum(), 1e-12)))
    order = np.argsort(p, kind="stable")
    metrics["ece"] = Interval(expected_calibration_error(won[order], p[order], np.ones(len(p))), None, None)
    perfect = perfect_calibration_error(p, group, seed=seed)
    ladder = _ladder(won, p, {k: v[inside] for k, v in tested.baselines.items()}, resampler)
    wins = rows.winning_leads(_flags(len(rows), row))
    evaluation = {
        "window": {
            "from": int(rows.when[row].min()),
            "to": int(rows.when[row].max()),
            "snapshots": len(row),
            "leads": len(np.unique(lead)),
            "wins": wins,
        },
        "pooled": pooled,
        "sentence": _window_sentence(plan, wins, pooled=pooled),
        "metrics": [{"name": k, "model": v.to_dict(), "plain": _PLAIN[k]} for k, v in metrics.items()],
        "ece_if_perfect": perfect,
        "ladder": ladder,
        "reliability": reliability(won, p, lead, resampler),
        "by_month": _by_month(rows, tested),
        "by_segment": _by_segment(won, p, {k: v[row] for k, v in segments.items()}),
    }
    return Judgement(_verdict(ladder, metrics, wins, plan), metrics, evaluation)


def _judged(rows: Rows, tested: Tested) -> tuple[Flags, bool]:
    """Rows of the final test where it holds enough wins, else every tested row; and whether they were pooled."""
    last = tested.part == "test"
    if last.any() and rows.winning_leads(_flags(len(rows), tested.row[last])) >= MIN_TEST_WINS:
        return last, False
    return np.ones(len(tested.row), dtype=bool), True


def _flags(n: int, row: npt.NDArray[np.int64]) -> Flags:
    flags = np.zeros(n, dtype=bool)
    flags[row] = True
    return flags


def _window_sentence(plan: Plan, wins: int, *, pooled: bool) -> str:
    if plan.mode != "forward":
        return f"{plan.sentence} {wins:,} won leads."
    which = (
        "all forward tests together, since the newest alone holds fewer than 100 won leads"
        if pooled
        else ("the newest test window, which was looked at once")
    )
    return f"{plan.sentence} Figures are from {which} ({wins:,} won leads)."


def _ladder(won: Floats, p: Floats, baselines: Mapping[str, Floats], resampler: Resampler) -> list[dict[str, Any]]:
    """Every rung with its log loss, AUC and how much the model is better, on the same draws."""
    rungs = []
    for name, q in [*baselines.items(), ("mqlml", p)]:
        gain = resampler.interval(lambda w, q=q: log_loss(won, q, w) - log_loss(won, p, w))  # type: ignore[misc]
        figures = resampler.metrics(won, q, {"log_loss": log_loss, "auc": roc_auc})
        rungs.append(
            {
                "name": name,
                "log_loss": figures["log_loss"].to_dict(),
                "auc": figures["auc"].to_dict(),
                "model_better_by": gain.to_dict(),
                "is_model": name == "mqlml",
            }
        )
    return rungs


def _by_month(rows: Rows, tested: Tested) -> list[dict[str, Any]]:
    """Promised against realised rates of every tested month, in a history with dates."""
    if rows.timing not in {"horizon", "final"}:
        return []
    month = rows.when[tested.row].astype("datetime64[us]").astype("datetime64[M]")
    won = rows.won[tested.row]
    return [
        {
            "month": str(m),
            "promised": float(tested.p[month == m].mean()),
            "won": float(won[month == m].mean()),
            "snapshots": int((month == m).sum()),
        }
        for m in np.unique(month)
    ]


def _by_segment(won: Floats, p: Floats, segments: Mapping[str, npt.NDArray[np.str_]]) -> list[dict[str, Any]]:
    """Promised against realised rates of the larger values of each segment column."""
    found = []
    for name, values in segments.items():
        levels, counts = np.unique(values, return_counts=True)
        for level in levels[np.argsort(-counts, kind="stable")][:8]:
            inside = values == level
            if inside.sum() >= 50:
                figures = {"promised": float(p[inside].mean()), "won": float(won[inside].mean())}
                found.append({"segment": f"{name}: {level}", **figures, "snapshots": int(inside.sum())})
    return found


def _verdict(ladder: list[dict[str, Any]], metrics: Mapping[str, Interval], wins: int, plan: Plan) -> dict[str, Any]:
    auc, gain = metrics["auc"], ladder[0]["model_better_by"]
    details = [] if plan.mode == "forward" else [plan.sentence]
    if auc.low is None or auc.low <= 0.5 or (gain["low"] or 0.0) <= 0.0:
        missing = (
            f" With {wins:,} won leads in the test a small effect could be hidden." if wins < MIN_TEST_WINS else ""
        )
        return {
            "code": "no signal",
            "sentence": f"On leads it had not seen, the model is not better than the base rate.{missing}",
            "details": details,
        }
    if wins < _WINS_TO_JUDGE:
        return {
            "code": "too thin",
            "sentence": f"Only {wins} won leads to test on; about {_WINS_TO_JUDGE - wins} more are needed "
            "before the figures can be relied on.",
            "details": details,
        }
    promised = metrics["observed_over_expected"]
    if promised.low is not None and (promised.low > _MOST_OFF or (promised.high or 0.0) < 1 / _MOST_OFF):
        details.append(
            f"The ranking holds, the level does not: {promised.value:.2f} leads were won for each one promised. "
            "The base rate moves; read chances as a ranking and check them on the next weeks."
        )
    simpler = [r["name"] for r in ladder[1:-1] if (r["model_better_by"]["low"] or 0.0) <= 0.0]
    if simpler:
        details.append(f"Not clearly better than: {', '.join(simpler)} (the interval of the difference includes zero).")
    sentence = (
        f"A won lead stands above one that was not in {100 * auc.value:.0f} of 100 pairs, and the chances fit "
        "the outcomes better than the base rate."
    )
    return {"code": "ready", "sentence": sentence, "details": details}
