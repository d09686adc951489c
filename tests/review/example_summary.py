"""A realistic training summary, made up but consistent, for the report's tests."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from mqlml.learning.drift import Level
from mqlml.review.level import level_now

HOSTILE = {
    "script": "<script>document.title='owned'</script>",
    "closing": "</script></style></svg><img src=x onerror=alert(1)>",
    "quotes": "\"><b onmouseover='x'>`${7*7}`{{ 7*7 }}",
    "right to left": "\u202eאבג deal\u202c מחיר",
    "emoji": "🔥👩‍💻 pricing 🚀",
    "long": "w" * 10_000,
    "surrogate": "broken \ud800 \x00\x07 half",
}


def interval(value: float, half: float) -> dict[str, float]:
    """An interval symmetric around its value, cut at nothing."""
    return {"value": value, "low": round(value - half, 4), "high": round(value + half, 4)}


def _grid() -> list[dict[str, Any]]:
    choices = ((20, 0.41), (40, 0.33), (60, 0.27), (90, 0.22), (118, 0.187), (160, 0.14), (220, 0.1), (300, 0.07))
    rows = []
    for weekly, threshold in choices:
        share = weekly / 674
        caught = 1 - math.exp(-share / 0.24)
        win_rate = caught * 0.0815 / share
        rows.append(
            {
                "threshold": threshold,
                "mqls_per_week": weekly,
                "win_rate": round(win_rate, 4),
                "win_rate_low": round(win_rate - 0.165 / math.sqrt(weekly), 4),
                "win_rate_high": round(win_rate + 0.165 / math.sqrt(weekly), 4),
                "share_of_wins": round(caught, 4),
                "share_of_leads": round(share, 4),
                "mqls_per_week_low": round(0.84 * weekly),
                "mqls_per_week_high": round(1.15 * weekly),
                "share_of_wins_low": round(caught - 0.03, 4),
                "share_of_wins_high": round(caught + 0.03, 4),
                "net_per_week": round(weekly * (4_000 * win_rate - 80)),
                "chosen": weekly == 118,
            }
        )
    return rows


def _tiers() -> list[dict[str, Any]]:
    rows: tuple[tuple[str, float, float, float, float, float, int, int, str], ...] = (
        ("hot", 0.35, 1.0, 0.04, 0.43, 0.05, 702, 302, "Call within one working day."),
        ("mql", 0.187, 0.35, 0.135, 0.186, 0.018, 2366, 440, "Hand over; first contact within three working days."),
        ("nurture", 0.06, 0.187, 0.395, 0.083, 0.008, 6924, 575, "Keep in the newsletter and webinar programme."),
        ("cold", 0.0, 0.06, 0.43, 0.015, 0.003, 7536, 113, "No sales time; look again when they act."),
    )
    keys = ("tier", "from", "to", "share_of_leads", "leads", "wins", "action")
    return [
        {**dict(zip(keys, (t, a, b, share, n, w, act), strict=True)), "win_rate": interval(rate, half)}
        for t, a, b, share, rate, half, n, w, act in rows
    ]


def _weeks() -> list[dict[str, Any]]:
    first = date(2025, 9, 1)
    return [
        {
            "week": (first + timedelta(weeks=k)).isoformat(),
            "mqls": 118 + (k * 37) % 41 - 20,
            "wins": 28 + (k * 23) % 15 - 7,
        }
        for k in range(26)
    ]


def _decision() -> dict[str, Any]:
    return {
        "kind": "capacity",
        "rule": "Hand over leads so that a usual week has at most 120 new MQLs.",
        "assumption": "Sales can take 120 MQLs a week, as stated in the configuration.",
        "threshold": 0.187,
        "mqls_per_week": {"median": 118, "p10": 99, "p90": 136},
        "win_rate": interval(0.242, 0.015),
        "share_of_wins": interval(0.519, 0.032),
        "share_of_leads": 0.175,
        "base_rate": 0.0815,
        "lift": interval(2.97, 0.19),
        "mqls": 3068,
        "wins": 742,
        "weeks": 26,
        "of_100": {"handed": 61.0, "accepted": 44.0, "opportunity": 33.0, "won": 24.2},
        "value": {"per_mql": interval(968, 71), "net_per_mql": 888, "per_week": 114_224, "net_per_week": 104_784},
        "lift_over_present": interval(1.61, 0.22),
        "certificate": {
            "target": 0.2,
            "confidence": 0.9,
            "threshold": 0.187,
            "leads": 540,
            "wins": 128,
            "bound": 0.213,
            "steps": 58,
            "from": "2025-03-03",
            "to": "2025-08-25",
        },
        "drift": {
            "before": {"leads": 540, "wins": 128, "rate": 0.237},
            "newest": {"leads": 498, "wins": 71, "rate": 0.1426},
            "p_value": 0.0001,
            "warning": "In the newest weeks whose outcomes are known 14.3 % of 498 MQLs were won.",
        },
        "net_benefit": [{"threshold": t / 100, "model": 8 - 0.3 * t, "all": 8 - 0.9 * t} for t in range(26)],
        "sensitivity": [
            {
                "rule": "capacity_per_week",
                "setting": 60,
                "threshold": 0.27,
                "mqls_per_week": 60,
                "win_rate": 0.31,
                "share_of_wins": 0.31,
            },
            {
                "rule": "cost",
                "setting": 9_000,
                "threshold": None,
                "mqls_per_week": None,
                "win_rate": None,
                "share_of_wins": None,
            },
        ],
        "changed_by": {"author": "A. Lee", "reason": "new day rate of sales", "number": 1},
        "estimand": "Share of leads won within 90 days of being handed over; what sales did then is part of it.",
        "grid": _grid(),
        "tiers": _tiers(),
        "weeks_replayed": _weeks(),
    }


def _evaluation() -> dict[str, Any]:
    promised = (0.008, 0.016, 0.027, 0.041, 0.058, 0.079, 0.108, 0.152, 0.224, 0.401)
    won = (0.007, 0.018, 0.024, 0.043, 0.062, 0.074, 0.115, 0.149, 0.238, 0.372)
    rungs = (
        ("base rate", "base rate", 0.2834, 0.5, 0.0412, 0.0038),
        ("win rate by source", "win rate by source", 0.2741, 0.611, 0.0319, 0.0036),
        ("your present rule: 1 condition", "present rule", 0.2688, 0.648, 0.0266, 0.0041),
        ("Odoo's method", "Odoo's method", 0.2694, 0.631, 0.0272, 0.0049),
        ("Odoo's method with engagement", "Odoo's method with engagement", 0.2794, 0.731, 0.0372, 0.0049),
        ("logistic regression", "logistic regression", 0.2447, 0.779, 0.0025, 0.0031),
    )
    ladder = [
        {
            "name": name,
            "kind": kind,
            "log_loss": interval(loss, 0.006),
            "auc": interval(auc, 0.009),
            "model_better_by": interval(gain, half),
            "auc_better_by": interval(0.787 - auc, 0.01),
            "more_wins": 380 if gain < half else 0,
            "is_model": False,
        }
        for name, kind, loss, auc, gain, half in rungs
    ]
    nothing = dict.fromkeys(("model_better_by", "auc_better_by", "more_wins"))
    model = {"log_loss": interval(0.2422, 0.0058), "auc": interval(0.787, 0.008)}
    ladder.append({"name": "mqlml", "kind": "model", **model, **nothing, "is_model": True})
    return {
        "window": {"from": "2025-09-01", "to": "2026-03-02", "snapshots": 17528, "leads": 6120, "wins": 702},
        "sentence": "Tested on the 26 newest weeks whose outcome is known; none of them was used for learning.",
        "metrics": [
            {
                "name": "log_loss",
                "model": interval(0.2422, 0.0058),
                "plain": "how wrong the promises are; smaller is better, 0.283 is guessing",
            },
            {
                "name": "auc",
                "model": interval(0.787, 0.008),
                "plain": "of a later winner and a later loser, how often the winner is ranked higher",
            },
            {"name": "slope", "model": interval(0.97, 0.05), "plain": "1 means neither bold nor timid"},
        ],
        "ladder": ladder,
        "present": {
            "name": "your present rule: 1 condition",
            "sentence": "The points of 1 condition in [[policy.present]] at the moment of each snapshot; an MQL has at "
            "least 1.",
            "contest": {
                "leads": 804,
                "wins": 121,
                "model_leads": 804,
                "model_wins": 236,
                "per_week": 29.6,
                "win_rate": interval(0.1505, 0.021),
                "model_win_rate": interval(0.2935, 0.027),
                "difference": interval(0.143, 0.029),
                "share_of_wins": interval(0.172, 0.024),
                "model_share_of_wins": interval(0.336, 0.029),
            },
        },
        "brier_parts": {"miscalibration": 0.0006, "discrimination": 0.0112, "uncertainty": 0.0749},
        "ece_if_perfect": 0.0051,
        "ece_if_perfect_high": 0.0074,
        "looks": [
            {
                "part": "final test",
                "use": "predicted once by models that had not seen it",
                "snapshots": 17528,
                "wins": 702,
            },
            {"part": "final test", "use": "final figures, ladder and verdict", "snapshots": 17528, "wins": 702},
        ],
        "reliability": [
            {
                "promised": p,
                "won": w,
                "low": round(max(0.0, w - 1.96 * math.sqrt(w * (1 - w) / 1300)), 4),
                "high": round(w + 1.96 * math.sqrt(w * (1 - w) / 1300), 4),
                "snapshots": 1753,
                "leads": 1300,
            }
            for p, w in zip(promised, won, strict=True)
        ],
        "by_month": [
            {
                "month": f"{2025 + (8 + k) // 12}-{(8 + k) % 12 + 1:02d}",
                "promised": 0.08 + 0.004 * math.sin(k),
                "won": 0.081 + 0.009 * math.sin(1.7 * k),
                "snapshots": 2900 - 40 * k,
            }
            for k in range(6)
        ],
        "by_segment": [
            {
                "segment": "Industry: Manufacturing",
                "column": "Industry",
                "promised_alike": 0.088,
                "promised": 0.094,
                "won": 0.097,
                "low": 0.085,
                "high": 0.109,
                "snapshots": 5210,
                "leads": 1900,
                "wins": 181,
                "auc": 0.779,
            },
            {
                "segment": "Industry: Software",
                "promised": 0.112,
                "won": 0.108,
                "low": 0.096,
                "high": 0.12,
                "snapshots": 4402,
                "leads": 1610,
                "wins": 172,
                "auc": 0.791,
            },
            {
                "segment": "Industry: Public sector",
                "promised": 0.041,
                "won": 0.029,
                "low": 0.017,
                "high": 0.041,
                "snapshots": 2310,
                "leads": 840,
                "wins": 24,
                "auc": 0.744,
            },
            {
                "segment": "No tracked activity",
                "promised": 0.022,
                "won": 0.025,
                "low": 0.013,
                "high": 0.037,
                "snapshots": 5606,
                "leads": 1770,
                "wins": 44,
                "auc": 0.668,
            },
        ],
    }


def _win_curves() -> dict[str, Any]:
    days = range(30, 301, 30)
    shares = [1 - math.exp(-d / 39) for d in days]
    points = [
        {"days": d, "win_rate": round(0.1 * share, 4), "share": round(share, 4)}
        for d, share in zip(days, shares, strict=True)
    ]
    return {"points": points, "enough_days": 90, "watched_days": 640, "horizon_days": 90, "horizon_share": 0.9,
            "advice": "90 % of the wins come within 90 days. The horizon of 90 days sees 90 % of them.",
            "hint": ""}  # fmt: skip


def _plan() -> list[dict[str, Any]]:
    rows = (
        ("fit", "2023-06-05", "2024-12-30", 61210, 12480, 2604, "the model learns who wins"),
        ("calibrate", "2025-01-06", "2025-05-26", 14822, 5310, 702, "chances are brought in line with what happened"),
        ("compare", "2025-06-02", "2025-08-25", 8764, 4105, 398, "recipes compete; the best is kept"),
        ("final test", "2025-09-01", "2026-03-02", 17528, 6120, 702, "looked at once, for this report"),
    )
    keys = ("part", "from", "to", "snapshots", "leads", "wins", "purpose")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _audit() -> list[dict[str, Any]]:
    return [
        {"level": "block", "column": "opportunity_amount", "figure": "filled for 98 % of wins and 2 % of others",
         "why": "it is known only once the lead is almost won", "remedy": "exclude it, or supply its history",
         "waived": "Filled by the web form since 2022, checked with sales operations"},
        {"level": "ask", "column": "lead_status", "figure": "separates winners with AUC 0.93 by itself",
         "why": "it may be set after the decision", "remedy": "supply its change history", "waived": None},
        {"level": "note", "column": "utm[source]", "figure": "missing for 41 % of leads",
         "why": "tracking began in March 2024", "remedy": "nothing to do", "waived": None},
    ]  # fmt: skip


def _shape(labels: tuple[str, ...], rates: tuple[float, ...], leads: tuple[int, ...]) -> list[dict[str, Any]]:
    total = sum(leads)
    return [
        {"label": label, "share": round(n / total, 4), "win_rate": rate, "leads": n,
         "low": round(max(0.0, rate - 1.96 * math.sqrt(rate * (1 - rate) / n)), 4),
         "high": round(rate + 1.96 * math.sqrt(rate * (1 - rate) / n), 4)}
        for label, rate, n in zip(labels, rates, leads, strict=True)
    ]  # fmt: skip


def _rate(name: str, leads: int, wins: int, against: str) -> dict[str, Any]:
    rate = wins / leads
    half = 1.645 * math.sqrt(rate * (1 - rate) / leads)
    return {"name": name, "leads": leads, "wins": wins, "win_rate": round(rate, 4), "low": round(rate - half, 4),
            "high": round(rate + half, 4), "against": against}  # fmt: skip


def _credited(name: str, first: float, last: float, took_part: float, removal: float) -> dict[str, Any]:
    return {"name": name, "leads": 1800, "first": first, "last": last, "part": took_part, "removal": removal}


def _spread(leads: int, median: float, low: float, high: float) -> dict[str, float]:
    return {"leads": leads, "median": median, "low": low, "high": high}


def _cost(campaign: str, cost: float, leads: int, mqls: int | None, wins: int) -> dict[str, Any]:
    return {"campaign": campaign, "cost": cost, "leads": leads, "mqls": mqls, "wins": wins, "win_rate": wins / leads,
            "per_lead": cost / leads, "per_mql": cost / mqls if mqls else None,
            "per_win": {"value": cost / wins, "low": 0.8 * cost / wins, "high": 1.3 * cost / wins} if wins
            else {"value": None, "low": cost / 3, "high": None}}  # fmt: skip


def _converts() -> dict[str, Any]:
    paths = [
        {**_rate("page_view → form_submit", 3120, 290, "unclear"), "steps": ["page_view", "form_submit"]},
        {**_rate("webinar → demo", 412, 92, "above"), "steps": ["webinar", "demo"]},
    ]
    reasons = [{"reason": "no response", "share": 0.5}, {"reason": "no budget", "share": 0.31}]
    lost = {"losses": 13904, "stated": 10604, "rest": {"reasons": 12, "losses": 90},
            "rows": [{"reason": "no response", "losses": 6210, "share": 0.586, "low": 0.578, "high": 0.594},
                     {"reason": "no budget", "losses": 3104, "share": 0.293, "low": 0.286, "high": 0.3}],
            "by_source": [{"source": "partner", "losses": 2012, "reasons": reasons}]}  # fmt: skip
    return {
        "leads": 14210, "wins": 1190, "win_rate": 0.0837, "low": 0.0799, "high": 0.0876, "horizon_days": 90,
        "least": 20, "left_out": ["call", "meeting", "email_open"], "machines": True,
        "sources": {"rows": [_rate("partner", 2310, 301, "above"), _rate("paid search", 4410, 340, "unclear"),
                             _rate("list import", 1870, 72, "below")],
                    "rest": {"names": 7, **_rate("rest", 310, 22, "unclear")}, "least": 20},
        "pages": {"rows": [_rate("/pricing", 3104, 512, "above"), _rate("/careers", 902, 60, "unclear")],
                  "rest": None, "least": 20},
        "offers": {"rows": [_rate("demo", 610, 190, "above"), _rate("page_view", 11020, 980, "unclear")], "rest": None,
                   "least": 20},
        "first_type": {"rows": [_rate("page_view", 9800, 840, "unclear"), _rate("no touch seen", 1400, 62, "below")],
                       "rest": None, "least": 20},
        "columns": {"leads": 14210, "more": 2, "rows": [
            {"name": "company_size", "filled": 0.82, "leads": 11650, "win_rate": 0.091, "low": 0.087, "high": 0.096,
             "without": {"win_rate": 0.05, "low": 0.044, "high": 0.057}, "auc": interval(0.59, 0.012)},
            {"name": "country", "filled": 1.0, "leads": 14210, "win_rate": 0.0837, "low": 0.0799, "high": 0.0876,
             "without": {"win_rate": None, "low": None, "high": None}, "auc": interval(0.502, 0.011)},
        ]},
        "contribution": [
            {"kind": "channel", "wins": 1090, "more": 0, "rows": [_credited("web", 0.9, 0.7, 0.98, 0.7),
                                                                  _credited("email", 0.1, 0.3, 0.4, 0.3)]},
            {"kind": "event_type", "wins": 1090, "more": 0, "rows": [_credited("demo", 0.05, 0.4, 0.5, 0.6),
                                                                     _credited("page_view", 0.95, 0.6, 0.97, 0.4)]},
        ],
        "journeys": {
            "touches": {"won": _spread(1190, 10, 4, 16), "other": _spread(13020, 6, 2, 11)},
            "days": {"won": _spread(1080, 44.2, 29.1, 62.6), "other": _spread(9020, 108.7, 84.4, 151.2)},
            "shares": [{"touches": "0", "won": 0.1, "other": 0.2, "leads": 2700},
                       {"touches": "1 to 2", "won": 0.3, "other": 0.5, "leads": 6900},
                       {"touches": "3 or more", "won": 0.6, "other": 0.3, "leads": 4610}],
            "paths": {"rows": paths, "rest": {"paths": 61, "leads": 2010}},
        },
        "lost": lost,
        "spend": {"from": "2025-01-01", "to": "2026-01-01", "marked_by": "handed over to sales", "more": 0,
                  "rows": [_cost("spring-fair", 45_300.0, 252, 32, 16), _cost("search", 28_000.5, 332, None, 0)],
                  "total": _cost("all", 73_300.5, 584, 32, 16), "young": 6_156.9,
                  "unknown": {"campaigns": 2, "cost": 1_200.0}, "without": 41},
    }  # fmt: skip


def _driver(criterion: str, group: str, importance: float, direction: str, sentence: str,
            coverage: float | None, shape: list[dict[str, Any]]) -> dict[str, Any]:  # fmt: skip
    return {"criterion": criterion, "group": group, "importance": importance, "direction": direction,
            "sentence": sentence, "coverage": coverage, "shape": shape, "split": _split(shape)}  # fmt: skip


def _split(shape: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The best value of a shape against the worst, as if these were all."""
    if not shape:
        return None
    best, worst = max(shape, key=lambda b: b["win_rate"]), min(shape, key=lambda b: b["win_rate"])
    sides = [{"value": b["win_rate"], "low": b["low"], "high": b["high"], "leads": b["leads"]} for b in (best, worst)]
    return {"having": best["label"], "share": best["share"], "with": sides[0], "without": sides[1],
            "periods": 6, "held": 5}  # fmt: skip


def _definition() -> dict[str, Any]:
    return {
        "exclusions": [
            "Never handed over: students (industry is education).",
            "Never handed over: competitors (company contains acme).",
            "On the list of suppressed leads (214 now).",
            "Known to be duplicate.",
            "Came in, or came back, more than 180 days ago (dormant).",
            "Rejected by sales in the last 90 days, unless the lead acts anew.",
        ],
        "beside": ["Always handed over: demo request (at least 1 'demo request' in the last 30 days)."],
        "follow_up_days": 2.0,
        "first_touch": {"handed": 4210, "touched": 3877, "median_days": 0.8, "p90_days": 3.4,
                        "in_time": interval(0.81, 0.01)},
        "reasons": [{"reason": "not reachable", "share": 0.41}, {"reason": "no budget", "share": 0.22},
                    {"reason": "wrong contact", "share": 0.2}, {"reason": "other", "share": 0.17}],
        "reasons_from": "hand-overs",
        "owner": "Mara Lindqvist, marketing",
        "review_on": "2026-08-30",
    }  # fmt: skip


def _sensitive() -> list[dict[str, Any]]:
    rows = (("gender", "female", 2410, 0.171, 0.081, 0.083), ("gender", "male", 3105, 0.18, 0.082, 0.081),
            ("gender", "not supplied", 605, 0.09, 0.05, 0.062))  # fmt: skip
    return [
        {"column": column, "value": value, "leads": leads, "wins": round(leads * won), "mqls": interval(mqls, 0.014),
         "win_rate": interval(0.24, 0.03), "promised": interval(promised, 0.002), "won": interval(won, 0.009),
         "difference": interval(won - promised, 0.01)}
        for column, value, leads, mqls, promised, won in rows
    ]  # fmt: skip


def _ideal() -> dict[str, Any]:
    levels = (("job_title", 0.14, 0.88, 2), ("company_size", 0.11, 1.0, 3))
    drivers = {driver["criterion"]: driver["shape"] for driver in _drivers()}
    lines = [_levels(name, weight, known, drivers[name]) for name, weight, known, _ in levels]
    return {
        "leads": 16045, "wins": 1310, "base_rate": 0.0816, "weight": 0.38, "criteria": lines,
        "stands_out": [{"criterion": line["criterion"], **line["best"]} for line in lines],
        "matching": [{"matched": k, "leads": n, "win_rate": r, "low": r - 0.01, "high": r + 0.01}
                     for k, n, r in ((0, 9120, 0.051), (1, 5410, 0.112), (2, 1515, 0.204))],
    }  # fmt: skip


def _levels(name: str, weight: float | None, known: float, shape: list[dict[str, Any]]) -> dict[str, Any]:
    by_rate = sorted(shape, key=lambda bucket: -bucket["win_rate"])
    return {"criterion": name, "weight": weight, "coverage": known, "best": by_rate[0], "worst": by_rate[-1],
            "shape": shape}  # fmt: skip


def _signals() -> list[dict[str, Any]]:
    ideal = _ideal()["criteria"]
    return [
        {"signal": "budget", "guessed": True, "lines": [ideal[1]], "unused": []},
        {"signal": "authority", "guessed": False, "lines": [ideal[0]], "unused": ["seniority"]},
    ]


def _since() -> dict[str, Any]:
    changed = {"pricing page": "drifted", "company_size": "reversed", "webinar attended": "new"}
    return {
        "model_version": "2026-03-01-0f91c07be52a",
        "reviewed": True,
        "criteria": {
            driver["criterion"]: {"change": changed.get(driver["criterion"], "same"), "rank": 3, "importance": 0.1,
                                  "direction": "raises"}
            for driver in _drivers()
        },
        "gone": [{"criterion": "fax number", "importance": 0.02, "direction": "raises"}],
    }  # fmt: skip


def _drivers() -> list[dict[str, Any]]:
    visits = _shape(("none", "1", "2 to 3", "4 or more"), (0.045, 0.098, 0.171, 0.312), (9120, 3305, 2410, 1210))
    recency = _shape(("0 to 2 days", "3 to 7 days", "8 to 30 days", "over 30 days", "never"),
                     (0.224, 0.163, 0.094, 0.041, 0.022), (1420, 2210, 4120, 4830, 3465))  # fmt: skip
    title = _shape(("Director or above", "Manager", "Specialist", "Student or other", "not supplied"),
                   (0.161, 0.119, 0.062, 0.018, 0.055), (2120, 4405, 5980, 1610, 1930))  # fmt: skip
    size = _shape(("1 to 10", "11 to 50", "51 to 250", "251 to 1,000", "over 1,000"),
                  (0.031, 0.072, 0.118, 0.124, 0.067), (3620, 4120, 4305, 2510, 1490))  # fmt: skip
    rows = (
        ("pricing page", "engagement", 0.24, "raises", "Each visit to the pricing page in the last 30 days raises "
         "the chance to win, most of all the fourth.", 0.43, visits),
        ("days since last activity", "timing", 0.17, "lowers", "The longer nothing was heard from a lead, the lower "
         "its chance to win.", 0.78, recency),
        ("job_title", "fit", 0.14, "mixed", "Directors and managers win more often; students rarely do.", 0.88, title),
        ("company_size", "fit", 0.11, "mixed", "Companies of 51 to 1,000 people win most often.", 1.0, size),
        ("webinar attended", "engagement", 0.09, "raises", "Leads that attended a webinar win about twice as often.",
         0.19, _shape(("no", "yes"), (0.066, 0.142), (13020, 3026))),
        ("lead_source", "fit", 0.08, "mixed", "Referrals win most often, bought lists least.", 1.0,
         _shape(("referral", "organic search", "event", "paid search", "bought list"),
                (0.192, 0.104, 0.088, 0.061, 0.012), (1310, 5120, 2210, 5306, 2100))),
        ("age of the lead", "timing", 0.07, "lowers", "Older leads win less often.", 1.0, []),
        ("email click", "engagement", 0.05, "raises", "Clicks in e-mails raise the chance to win a little.", 0.52, []),
        ("utm[source]", "fit", 0.03, "mixed", "Newsletter sponsors bring better leads than display ads.", 0.59, []),
        ("country", "fit", 0.02, "mixed", "Small differences between countries.", 1.0, []),
    )  # fmt: skip
    return [_driver(*row) for row in rows]


def example_summary() -> dict[str, Any]:
    """A complete summary of a business-to-business history."""
    return {
        "title": "Which leads to hand to sales",
        "as_of": "2026-06-01T00:00:00+00:00",
        "model_version": "20260601T000000Z-3fa91c07be52",
        "policy_version": "capacity-120-8c1d",
        "review": "unreviewed",
        "verdict": {
            "code": "ready",
            "sentence": "The chances can be relied on, and the model finds winners better than every simpler way.",
            "details": ["702 wins in the final test are enough to judge it.",
                        "Against logistic regression the lead is small and not certain."],
        },
        "population": {
            "leads": 18420, "accounts": 9130, "won": 1612, "lost": 13904, "open": 2904, "snapshots": 102324,
            "snapshot_leads": 16045, "wins_in_snapshots": 4406, "horizon_days": 90, "every_days": 7,
            "first_snapshot": "2023-06-05", "last_snapshot": "2026-03-02", "mode": "forward",
            "mode_sentence": "Every figure was measured on weeks later than the ones the model learned from.",
            "base_rate": 0.0815, "target": "won", "label_mode": "mature", "young_snapshots": 0,
            "credit": {"used": "lead", "wins": {"lead": 1612, "contacts": 1870, "account": 2412}},
            "lost_reasons": {"no response": 6210, "no budget": 3104, "competitor": 1290},
            "win_curves": _win_curves(),
        },
        "decision": _decision(),
        "evaluation": _evaluation(),
        "level": level_now(Level(0.2, 0.1, 0.3, applied=0.1, windows=8), 0.2),
        "plan": _plan(),
        "audit": _audit(),
        "drivers": _drivers(),
        "definition": _definition(),
        "sensitive": _sensitive(),
        "ideal": _ideal(),
        "signals": _signals(),
        "since": _since(),
        "to_review": ["company_size", "webinar attended"],
        "converts": _converts(),
        "accounting": [
            {"table": "leads", "file": "leads.parquet", "rows_in": 18432, "used": 18420, "quarantined": 12,
             "skipped": {}},
            {"table": "events", "file": "events.parquet", "rows_in": 1204332, "used": 1198220, "quarantined": 208,
             "skipped": {"unknown lead": 5112, "repeated": 792}},
        ],
        "traffic": [
            {"rule": "Clicks from the third different link within 60 seconds on", "seen": 9120, "dropped": 1372,
             "share": 0.1504, "leads": 431},
            {"rule": "Events of a lead beyond 100 within 60 seconds", "seen": 1198220, "dropped": 0, "share": 0.0,
             "leads": 0},
            {"rule": "Opens within 5 seconds of a send", "seen": 0, "dropped": 0, "share": None, "leads": 0},
        ],
        "notes": ["No time zone is stated for naive timestamps; UTC was assumed.",
                  "Calls and meetings are made by sales and were not used."],
        "undeclared": ["country", "utm[source]"],
        "features": 164,
        "recipe": {"model": "LightGBM, 5 bags, blended with logistic regression", "logistic share": 0.35,
                   "trees": 212, "seed": 7},
        "versions": {"mqlml": "0.1.0", "lightgbm": "4.7.0", "scikit-learn": "1.9.1", "python": "3.11"},
    }  # fmt: skip


def hostile_summary() -> dict[str, Any]:
    """The example with hostile text in every place that comes from data."""
    summary = example_summary()
    names = list(HOSTILE.values())
    summary["title"] = HOSTILE["script"]
    summary["notes"] = names
    summary["undeclared"] = names
    summary["recipe"] = {name: name for name in names}
    for row, name in zip(summary["drivers"], names, strict=False):
        row["criterion"] = row["sentence"] = name
        row["shape"] = [{**bucket, "label": names[k % len(names)]} for k, bucket in enumerate(row["shape"])]
    for row, name in zip(summary["audit"], names, strict=False):
        row.update({"column": name, "figure": name, "why": name, "remedy": name, "waived": name})
    for row, name in zip(summary["evaluation"]["by_segment"], names, strict=False):
        row["segment"] = name
    for row, name in zip(summary["evaluation"]["ladder"], names, strict=False):
        row.update({"name": name, "kind": None})
    summary["evaluation"]["present"]["sentence"] = HOSTILE["closing"]
    for row in summary["evaluation"]["looks"]:
        row["part"] = row["use"] = HOSTILE["script"]
    for row, name in zip(summary["plan"], names, strict=False):
        row["part"] = row["purpose"] = name
    for row, name in zip(summary["decision"]["tiers"], names, strict=False):
        row["action"] = name
    converts = summary["converts"]
    for key in ("sources", "pages", "offers", "first_type"):
        converts[key]["rows"] = [_rate(name, 100 + k, 10 + k, "above") for k, name in enumerate(names)]
    converts["left_out"] = names
    converts["columns"]["rows"] = [{**converts["columns"]["rows"][0], "name": name} for name in names]
    for table in converts["contribution"]:
        table["rows"] = [_credited(name, 0.1, 0.2, 0.3, 0.4) for name in names]
    for path, name in zip(converts["journeys"]["paths"]["rows"], names, strict=False):
        path.update({"name": name, "steps": names[:4]})
    converts["journeys"]["shares"][0]["touches"] = HOSTILE["script"]
    converts["lost"]["rows"] = [{**converts["lost"]["rows"][0], "reason": name} for name in names]
    converts["lost"]["by_source"][0].update({"source": names[0]})
    converts["lost"]["by_source"][0]["reasons"] = [{"reason": name, "share": 0.1} for name in names]
    converts["spend"]["rows"] = [_cost(name, 9.0, 10, 2, 1) for name in names]
    converts["spend"]["marked_by"] = HOSTILE["closing"]
    summary["population"]["lost_reasons"] = {name: k for k, name in enumerate(names)}
    summary["population"]["credit"] = {"used": names[0], "wins": {name: k for k, name in enumerate(names)}}
    summary["population"]["win_curves"]["hint"] = HOSTILE["closing"]
    summary["decision"]["assumption"] = HOSTILE["closing"]
    summary["verdict"]["sentence"] = HOSTILE["quotes"]
    _make_people_hostile(summary, names)
    summary["accounting"][1]["skipped"] = {name: k for k, name in enumerate(names)}
    return summary


def _make_people_hostile(summary: dict[str, Any], names: list[str]) -> None:
    """Hostile text in the definition, the groups, the ideal customer and what changed."""
    agreed = {"exclusions": names, "beside": names, "owner": HOSTILE["script"]}
    agreed["reasons"] = [{"reason": name, "share": 0.1} for name in names]
    summary["definition"] |= agreed
    for row, name in zip(summary["sensitive"], names, strict=False):
        row.update({"column": name, "value": name})
    for lines in (summary["ideal"]["criteria"], summary["ideal"]["stands_out"], summary["signals"][0]["lines"]):
        for row, name in zip(lines, names, strict=False):
            row["criterion"] = name
            row["best"] = {**summary["drivers"][0]["shape"][0], "label": name}
    summary["signals"][1]["unused"] = names
    for row, name in zip(summary["drivers"], names, strict=False):
        row["split"] = {**row["split"], "having": name} if row["split"] else None
    change = {"change": "reversed", "rank": 1, "importance": 0.2, "direction": "raises"}
    gone = [{"criterion": name, "importance": 0.1, "direction": "raises"} for name in names]
    summary["since"] |= {"criteria": dict.fromkeys(names, change), "gone": gone}
    summary["to_review"] = names
