"""What commands say, as text; printing is left to the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mqlml.errors import shown
from mqlml.show.figures import interval, percent, table
from mqlml.show.handing import handed
from mqlml.show.keeping import kept_events
from mqlml.show.outlook import in_short

if TYPE_CHECKING:
    from mqlml.workflows.demonstrating import Demonstration

__all__ = ["backtested", "check", "demonstrated", "scored", "threshold", "trained"]


def check(found: Mapping[str, Any], settings: str) -> str:
    """The review of a history before training; ``settings`` is their path, for the next command."""
    lines = [f"As of {found['as_of'] or 'no date'}", "", "Tables"]
    lines += table(
        ("table", "rows", "used", "quarantined", "skipped"),
        [
            (a["table"], f"{a['rows_in']:,}", f"{a['used']:,}", f"{a['quarantined']:,}", _reasons(a["skipped"]))
            for a in found["accounting"]
        ],
    )
    if "population" in found:
        lines += ["", "What could be learned", *_population(found["population"]), "", *_plan(found["plan"])]
    lines += ["", "Leak audit", *(_finding(f) for f in found["audit"] or ())]
    if not found["audit"]:
        lines.append("  nothing found")
    lines += ["", "Notes", *(f"  {note}" for note in found["notes"])]
    if found["problems"]:
        lines += ["", "A training would be refused:", *(f"  {p}" for p in found["problems"])]
    return "\n".join([*lines, *in_short(found, settings)])


def trained(summary: Mapping[str, Any], notes: Sequence[str]) -> str:
    """What a training found, for the terminal."""
    verdict, decision = summary["verdict"], summary["decision"]
    lines = ["", *_population(summary["population"]), "", *_plan(summary["plan"]), ""]
    lines += [_finding(finding) for finding in summary["audit"] if finding["level"] != "note"]
    figures = [(m["name"], interval(m["model"]), m["plain"]) for m in summary["evaluation"]["metrics"]]
    lines += ["Tested", *table(("figure", "value [90 % interval]", "meaning"), figures), ""]
    lines += [summary["level"]["sentence"], ""] if summary.get("level") else []
    rungs = [
        (
            r["name"],
            interval(r["log_loss"]),
            interval(r["auc"]),
            interval(r["model_better_by"]),
            interval(r["auc_better_by"]),
        )
        for r in summary["evaluation"]["ladder"]
    ]
    header = ("rule", "log loss", "AUC", "mqlml better by (log loss)", "(AUC)")
    lines += ["Against simpler rules", *table(header, rungs), *_present(summary["evaluation"]["present"]), ""]
    lines += _decision(decision)
    lines += ["", *(f"Note: {note}" for note in notes), "", f"Verdict: {verdict['code']}. {verdict['sentence']}"]
    lines += [f"  {detail}" for detail in verdict["details"]]
    return "\n".join(lines)


def scored(manifest: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> str:
    """What a scoring run did, for the terminal."""
    tiers = ", ".join(f"{n:,} {tier}" for tier, n in manifest["tiers"].items())
    lines = [f"Note: {note}" for note in manifest["notes"]]
    lines += [] if state is None else [kept_events(state)]
    lines.append(f"{manifest['rows_in']:,} leads in the file; skipped: {_reasons(manifest['skipped']) or 'none'}.")
    quality = {word: n for word, n in manifest["quality"].items() if n}
    lines.append(
        f"{manifest['scored']:,} scored ({tiers}); {manifest['mqls']:,} MQLs; {_reasons(quality) or 'all ok'}."
    )
    lines += _places(manifest["selection"])
    rules = manifest["selection"]["rules"]
    if rules:
        lines.append(f"Decided by rules beside the model: {_reasons(rules)}.")
    lines.append(f"Model {manifest['model_version']} ({manifest['review']}).")
    return "\n".join([*lines, *handed(manifest.get("handoff"))])


def backtested(summary: Mapping[str, Any]) -> str:
    """What a walk through past weeks found, for the terminal."""
    from mqlml.workflows.walkpages import headlines

    return "\n".join([*headlines(summary), *(f"Note: {note}" for note in summary["notes"])])


def threshold(found: Mapping[str, Any]) -> str:
    """A threshold with its evidence, others around it, and what is in force."""
    d = found["decision"]
    lines = _decision(d)
    lines += _evidence(d)
    rows = [
        (
            f"{100 * g['threshold']:.1f} %" + (" <" if g["chosen"] else ""),
            "-" if g["mqls_per_week"] is None else f"{g['mqls_per_week']:.0f}",
            "-" if g["win_rate"] is None else f"{100 * g['win_rate']:.1f} %",
            f"{100 * (g['share_of_wins'] or 0):.0f} %",
            "not measured" if g["net_per_week"] is None else f"{g['net_per_week']:,.0f}",
        )
        for g in d["grid"]
    ]
    head = ("threshold", "MQLs a week", "win rate", "share of wins", "value less cost a week")
    lines += ["", "Other thresholds", *table(head, rows), ""]
    if found["set"]:
        lines.append(f"In force from now on: policy {found['policy_version']} of {found['model_version']}.")
    elif found["policy_version"] == found["in_force"]:
        lines.append(f"This policy ({found['policy_version']}) is in force.")
    else:
        lines.append(
            f"Nothing was changed; in force: policy {found['in_force']}. Put this one in force with --set --author "
            "NAME --reason TEXT."
        )
    return "\n".join(lines)


def _evidence(d: Mapping[str, Any]) -> list[str]:
    """What else is known of a threshold: the promise, how far sales would get, money, and whether it still holds."""
    lines = []
    if d["ruled"]:
        lines.append(f"  {d['ruled']}")
    if d["certificate"]:
        c = d["certificate"]
        lines.append(
            f"  Certified: at least {100 * c['target']:.3g} % win (confidence {100 * c['confidence']:.3g} %; "
            f"{c['wins']:,} of {c['leads']:,} from {c['from']} to {c['to']}, bound {100 * c['bound']:.3g} %)."
        )
    steps = {"accepted": "accepted", "opportunity": "with an opportunity", "won": "won"}
    told = [
        f"{word} not measured" if d["of_100"][name] is None else f"{d['of_100'][name]:.0f} {word}"
        for name, word in steps.items()
    ]
    lines.append(f"  Of 100 MQLs: {', '.join(told)}.")
    if d["value"]:
        lines.append(f"  An MQL brings {_amount(d['value']['per_mql'])} on average.")
    if d["lift_over_present"]:
        times = interval(d["lift_over_present"])
        lines.append(f"  {times} times the win rate of the leads chosen today, whatever their number.")
    if d["drift"] and d["drift"]["warning"]:
        lines.append(f"  Warning: {d['drift']['warning']}")
    return lines


def _amount(found: Mapping[str, Any]) -> str:
    ends = "" if found["low"] is None else f" ({found['low']:,.0f} to {found['high']:,.0f})"
    return f"{found['value']:,.0f}{ends}"


def demonstrated(done: Demonstration) -> str:
    """Where the pieces of the demonstration lie, and what to do next."""
    decision, manifest = done.trained.summary["decision"], done.scored.manifest
    rates = (
        f"{percent(decision['win_rate'])} of such leads were won, against {100 * decision['base_rate']:.1f} % of all"
    )
    return "\n".join(
        [
            "Verdict: {code}. {sentence}".format(**done.trained.summary["verdict"]),
            f"{manifest['scored']:,} open leads scored, {manifest['mqls']:,} of them MQLs ({rates}).",
            *_places(manifest["selection"]),
            "",
            f"  history   {done.folder}",
            f"  settings  {done.folder / 'mqlml.toml'}",
            f"  scores    {done.scored.out}",
            f"  report    {done.trained.report}   <- open this in a browser",
            f"  model     {done.trained.bundle}",
            "",
            f"Next: mqlml check --config {done.folder / 'mqlml.toml'}",
        ]
    )


def _places(selection: Mapping[str, Any]) -> list[str]:
    """What is not seen from the MQLs alone: who waits, and why."""
    if not selection.get("waits"):
        return []
    used = f", since sales was handed {selection['used_this_week']:,} leads since Monday" * bool(
        selection.get("used_this_week")
    )
    return [f"{selection['waits']:,} more stand above the line and wait for a place{used}."]


def _population(p: Mapping[str, Any]) -> list[str]:
    target = "won" if p["target"] == "won" else f"entered '{p['target']}'"
    horizon = f"{target} within {p['horizon_days']} days" if p["horizon_days"] else "final outcome"
    sampled = f" (a random {100 * p['sampled']:.0f} % of the accounts)" if p["sampled"] < 1 else ""
    snapshots = f"{p['snapshots']:,} snapshots of {p['snapshot_leads']:,} leads{sampled}"
    return [
        f"{p['leads']:,} leads: {p['won']:,} won, {p['lost']:,} lost, {p['open']:,} open.",
        f"{snapshots}, {p['wins_in_snapshots']:,} of them won; "
        f"label: {horizon}; base rate {100 * p['base_rate']:.1f} %.",
        p["mode_sentence"],
        *_more_of_population(p),
    ]


def _more_of_population(p: Mapping[str, Any]) -> Iterator[str]:
    """Whose wins were counted, why leads were lost, and how long wins take."""
    wins = p["credit"]["wins"]
    if len(set(wins.values())) > 1:
        yield f"Leads won, by whose win it is: {_reasons(wins)}; counted by {p['credit']['used']}."
    if p["lost_reasons"]:
        reasons = {shown(reason): n for reason, n in p["lost_reasons"].items()}
        yield f"Lost: {_reasons(reasons)} (told, never learned from)."
    if p["win_curves"]:
        yield ""
        yield p["win_curves"]["advice"]
        yield from table(
            ("days", "won by then", "of all wins"),
            [
                (f"{c['days']:,}", f"{100 * c['win_rate']:.1f} %", f"{100 * c['share']:.0f} %")
                for c in p["win_curves"]["points"]
            ],
        )


def _plan(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    header = ("part", "from", "to", "snapshots", "leads", "won leads", "purpose")
    rows = [
        (
            p["part"],
            p["from"] or "-",
            p["to"] or "-",
            f"{p['snapshots']:,}",
            f"{p['leads']:,}",
            f"{p['wins']:,}",
            p["purpose"],
        )
        for p in parts
    ]
    return ["Window plan", *table(header, rows)]


def _present(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return [
            "  Your present rule is not in the data: see [policy] present_dates, present_stage, present_score, present."
        ]
    lines = [f"  {found['sentence']}"]
    if c := found["contest"]:
        lines.append(
            f"  At {c['leads']:,} leads each: {percent(c['win_rate'])} of the present rule's picks were won, "
            f"{percent(c['model_win_rate'])} of the model's."
        )
    return lines


def _decision(d: Mapping[str, Any]) -> list[str]:
    lines = ["Decision", f"  {d['rule']}"]
    if d["threshold"] is not None:
        lines.append(f"  MQL from a chance of {100 * d['threshold']:.1f} %.")
    if d["mqls_per_week"]:
        week = d["mqls_per_week"]
        lines.append(f"  {week['median']:.0f} MQLs in a usual week ({week['p10']:.0f} to {week['p90']:.0f}).")
    lines.append(
        f"  Win rate of MQLs {percent(d['win_rate'])} against {100 * d['base_rate']:.1f} % of all; "
        f"they hold {percent(d['share_of_wins'])} of the wins."
    )
    return lines + ([f"  {d['assumption']}"] if d["assumption"] else [])


def _finding(f: Mapping[str, Any]) -> str:
    waived = f" Waived: {f['waived']}" if f["waived"] else ""
    return f"  {f['level']:<5} '{f['column']}': {f['why']} ({f['figure']}). {f['remedy']}.{waived}"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
