"""The story of a lead as data and as a card, on hand-made numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from review.example_summary import HOSTILE

from mqlml.review.report import render_lead
from mqlml.review.report.lead import points
from mqlml.review.story import along, by_theme, step_words
from mqlml.review.wording import Words

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def story(**changes: Any) -> dict[str, Any]:
    """A lead whose every text is hostile."""
    bad, closing = HOSTILE["script"], HOSTILE["closing"]
    compared = {"win_rate": 0.31, "leads": 40, "values": closing}
    reason = {"criterion": bad, "group": "fit", "theme": "pages", "fact": f"{bad}: {closing}", "contribution": 0.5,
              "points": 0.1, "supplied": True, "compared": compared}  # fmt: skip
    steps = [
        {"at": START + timedelta(days=k), "what": f"{closing} {k}", "chance": 0.1 + k / 50, "change": 0.02,
         "state": "candidate"}
        for k in range(8)
    ]  # fmt: skip
    score = {"lead_id": bad, "as_of": START + timedelta(days=10), "probability": 0.24, "percentile": 99.8,
             "tier": "mql", "fit_grade": "A", "engagement_grade": 1, "quality": "ok", "model_version": bad,
             "policy_version": "p"}  # fmt: skip
    full: dict[str, Any] = {
        "score": score, "fate": "candidate", "decided": None, "overall": 0.08, "threshold": 0.2, "base": -2.0,
        "criteria": [reason, {**reason, "contribution": -0.4, "points": -0.08, "fact": "quiet"},
                     {**reason, "supplied": False, "fact": "not supplied: size", "points": -0.2}],
        "themes": [{"theme": "pages", "contribution": 0.1}], "events": [], "timeline": steps, "review": "unreviewed",
        "what_if": {"events": [{"signal": bad, "called": bad, "again": True, "chance": 0.4, "change": 0.16}],
                    "silence": [{"days": 7, "chance": 0.2}]},
    }  # fmt: skip
    return {**full, **changes}


def test_card_when_names_are_hostile_then_they_are_text() -> None:
    page = render_lead(story())
    assert page.count("<script") == 0
    assert "&lt;script&gt;" in page
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "script-src" not in page
    assert "31\u00a0% of such leads won, 8.0\u00a0% of all." in page
    assert "From 10\u00a0% on 1 Mar 2026 to 24\u00a0%" in page
    assert 'Better than</dt><dd class="value">99' in page


def test_card_when_something_was_not_supplied_then_it_stands_in_the_sum_only() -> None:
    page = render_lead(story())
    before, after = page.split("Every criterion and its part")
    assert "not supplied: size" not in before
    assert "not supplied: size" in after


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fate": "decided", "decided": {"outcome": "won", "at": START}}, "This lead was won on 1 March 2026, 09:00."),
        ({"fate": "decided", "decided": {"outcome": "lost", "at": None}}, "This lead was not won."),
        ({"fate": "taken by sales"}, "Sales has this lead."),
        ({"fate": "dormant"}, "This lead is dormant."),
        ({"fate": "not yet created"}, "Not a candidate: not yet created."),
    ],
)
def test_card_when_a_lead_is_no_candidate_then_it_says_so(changes: dict[str, Any], text: str) -> None:
    page = render_lead(story(what_if=None, timeline=[], overall=None, **changes))
    assert text in page
    assert "What would change it" not in page
    assert "How it came about" not in page


def test_along_when_several_things_become_known_at_once_then_they_share_a_line() -> None:
    step = {"at": START, "kind": "event", "name": "page", "detail": "/docs", "times": 2}
    later = START + timedelta(days=1)
    steps = [
        step,
        {**step, "name": "form", "detail": None, "times": 1},
        {"at": later, "kind": "change", "name": "size", "detail": None, "times": 1},
        {"at": later + timedelta(days=1), "kind": "stage", "name": "won", "detail": None, "times": 1},
    ]
    words = Words({"page": ("page seen", "pages seen")}, {"size": "Size"}, {"/docs": "the handbook"})
    found = along(steps, np.array([0.1, 0.3, 0.9]), ["candidate", "taken by sales", "decided"], words)
    assert [line["what"] for line in found] == [
        "2 pages seen (the handbook), form",
        "Size became empty",
        "entered stage won",
    ]
    assert [line["chance"] for line in found] == [0.1, 0.3, None]
    assert found[1]["change"] == pytest.approx(0.2)
    assert found[2]["change"] is None
    assert step_words(step, Words()) == "2 × page (/docs)"


def test_points_when_written_then_small_ones_keep_a_decimal() -> None:
    assert [points(x) for x in (0.1234, -0.004, 0.0, None)] == ["+12\u00a0points", "−0.4\u00a0points", "no change", ""]
    reasons = [{"theme": "pages", "contribution": c} for c in (0.5, -0.2)]
    assert by_theme([*reasons, {"theme": "offers", "contribution": -0.4}])[0]["theme"] == "offers"


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_card_when_opened_then_it_asks_for_nothing_and_does_not_scroll_sideways(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    (tmp_path / "card.html").write_text(render_lead(story()), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 844})
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url) if not request.is_navigation_request() else None)
    page.goto((tmp_path / "card.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)"
    page.close()
    assert seen == []
