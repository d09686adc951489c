"""A walk through past weeks as a page to read and as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["headlines", "markdown", "week_rows"]


def headlines(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know, in sentences."""
    total, days = summary["total"], summary["horizon_days"]
    lines = [
        f"{len(summary['weeks'])} weeks up to {_date(summary['weeks'][-1]['as_of'])}, leads followed for {days} days. "
        "In every week only what was known then was used.",
        f"Handed over: {total['handed_over']:,} leads, of which {total['won']:,} were won within {days} days: "
        f"{_rate(total)}, promised {_percent(total['promised_win_rate'])} (mean chance "
        f"{_percent(total['mean_chance'])}).",
        f"Of {total['won_leads']:,} leads won in these weeks after they had been candidates, {total['caught']:,} had "
        f"been handed over before and {total['missed']:,} had not.",
        *_volume(total),
        *_present(summary["present"], days),
    ]
    answers = total["answers"]
    if answers["reached sales"]:
        lines.append(
            f"Sales really got {answers['reached sales']:,} of them within {days} days: accepted "
            f"{answers['accepted']:,}, rejected {answers['rejected']:,}."
        )
    turns, weeks = summary["flips"], max(1, summary["flips"]["weeks"])
    lines.append(
        f"Changes of side a week after a lead was first above the line: {turns['single_threshold'] / weeks:.1f} with "
        f"the threshold alone, {turns['enter_and_stay'] / weeks:.1f} with enter and stay thresholds."
    )
    return [*lines, *_control(summary["control"])]


def _volume(total: Mapping[str, Any]) -> Iterator[str]:
    promised, found = total["promised_median_per_week"], total["median_per_week"]
    if promised is not None and found is not None:
        weeks = f"{total['weeks_within_promise']} of {total['usual_weeks']} weeks"
        yield f"A usual week had {found:.0f} new MQLs, promised {promised:.0f}; {weeks} were within the promised range."


def _present(present: Mapping[str, Any] | None, days: int) -> Iterator[str]:
    if present is None:
        return
    equal = present["equal_volume"]
    yield (
        f"{present['name'][0].upper()}{present['name'][1:]}: {present['handed_over']:,} leads, {present['won']:,} won "
        f"within {days} days ({_rate(present)}); {present['caught']:,} of the {present['won_leads']:,} wins. As many "
        f"leads of the same weeks, best chance first: {equal['won']:,} won ({_rate(equal)})."
    )


def _control(control: Mapping[str, Any]) -> Iterator[str]:
    if control["handed_over"]:
        yield (
            f"Control leads below the line, counted apart: {control['handed_over']:,}, of which {control['won']:,} "
            f"were won ({_rate(control)}), expected {_percent(control['expected_win_rate'])}."
        )
        return
    times = ", ".join(f"{k} a week {weeks:,} weeks" for k, weeks in control["weeks_needed"].items())
    yield (
        f"No control leads. {control['leads_needed']:,} would be needed to know the win rate below the line "
        f"(about {_percent(control['expected_win_rate'])}) to within half of itself: with {times}."
    )


def markdown(summary: Mapping[str, Any]) -> str:
    """The whole page."""
    lines = ["# Past weeks, walked again", "", f"Policy: {summary['policy']}", ""]
    lines += [f"- {line}" for line in headlines(summary)]
    lines += ["", "## Week by week", "", *_table(summary["weeks"]), ""]
    lines += [
        "`range` and `promised` are what the policy in use that week said: its weekly volume (p10 to p90) and the win "
        "rate of leads when they first cross the line, both from the replay on which its threshold was set. `mean "
        "chance` is that of the leads handed over; winners leave early and the others are looked at again and again, "
        "so it can lie below. The first week holds a backlog. `missed` were won in that week without having been "
        "handed over. What sales would have done with leads it never got is not known: a win counts as it happened.",
        "",
    ]
    lines += [f"Note: {note}" for note in summary["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def week_rows(weeks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One flat row a week, for a spreadsheet."""
    return [
        {
            "week": w["as_of"],
            "model_version": w["model_version"],
            "threshold": w["threshold"],
            "candidates": w["candidates"],
            "handed_over": w["handed_over"],
            "promised_low": (w["promised_per_week"] or {}).get("p10"),
            "promised_high": (w["promised_per_week"] or {}).get("p90"),
            "won": w["won"],
            "win_rate": w["win_rate"],
            "win_rate_low": w["low"],
            "win_rate_high": w["high"],
            "promised_win_rate": w["promised_win_rate"],
            "mean_chance": w["mean_chance"],
            "on_list": w["on_list"],
            "waits": w["waits"],
            "control": w["control"],
            "reached_sales": w["answers"]["reached sales"],
            "accepted": w["answers"]["accepted"],
            "rejected": w["answers"]["rejected"],
            "missed": w["missed"],
            "present_handed_over": None if w["present"] is None else w["present"]["handed_over"],
            "present_won": None if w["present"] is None else w["present"]["won"],
        }
        for w in weeks
    ]


def _table(weeks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    header = (
        "week", "new", "range", "won", "win rate", "promised", "mean chance", "on list", "wait", "accepted", "missed",
        "present rule: new", "won",
    )  # fmt: skip
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for w in weeks:
        span, beside = w["promised_per_week"], w["present"] or {"handed_over": "-", "won": "-"}
        volume = "-" if not span else f"{span['p10']:.0f} to {span['p90']:.0f}"
        cells = (
            _date(w["as_of"]), w["handed_over"], volume, w["won"],
            _percent(w["win_rate"]), _percent(w["promised_win_rate"]), _percent(w["mean_chance"]), w["on_list"],
            w["waits"], w["answers"]["accepted"], w["missed"], beside["handed_over"], beside["won"],
        )  # fmt: skip
        yield f"| {' | '.join(str(cell) for cell in cells)} |"


def _date(moment: str) -> str:
    return moment[:10]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _rate(found: Mapping[str, Any]) -> str:
    if found["win_rate"] is None:
        return "no win rate"
    return f"{100 * found['win_rate']:.1f} % [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"
