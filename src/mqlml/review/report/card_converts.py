"""The part of the model card that says what converts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mqlml.review.report.converts_charts import AGAINST, RATES
from mqlml.review.report.markdown import safe, table
from mqlml.review.report.words import between, count, day, decimal, number, part, percent, rows

__all__ = ["converts_section"]

Row = Mapping[str, Any]
_MOST_ROWS = 12


def converts_section(summary: Mapping[str, Any]) -> str:
    """Write what went along with winning; a line where nothing was counted."""
    found = part(summary, "converts")
    head = "## What converts\n\n"
    if not number(found, "leads"):
        return f"{head}Not measured."
    days = number(found, "horizon_days")
    within = "" if days is None else f" within {count(days)} days"
    said = (
        f"{count(found['leads'])} leads that can be judged, {percent(number(found, 'win_rate'))} of them won{within}"
        f"{_likely(found)}. Counted is what was known before a lead was decided and before sales took it. It went "
        "along with winning; whether it brought it about is not shown."
    )
    return "\n\n".join([head + said, *_rates(found), *_columns(found), *_credit(found), *_ways(found), *_costs(found),
                        *_lost(found)])  # fmt: skip


def _likely(row: Row) -> str:
    ends = between(row.get("low"), row.get("high"))
    return f" (likely {ends})" if ends else ""


def _rates(found: Row) -> Iterator[str]:
    for key, (one, _) in RATES.items():
        told = rows(part(found, key), "rows")[:_MOST_ROWS]
        if told:
            yield table((one, "Leads", "Won", "Win rate", "Likely between", "Against all"), map(_rate, told))


def _rate(row: Row) -> tuple[str, ...]:
    ends = between(row.get("low"), row.get("high")) or "–"
    against = AGAINST.get(str(row.get("against")), "–")
    rate = percent(number(row, "win_rate"))
    return (safe(row.get("name"), 60), count(row.get("leads")), count(row.get("wins")), rate, ends, against)


def _columns(found: Row) -> Iterator[str]:
    told = rows(part(found, "columns"), "rows")
    if told:
        lines = (
            (safe(r.get("name"), 60), percent(r.get("filled")), percent(number(r, "win_rate")),
             percent(number(part(r, "without"), "win_rate")), decimal(number(r, "auc")))
            for r in told
        )  # fmt: skip
        yield table(("Column alone", "Filled", "Won where filled", "Won where not", "AUC"), lines)


def _credit(found: Row) -> Iterator[str]:
    for told in rows(found, "contribution"):
        lines = (
            (safe(r.get("name"), 60), *(percent(number(r, key)) for key in ("first", "last", "part", "removal")))
            for r in rows(told, "rows")
        )
        yield table(("Share of wins", "Opened", "Closed", "Took part in", "Missing without it"), lines)


def _ways(found: Row) -> Iterator[str]:
    journeys = part(found, "journeys")
    for who, name in (("won", "Won"), ("other", "Not won")):
        touches, days = part(part(journeys, "touches"), who), part(part(journeys, "days"), who)
        if number(touches, "median") is not None:
            yield (
                f"{name}: {count(number(touches, 'median'))} touches in the middle, "
                f"{_days(number(days, 'median'))} from the first to the decision."
            )
    told = rows(part(journeys, "paths"), "rows")
    if told:
        yield table(("First steps", "Leads", "Won", "Win rate", "Likely between", "Against all"), map(_rate, told))


def _days(median: float | None) -> str:
    return "days not measured" if median is None else f"{count(round(median))} days"


def _costs(found: Row) -> Iterator[str]:
    spend = part(found, "spend")
    told = rows(spend, "rows")
    if not told:
        yield "Cost of a lead, an MQL and a win: not measured."
        return
    yield f"Costs from {safe(day(spend.get('from')))} to {safe(day(spend.get('to')))}:"
    lines = (
        (safe(r.get("campaign"), 60), *(count(number(r, key)) for key in ("cost", "leads", "wins")),
         *(_amount(number(r, key)) for key in ("per_lead", "per_mql", "per_win")))
        for r in told
    )  # fmt: skip
    yield table(("Campaign", "Cost", "Leads", "Won", "A lead", "An MQL", "A win"), lines)


def _amount(value: float | None) -> str:
    return "–" if value is None else count(value)


def _lost(found: Row) -> Iterator[str]:
    told = rows(part(found, "lost"), "rows")
    if told:
        lines = ((safe(r.get("reason"), 60), count(r.get("losses")), percent(number(r, "share"))) for r in told)
        yield table(("Why lost", "Losses", "Share of those with a reason"), lines)
