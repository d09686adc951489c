"""The model card: the same summary as Markdown, for git and for MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mqlml.review.report.card_converts import converts_section
from mqlml.review.report.definition import definition_part
from mqlml.review.report.markdown import bullets as _list
from mqlml.review.report.markdown import safe as _safe
from mqlml.review.report.markdown import table as _table
from mqlml.review.report.words import (
    NOT_MEASURED,
    between,
    bounds,
    count,
    day,
    decimal,
    line,
    measure,
    number,
    part,
    percent,
    plain,
    reviewed,
    rows,
    sentence,
    tidy,
)

_MOST_DRIVERS = 20


def model_card(summary: Mapping[str, Any]) -> str:
    """Write the model card.

    Parameters
    ----------
    summary : mapping
        The training's summary as plain JSON; rates are 0..1. Parts that are absent read "not measured".

    Returns
    -------
    str
        Markdown; text that comes from data is escaped.
    """
    tidied = tidy(summary)
    sections = (
        _head,
        _use,
        _decision,
        definition_part,
        _population,
        _tests,
        _drivers,
        converts_section,
        _limits,
        _making,
    )
    return "\n\n".join(section(tidied) for section in sections) + "\n"


def _range(mapping: Mapping[str, Any], key: str) -> str:
    value, ends = number(mapping, key), bounds(mapping, key)
    return percent(value) if value is None or ends is None else f"{percent(value)} (likely {between(*ends)})"


def _head(summary: Mapping[str, Any]) -> str:
    verdict = part(summary, "verdict")
    facts = [
        f"Model version: {_safe(summary.get('model_version') or 'not stated')}",
        f"Policy version: {_safe(summary.get('policy_version') or 'not stated')}",
        f"World as of: {_safe(day(summary.get('as_of'))) if summary.get('as_of') else 'not stated'}",
        f"Review: {_safe(summary['review'], 80) if reviewed(summary.get('review')) else 'unreviewed'}",
        f"Verdict: {_safe(verdict.get('code') or 'not judged')}",
    ]
    said = [sentence(text) for text in (verdict.get("sentence"), *(verdict.get("details") or [])) if text]
    title = _safe(summary.get("title") or "Model card", 120)
    return f"# {title}\n\n{_list(facts)}" + "".join(f"\n\n{_safe(text, 600)}" for text in said)


def _use(summary: Mapping[str, Any]) -> str:
    horizon = number(part(summary, "population"), "horizon_days")
    within = "at the end" if horizon is None else f"within {count(horizon)} days"
    return (
        "## What it is for\n\n"
        f"It gives every open lead a chance to be won {within}, and names those that marketing should hand to sales. "
        "It does not say what causes wins, and it is not meant for decisions about people other than the order in "
        "which sales contacts them."
    )


def _decision(summary: Mapping[str, Any]) -> str:
    decision = part(summary, "decision")
    weekly = part(decision, "mqls_per_week")
    facts = [
        f"Rule: {_safe(sentence(decision.get('rule')) or NOT_MEASURED, 400)}",
        f"Threshold: {line(number(decision, 'threshold'))}",
        f"MQLs a week: {count(number(weekly, 'median'))}",
        f"Win rate of MQLs: {_range(decision, 'win_rate')}; of all leads: {percent(number(decision, 'base_rate'))}",
        f"Share of wins caught: {_range(decision, 'share_of_wins')}",
        f"Counted: {count(decision.get('mqls'))} MQLs with {count(decision.get('wins'))} wins",
    ]
    if decision.get("estimand"):
        facts.append(f"Counted as: {_safe(sentence(decision['estimand']))}")
    return f"## The decision\n\n{_list(facts)}"


def _population(summary: Mapping[str, Any]) -> str:
    found = part(summary, "population")
    names = (
        ("leads", "Leads"), ("accounts", "Accounts"), ("won", "Won"), ("lost", "Lost"), ("open", "Open"),
        ("snapshots", "Snapshots"), ("snapshot_leads", "Leads in snapshots"),
        ("wins_in_snapshots", "Wins in snapshots"), ("every_days", "Days between snapshots"),
    )  # fmt: skip
    facts = [f"{name}: {count(found.get(key))}" for key, name in names]
    facts.append(
        f"First and last snapshot: {_safe(day(found.get('first_snapshot')))}, {_safe(day(found.get('last_snapshot')))}"
    )
    plan = _table(
        ("Part", "From", "To", "Snapshots", "Leads", "Wins", "Purpose"),
        (
            (_safe(r.get("part"), 40), _safe(day(r.get("from"))), _safe(day(r.get("to"))), count(r.get("snapshots")),
             count(r.get("leads")), count(r.get("wins")), _safe(r.get("purpose") or "", 120))
            for r in rows(summary, "plan")
        ),
    )  # fmt: skip
    return f"## Data\n\n{_list(facts)}\n\nWhat was used for what:\n\n{plan}{_traffic(summary)}"


def _traffic(summary: Mapping[str, Any]) -> str:
    """What the rules against machine traffic left out; nothing where none applied."""
    found = rows(summary, "traffic")
    if not found:
        return ""
    lines = (
        (_safe(r.get("rule"), 90), *(count(r.get(key)) for key in ("seen", "dropped")),
         "–" if number(r, "share") is None else percent(number(r, "share")), count(r.get("leads")))
        for r in found
    )  # fmt: skip
    table = _table(("Rule", "Events looked at", "Not counted", "Share", "Leads"), lines)
    return f"\n\nMachine traffic left out:\n\n{table}"


def _tests(summary: Mapping[str, Any]) -> str:
    found = part(summary, "evaluation")
    words = [sentence(found.get("sentence")), sentence(part(summary, "population").get("mode_sentence"))]
    metrics = _table(
        ("Measure", "Value", "Likely between", "In words"),
        (
            (
                _safe(measure(m.get("name")), 60),
                decimal(number(m, "model")),
                _ends(m, "model"),
                _safe(m.get("plain") or ""),
            )
            for m in rows(found, "metrics")
        ),
    )
    ladder = _table(
        ("Way of ranking", "Log loss", "AUC", "Model better by (log loss)", "Likely between", "Model better by (AUC)",
         "Likely between"),
        (
            (_safe(r.get("name"), 60), decimal(number(r, "log_loss")), decimal(number(r, "auc")),
             "–" if r.get("is_model") else decimal(number(r, "model_better_by")), _ends(r, "model_better_by"),
             "–" if r.get("is_model") else decimal(number(r, "auc_better_by")), _ends(r, "auc_better_by"))
            for r in rows(found, "ladder")
        ),
    )  # fmt: skip
    said = _safe(" ".join(dict.fromkeys(w for w in words if w)) or "How it was tested: not measured.", 1200)
    present = _present(part(found, "present"))
    return f"## How it was tested\n\n{said}\n\n{metrics}\n\nAgainst simpler ways:\n\n{ladder}\n\n{present}"


def _present(found: Mapping[str, Any]) -> str:
    contest = part(found, "contest")
    if not found:
        return "Against the present rule: not measured; how leads are chosen today is not in the data."
    said = _safe(sentence(found.get("sentence")), 400)
    if not contest:
        return f"Against the present rule: its order alone is compared. {said}"
    ours, theirs = _range(contest, "model_win_rate"), _range(contest, "win_rate")
    leads = count(contest.get("leads"))
    return f"Of {leads} leads that the present rule chose {theirs} were won, of as many of the model's {ours}. {said}"


def _ends(mapping: Mapping[str, Any], key: str) -> str:
    ends = bounds(mapping, key)
    return "–" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _drivers(summary: Mapping[str, Any]) -> str:
    found = rows(summary, "drivers")
    table = _table(
        ("Criterion", "Kind", "Weight", "Direction", "In words"),
        (
            (_safe(r.get("criterion"), 60), _safe(r.get("group") or "–"), percent(number(r, "importance")),
             _safe(r.get("direction") or "–"), _safe(sentence(r.get("sentence"))))
            for r in found[:_MOST_DRIVERS]
        ),
    )  # fmt: skip
    left = len(found) - _MOST_DRIVERS
    return f"## What counts\n\n{table}" + (f"\n\nAnd {left} more." if left > 0 else "")


def _limits(summary: Mapping[str, Any]) -> str:
    notes = [_safe(sentence(note), 600) for note in summary.get("notes") or []]
    notes += [f"Used without being declared: {_safe(column, 80)}." for column in summary.get("undeclared") or []]
    findings = _table(
        ("Level", "Column", "Finding", "Why", "Waived"),
        (
            tuple(_safe(r.get(key) or "–") for key in ("level", "column", "figure", "why", "waived"))
            for r in rows(summary, "audit")
        ),
    )
    if summary.get("audit") == []:
        findings = "Nothing was found."
    return f"## Limits\n\n{_list(notes) or 'There is nothing to note.'}\n\nLeak audit:\n\n{findings}"


def _making(summary: Mapping[str, Any]) -> str:
    facts = [f"Features: {count(summary.get('features'))}"]
    facts += [f"{_safe(key, 60)}: {_safe(plain(value))}" for key, value in part(summary, "recipe").items()]
    facts += [f"{_safe(key, 60)} {_safe(value, 60)}" for key, value in part(summary, "versions").items()]
    return f"## How it was made\n\n{_list(facts)}"
