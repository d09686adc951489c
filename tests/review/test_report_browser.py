from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from review.example_summary import HOSTILE, example_summary, hostile_summary

from mqlml.review.criteria import read_criteria
from mqlml.review.report import render_report
from mqlml.review.report.words import percent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the address of the example and of its hostile twin."""
    folder: Path = tmp_path_factory.mktemp("report")
    for name, summary in (("example", example_summary()), ("hostile", hostile_summary())):
        (folder / f"{name}.html").write_text(render_report(summary), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in ("example", "hostile")}


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Open a page that fails its test on any request, message or violation."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url) if not request.is_navigation_request() else None)
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    yield page
    page.close()
    assert seen == []


@pytest.mark.parametrize("name", ["example", "hostile"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_report_when_opened_at_any_width_then_does_not_scroll_sideways(
    tab: Page, files: dict[str, str], name: str, width: int
) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    tab.goto(files[name])
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_report_when_opened_then_its_own_style_is_applied(tab: Page, files: dict[str, str]) -> None:
    tab.goto(files["example"])
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)"
    bar = "getComputedStyle(document.querySelector('#drivers .wide .f-accent')).fill"
    assert tab.evaluate(bar) == "rgb(18, 100, 122)"


def test_report_when_the_reader_prefers_dark_then_page_and_charts_follow(tab: Page, files: dict[str, str]) -> None:
    tab.emulate_media(color_scheme="dark")
    tab.goto(files["example"])
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 24, 29)"
    assert tab.evaluate("getComputedStyle(document.querySelector('#drivers .f-accent')).fill") == "rgb(109, 191, 211)"
    tab.emulate_media(color_scheme="dark", media="print")
    assert tab.evaluate("getComputedStyle(document.querySelector('#drivers .f-accent')).fill") == "rgb(18, 100, 122)"


def test_report_when_names_are_hostile_then_shows_them_as_text(tab: Page, files: dict[str, str]) -> None:
    tab.goto(files["hostile"])
    assert tab.title() == HOSTILE["script"]
    assert tab.locator("h1").inner_text() == HOSTILE["script"]
    text = tab.locator("main").inner_text()
    assert HOSTILE["closing"] in text
    assert HOSTILE["quotes"] in text
    assert tab.locator("script").count() == 1
    assert tab.locator("img, iframe, svg script, [onerror], [onmouseover]").count() == 0
    assert "<script>" in "".join(tab.locator("#drivers .wide text").all_text_contents())


def test_report_when_the_screen_is_narrow_then_shows_the_narrow_drawing_only(tab: Page, files: dict[str, str]) -> None:
    tab.goto(files["example"])
    wide, narrow = tab.locator("#tradeoff .wide"), tab.locator("#tradeoff .narrow")
    assert wide.is_visible()
    assert not narrow.is_visible()
    tab.set_viewport_size({"width": 390, "height": 844})
    assert narrow.is_visible()
    assert not wide.is_visible()
    tab.emulate_media(media="print")
    assert wide.is_visible()


def test_report_when_headings_are_walked_then_no_level_is_skipped(tab: Page, files: dict[str, str]) -> None:
    tab.goto(files["example"])
    levels = tab.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(h => +h.tagName[1])")
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_report_when_used_with_the_keyboard_then_skips_to_the_decision_and_opens_numbers(
    tab: Page, files: dict[str, str]
) -> None:
    tab.goto(files["example"])
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the decision"
    tab.keyboard.press("Enter")
    tab.wait_for_url("**#decision")
    tab.locator("#reliability summary").focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#reliability table").is_visible()


def test_report_when_printed_then_is_a4_and_short(browser: Browser, files: dict[str, str]) -> None:
    page = browser.new_page()
    page.goto(files["example"])
    pdf = page.pdf(prefer_css_page_size=True)
    page.close()
    assert pdf.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95" in pdf or b"/MediaBox [0 0 595" in pdf
    assert pdf.count(b"/Type /Page\n") <= 14


@pytest.mark.parametrize("name", ["example", "hostile"])
def test_definition_when_printed_then_it_fills_one_page_of_its_own(tab: Page, files: dict[str, str], name: str) -> None:
    tab.goto(files[name])
    tab.emulate_media(media="print")
    # A4 less the margins of the page: 176 by 263 mm at 96 dots an inch.
    tab.set_viewport_size({"width": 665, "height": 994})
    section = tab.locator("#definition")
    box = section.bounding_box()
    assert box is not None
    if name == "example":
        assert box["height"] <= 994
    style = "e => [getComputedStyle(e).breakBefore, getComputedStyle(e).breakAfter]"
    assert section.evaluate(style) == ["page", "page"]
    assert tab.locator(".signature").count() == 2


def test_definition_when_the_screen_is_narrow_then_its_parts_stand_below_one_another(
    tab: Page, files: dict[str, str]
) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(files["example"])
    left = {round(box["x"]) for part in tab.locator(".agreed > div").all() if (box := part.bounding_box())}
    assert len(left) == 1
    assert "2 days" in tab.locator("#definition").inner_text()


def test_report_when_the_slider_moves_then_the_figures_of_that_threshold_stand_beside_it(
    tab: Page, files: dict[str, str]
) -> None:
    tab.goto(files["example"])
    chosen = next(row for row in example_summary()["decision"]["grid"] if row["chosen"])
    assert tab.locator("[data-figure=winRate]").inner_text() == percent(chosen["win_rate"])
    tab.locator("#try").focus()
    tab.keyboard.press("Home")
    first = example_summary()["decision"]["grid"][0]
    assert tab.locator("[data-figure=winRate]").inner_text() == percent(first["win_rate"])
    assert tab.locator("[data-figure=shareOfWins]").inner_text() == percent(first["share_of_wins"])
    assert tab.locator("tr.tried").count() == 1


@pytest.mark.parametrize("name", ["example", "hostile"])
def test_report_when_criteria_are_marked_then_the_download_is_what_training_reads(
    tab: Page, files: dict[str, str], name: str
) -> None:
    tab.goto(files[name])
    assert tab.locator("#download").is_disabled()
    fields = tab.locator("fieldset[data-criterion]")
    summary = example_summary() if name == "example" else hostile_summary()
    names = [driver["criterion"] for driver in summary["drivers"][: fields.count()]]
    fields.nth(0).locator("[name=decision]").select_option("cap")
    assert "Write your name" in tab.locator("#review-problem").inner_text()
    tab.locator("#reviewer").fill('Ana "</script>" 🎉')
    assert tab.locator("#download").is_disabled()
    fields.nth(0).locator("[name=cap]").fill("3.5")
    fields.nth(1).locator("[name=decision]").select_option("bar")
    fields.nth(1).locator("[name=note]").fill("not ours\u007f to use")
    fields.nth(2).locator("[name=label]").fill("Webinar seen")
    with tab.expect_download() as download:
        tab.locator("#download").click()
    found = read_criteria(download.value.path().read_text(encoding="utf-8"), where="criteria.toml")
    assert download.value.suggested_filename == "criteria.toml"
    assert found.model_version == summary["model_version"]
    whole = [n.encode("utf-8", "replace").decode() for n in names]
    assert [(m.name, m.decision, m.cap, m.note, m.label) for m in found.marks] == [
        (whole[0], "cap", 3.5, "", None),
        (whole[1], "bar", None, "not ours\u007f to use", None),
        (whole[2], "none", None, "", "Webinar seen"),
    ]
    assert {m.by for m in found.marks} == {'Ana "</script>" 🎉'}


def test_report_when_the_rest_is_approved_then_every_wanted_criterion_has_a_decision(
    tab: Page, files: dict[str, str]
) -> None:
    tab.goto(files["example"])
    tab.locator("#reviewer").fill("Bo")
    tab.locator("[data-approve-rest]").click()
    wanted = tab.locator("fieldset[data-wanted]").count()
    assert wanted > 0
    assert tab.locator("#decided").inner_text() == f"{wanted} of {wanted} criteria that need a decision have one."
    assert tab.locator("#download").is_enabled()


def test_report_when_what_converts_is_opened_then_every_part_is_there_and_hostile_names_are_text(
    tab: Page, files: dict[str, str]
) -> None:
    tab.goto(files["example"])
    tab.locator("nav a", has_text="What converts").click()
    assert tab.url.endswith("#converts")
    part = tab.locator("#converts")
    assert "only a test can tell" in part.inner_text()
    assert part.locator("figure").count() == 8
    row = part.locator("tr", has_text="spring-fair").inner_text()
    assert row.split() == ["spring-fair", "45,300", "252", "16", "180", "1,416", "2,831", "2,265", "to", "3,681"]
    assert "above 9,334" in part.locator("tr", has_text="search").last.inner_text()
    tab.locator("#converts-sources summary").focus()
    tab.keyboard.press("Enter")
    assert "clearly above" in tab.locator("#converts-sources table").inner_text()
    tab.goto(files["hostile"])
    assert HOSTILE["closing"] in part.inner_text()
    assert HOSTILE["emoji"] in tab.locator("#converts-credit-channel svg").text_content()
    assert part.locator("img, script, [onerror], [onmouseover]").count() == 0


def test_report_when_printed_then_controls_stay_away(tab: Page, files: dict[str, str]) -> None:
    tab.goto(files["example"])
    tab.emulate_media(media="print")
    assert tab.locator("fieldset:visible, #review-panel:visible, #try:visible").count() == 0
