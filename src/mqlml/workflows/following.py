"""What became of the leads of a walk: by week and in all, with the present rule beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.decision.control import leads_until_informative, weeks_until_informative
from mqlml.decision.followup import Seen, caught, first_of_each, flips, handed, rates
from mqlml.learning.decisions import positions
from mqlml.learning.labels import Rows
from mqlml.learning.moments import DAY, NEVER, Flags, Integers, as_microseconds, microseconds
from mqlml.learning.present import present_rule

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.workflows.opening import Opened

__all__ = ["follow"]


def follow(
    opened: Opened,
    config: Config,
    lists: Sequence[pa.Table],
    facts: Sequence[Mapping[str, Any]],
    *,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Count what happened to the leads of every walked week.

    Parameters
    ----------
    opened : Opened
        Seen from the end.
    config : Config
    lists : sequence of pa.Table
        The scores of each week.
    facts : sequence of mapping
        What was known and promised in each week.
    notes : sequence of str

    Returns
    -------
    dict
        Plain data: ``weeks``, ``total``, ``present``, ``control``, ``flips`` and what they mean.
    """
    horizon = int(config.label.horizon_days or 0) * DAY
    seen, on_list = _seen(opened, lists)
    until = as_microseconds(opened.as_of) if opened.as_of is not None else int(NEVER)
    end = int(seen.at.max(initial=0)) + 7 * DAY
    sales = _answers(opened, seen, horizon, until)
    weeks = [_week(number, seen, facts, on_list, horizon, sales) for number in range(len(facts))]
    found, won, missed = caught(seen, seen.new | seen.control, until=end)
    starts = np.array([seen.at[seen.week == number].min(initial=NEVER) for number in range(len(facts))])
    for week, count in zip(weeks, _per_week(missed, starts), strict=True):
        week["missed"] = count
    present, present_note = _present(opened, config, seen, horizon, end, weeks)
    enter = np.array([f["threshold"] if f["threshold"] is not None else 1.0 for f in facts], dtype=float)
    single, held = flips(seen, enter, stay_at=config.policy.stay_at, min_days=config.policy.min_days)
    return {
        "as_of": None if opened.as_of is None else opened.as_of.isoformat(),
        "horizon_days": config.label.horizon_days,
        "policy": facts[-1]["policy"] if facts else None,
        "weeks": weeks,
        "total": {
            **rates(int(seen.new.sum()), int((seen.new & seen.won(horizon)).sum())),
            "promised_win_rate": _promised(weeks),
            "mean_chance": _mean(seen.p[seen.new]),
            "candidates": len(np.unique(seen.lead)),
            "won_leads": won,
            "caught": found,
            "missed": len(missed),
            "answers": _sum_answers(sales, seen.new),
            **_volume(weeks),
        },
        "present": present,
        "control": _control(seen, config, horizon),
        "flips": {"weeks": len(weeks), "single_threshold": single, "enter_and_stay": held},
        "notes": [*notes, *([present_note] if present_note else [])],
    }


def _seen(opened: Opened, lists: Sequence[pa.Table]) -> tuple[Seen, list[int]]:
    """Every row of every list, sorted by lead, then week; and how many leads were on each list."""
    lead = [positions(opened.history, table["lead_id"]) for table in lists]
    week = np.repeat(np.arange(len(lists)), [table.num_rows for table in lists])
    every = pa.concat_tables([table.select(["as_of", "probability", "change", "control"]) for table in lists])
    who = np.concatenate(lead)
    at = microseconds(every["as_of"], NEVER)
    order = np.lexsort((week, who))
    who, week, at = who[order], week[order], at[order]
    control = every["control"].to_numpy()[order]
    seen = Seen(
        lead=who,
        week=week,
        at=at,
        p=every["probability"].to_numpy()[order],
        new=pc.equal(every["change"], "new").to_numpy()[order],
        control=first_of_each(who, control),
        won_at=opened.people.decisions.wins.first_from(who, at),
    )
    return seen, [int(np.sum(table["is_mql"].to_numpy())) for table in lists]


def _week(
    number: int,
    seen: Seen,
    facts: Sequence[Mapping[str, Any]],
    on_list: Sequence[int],
    horizon: int,
    sales: Mapping[str, Flags],
) -> dict[str, Any]:
    rows = seen.new & (seen.week == number)
    won = int((rows & seen.won(horizon)).sum())
    fact = facts[number]
    return {
        "as_of": fact["as_of"],
        "model_version": fact["model_version"],
        "threshold": fact["threshold"],
        "candidates": fact["candidates"],
        **rates(int(rows.sum()), won),
        "promised_win_rate": fact["promised_win_rate"],
        "mean_chance": _mean(seen.p[rows]),
        "promised_per_week": fact["promised_per_week"],
        "first": number == 0,
        "on_list": on_list[number],
        "waits": fact["selection"]["waits"],
        "control": int((seen.control & (seen.week == number)).sum()),
        "answers": _sum_answers(sales, rows),
        "missed": 0,
        "present": None,
    }


def _answers(opened: Opened, seen: Seen, horizon: int, until: int) -> dict[str, Flags]:
    """What sales really did with each lead within a horizon of each moment, as far as hand-overs are recorded."""
    table = opened.history.handovers
    lead, at = positions(opened.history, table["lead_id"]), microseconds(table["handed_at"], NEVER)
    answers = {"reached sales": np.zeros(len(seen.lead), dtype=bool)}
    for name in ("accepted", "rejected"):
        answers[name] = np.zeros(len(seen.lead), dtype=bool)
    keys = seen.lead.astype(np.int64)
    accepted, rejected = (microseconds(table[f"{n}_at"], NEVER) < until for n in ("accepted", "rejected"))
    for who, moment, yes, no in zip(lead, at, accepted, rejected, strict=True):
        low, high = np.searchsorted(keys, [who, who + 1])
        rows = slice(low, high)
        soon = (moment >= seen.at[rows]) & (moment - seen.at[rows] < horizon) & (moment < until)
        answers["reached sales"][rows] |= soon
        answers["accepted"][rows] |= soon & yes
        answers["rejected"][rows] |= soon & no
    return answers


def _sum_answers(sales: Mapping[str, Flags], rows: Flags) -> dict[str, int]:
    return {name: int((flags & rows).sum()) for name, flags in sales.items()}


def _per_week(moments: Integers, starts: Integers) -> list[int]:
    """Missed wins by the week before whose list the lead could have been handed over."""
    place = np.searchsorted(starts, moments, side="right") - 1
    return np.bincount(place[place >= 0], minlength=len(starts)).tolist()  # type: ignore[no-any-return]


def _present(
    opened: Opened, config: Config, seen: Seen, horizon: int, end: int, weeks: list[dict[str, Any]]
) -> tuple[dict[str, Any] | None, str | None]:
    """The present rule over the same weeks: a lead is handed over when the rule first chooses it."""
    rows, before = _rows_and_the_week_before(opened, seen, horizon)
    table = pa.table({"lead_id": opened.people.lead_id.take(pa.array(rows.lead))})
    rule, note = present_rule(opened.history, config, rows, opened.people, table=table)
    if rule is None:
        return None, note or "No present rule is known: name one in [policy], or supply [handovers]."
    if rule.marked is None:
        return None, f"{rule.name}: nobody said from how many points on a lead is an MQL ([policy] present_from)."
    chosen_before = np.unique(rows.lead[before & rule.marked])
    first = first_of_each(seen.lead, rule.marked[~before] & ~np.isin(seen.lead, chosen_before))
    by_week = handed(seen, first, weeks=len(weeks), horizon=horizon)
    for number, week in enumerate(weeks):
        week["present"] = {name: counts[number] for name, counts in by_week.items()}
    found, won_leads, _ = caught(seen, first, until=end)
    total = rates(int(first.sum()), int((first & seen.won(horizon)).sum()))
    equal = _equal_volume(seen, first, horizon)
    return {
        "name": rule.name, "sentence": rule.sentence, **total, "caught": found, "won_leads": won_leads,
        "equal_volume": equal,
    }, note  # fmt: skip


def _rows_and_the_week_before(opened: Opened, seen: Seen, horizon: int) -> tuple[Rows, Flags]:
    """Every walked row, and one a week before each lead's first: whom the rule had chosen by then it does not choose.

    Returns
    -------
    tuple of (Rows, ndarray of bool)
        Sorted by lead and moment; and which of them are those added.
    """
    leads, first = np.unique(seen.lead, return_index=True)
    there = opened.people.created[leads] < seen.at[first] - 7 * DAY
    lead = np.r_[seen.lead, leads[there]]
    at = np.r_[seen.at, seen.at[first][there] - 7 * DAY]
    won = np.r_[seen.won(horizon), np.zeros(int(there.sum()), dtype=bool)].astype(float)
    added = np.arange(len(lead)) >= len(seen.lead)
    order = np.lexsort((at, lead))
    lead, at = lead[order], at[order]
    return Rows(lead, at, at, at + horizon, won[order], opened.people.group[lead], "horizon"), added[order]


def _equal_volume(seen: Seen, first: Flags, horizon: int) -> dict[str, Any]:
    """In each week as many leads as the present rule newly chose: the best by chance, each lead once."""
    numbers = np.bincount(seen.week[first], minlength=int(seen.week.max(initial=0)) + 1)
    gone: set[int] = set()
    chosen = np.zeros(len(seen.lead), dtype=bool)
    for week, number in enumerate(numbers.tolist()):
        rows = np.flatnonzero(seen.week == week)
        best = [row for row in rows[np.argsort(-seen.p[rows], kind="stable")] if int(seen.lead[row]) not in gone]
        chosen[best[:number]] = True
        gone.update(int(seen.lead[row]) for row in best[:number])
    return rates(int(chosen.sum()), int((chosen & seen.won(horizon)).sum()))


def _control(seen: Seen, config: Config, horizon: int) -> dict[str, Any]:
    """Control leads beside the others, and how long a control group would take to tell anything."""
    rows = seen.control
    below = first_of_each(seen.lead, ~seen.new)
    rate = float(np.clip(_mean(seen.p[below]) or 0.0, 1e-6, 1 - 1e-6))
    days = int(config.label.horizon_days or 0)
    return {
        **rates(int(rows.sum()), int((rows & seen.won(horizon)).sum())),
        "per_week": config.policy.control_per_week,
        "expected_win_rate": rate,
        "leads_needed": leads_until_informative(rate),
        "weeks_needed": {
            str(k): weeks_until_informative(rate, k, horizon_days=days)
            for k in sorted({2, 5, 10, 20, config.policy.control_per_week} - {0})
        },
    }


def _volume(weeks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Weekly volume against the promise; the first week holds a backlog and is left out."""
    usual = [w for w in weeks if not w["first"]]
    counts = [w["handed_over"] for w in usual]
    promised = [w["promised_per_week"] for w in usual if w["promised_per_week"]]
    within = [
        w["promised_per_week"]["p10"] <= w["handed_over"] <= w["promised_per_week"]["p90"]
        for w in usual
        if w["promised_per_week"]
    ]
    return {
        "median_per_week": float(np.median(counts)) if counts else None,
        "promised_median_per_week": float(np.mean([p["median"] for p in promised])) if promised else None,
        "weeks_within_promise": int(np.sum(within)),
        "usual_weeks": len(usual),
    }


def _promised(weeks: Sequence[Mapping[str, Any]]) -> float | None:
    """What the policies of the weeks promised, by the leads handed over."""
    said = [(w["promised_win_rate"], w["handed_over"]) for w in weeks if w["promised_win_rate"] is not None]
    number = sum(n for _, n in said)
    return sum(rate * n for rate, n in said) / number if number else None


def _mean(p: npt.NDArray[np.float64]) -> float | None:
    return float(p.mean()) if len(p) else None
