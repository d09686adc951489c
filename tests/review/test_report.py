from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from importlib import resources

import pytest
from review.example_summary import HOSTILE, example_summary, hostile_summary

from mqlml.review.report import definition, figures, model_card, render_report
from mqlml.review.report.charts import all_figures
from mqlml.review.report.figure import Figure
from mqlml.review.report.svg import PALETTE, themed
from mqlml.review.report.words import between, count, day, month, percent, sentence, shorten, tidy

pytestmark = pytest.mark.long

NBSP = "\u00a0"
VOID = {"meta", "br", "hr", "img", "input", "link", "rect", "path", "line", "circle"}


class Page(HTMLParser):
    """Tags with their attributes in reading order, and the text, spaces made plain, outside of the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._inside.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        (self.styles if self._inside[-1:] == ["style"] else self.words).append(data)

    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(example_summary())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def hostile() -> str:
    return render_report(hostile_summary())


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the drawing out, which takes most of the time."""
    monkeypatch.setattr(Figure, "svg", property(lambda self: [""] * len(self.widths)))


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.242, "24 %"), (0.0815, "8.2 %"), (0.0004, "below 0.1 %"), (0, "0 %"), (1, "100 %"), (0.997, "99.7 %")],
)
def test_percent_when_given_a_share_then_keeps_the_figures_that_mean_something(share: float, said: str) -> None:
    assert percent(share) == said.replace(" %", f"{NBSP}%")


def test_formats_when_nothing_was_measured_then_say_so() -> None:
    assert [percent(None), count(None), day(None)] == ["not measured"] * 3
    assert between(None, 0.3) == ""


def test_formats_when_given_dates_and_amounts_then_read_naturally() -> None:
    assert day("2014-02-01T00:00:00+00:00") == "1 February 2014"
    assert day("2014-02-01T13:30:00") == "1 February 2014, 13:30"
    assert month("2026-01") == "Jan 2026"
    assert [count(1204332), count(2.5), count(118.0)] == ["1,204,332", "2.5", "118"]
    assert between(0.2269, 0.257) == f"23 to 26{NBSP}%"
    assert sentence("won within 90 days") == "Won within 90 days."


def test_tidy_when_text_is_hostile_then_leaves_what_can_be_written_and_read() -> None:
    found = tidy(
        {"name": HOSTILE["surrogate"], "turned": HOSTILE["right to left"], "bad": float("nan"), "big": [1e999]}
    )
    assert found == {"name": "broken \ufffd half", "turned": "אבג deal מחיר", "bad": None, "big": [None]}
    assert len(tidy(HOSTILE["long"])) == 600
    assert shorten("a" * 81)[-1] == "…"
    assert len(shorten("a" * 81)) == 80


def test_render_report_when_called_twice_then_gives_the_same_text(html: str) -> None:
    assert render_report(example_summary()) == html


def test_render_report_when_complete_then_says_the_decision_first(page: Page) -> None:
    start = page.text.index("The decision", page.text.index("The model"))
    decision = page.text[start : page.text.index("What to do with each lead")]
    for said in (
        "18.7 %",
        "118 MQLs a week",
        "24 % of them win",
        "52 %",
        "likely 23 to 26 %",
        "3,068 MQLs",
        "742 wins",
    ):
        assert said in decision.replace(" .", "."), said
    assert page.text.index("How sure", start) < page.text.index("What counts most")


def assert_only_its_own_script(html: str) -> None:
    """One script, the file of the package, and no other may run."""
    own = (resources.files("mqlml.review.report") / "templates" / "report.js").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.DOTALL) == [own]
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in html


def test_render_report_when_opened_then_needs_nothing_else(html: str, page: Page) -> None:
    assert not {"link", "img", "iframe", "object", "form", "use", "image"} & {tag for tag, _ in page.tags}
    assert_only_its_own_script(html)
    for _, attrs in page.tags:
        assert not {"style", "src", "xlink:href"} & set(attrs)
        assert not any(name.startswith("on") for name in attrs)
        assert (attrs.get("href") or "#").startswith("#")
    assert "url(" not in page.styles[0]
    assert "@import" not in page.styles[0]
    assert len(html.encode()) < 1_000_000


def test_render_report_when_opened_then_the_policy_allows_only_its_own_style(page: Page) -> None:
    policy = next(a["content"] or "" for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.styles[0].encode()).digest()).decode()
    assert len(page.styles) == 1
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_render_report_when_read_aloud_then_has_landmarks_names_and_headings_in_order(page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert tags.count("table") == tags.count("caption")
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")
    drawings = [attrs for tag, attrs in page.tags if tag == "svg" and "meter" not in (attrs.get("class") or "")]
    assert len(drawings) >= 15
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in drawings)


def test_render_report_when_linked_inside_then_every_target_exists_once(html: str, page: Page) -> None:
    ids = page.ids()
    assert len(ids) == len(set(ids))
    targets = [attrs[name] or "" for _, attrs in page.tags for name in ("href", "aria-labelledby") if name in attrs]
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(ids)
    assert set(re.findall(r'clip-path="url\(#([^)]+)\)"', html)) <= set(ids)


def test_render_report_when_words_are_jargon_then_the_glossary_has_them(page: Page) -> None:
    for word in (
        "Log loss",
        "AUC",
        "Snapshot",
        "Horizon",
        "MQL",
        "Win rate of MQLs",
        "Share of wins caught",
        "Threshold",
    ):
        assert word in page.text[page.text.rindex("One prospect.") - 20 :], word


def test_render_report_when_names_are_hostile_then_shows_them_as_text(hostile: str) -> None:
    found = Page(hostile)
    assert not {"img", "b"} & {tag for tag, _ in found.tags}
    assert_only_its_own_script(hostile)
    assert all(not name.startswith("on") for _, attrs in found.tags for name in attrs)
    for shown in (HOSTILE["script"], HOSTILE["closing"], HOSTILE["quotes"], "אבג deal מחיר", HOSTILE["emoji"]):
        assert shown in found.text
    assert "w" * 601 not in found.text
    assert "\u202e" not in hostile
    assert len(hostile.encode()) < 1_000_000


def test_render_report_when_names_are_hostile_then_charts_carry_them_inert(hostile: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", hostile, flags=re.DOTALL))
    assert "&lt;script&gt;" in drawn
    assert "&lt;/script&gt;" in drawn
    assert "<script" not in drawn


def test_render_report_when_unreviewed_or_not_ready_then_warns(undrawn: None) -> None:
    summary = example_summary()
    assert "Not yet reviewed" in render_report(summary)
    summary.update({"review": "reviewed", "verdict": {"code": "no signal", "sentence": "Nothing beats the base rate."}})
    text = Page(render_report(summary)).text
    assert "Not yet reviewed" not in text
    assert "No signal found" in text
    assert "not yet a reason to use it" in text


def test_render_report_when_the_best_of_each_file_are_taken_then_shows_the_rule_as_headline(undrawn: None) -> None:
    summary = example_summary()
    summary["decision"].update(
        {
            "threshold": None,
            "mqls_per_week": None,
            "weeks_replayed": [],
            "rule": "Hand over the best 50 leads of each file.",
        }
    )
    text = Page(render_report(summary)).text
    # Once in the decision, once in the definition to sign.
    assert text.count("Hand over the best 50 leads of each file.") == 2
    assert "no fixed line" in text
    assert "That is 18 % of leads" in text


@pytest.mark.parametrize("gone", [None, "absent"])
def test_render_report_when_any_part_is_missing_then_still_renders(gone: str | None, undrawn: None) -> None:
    whole = example_summary()
    for section in [key for key in whole if key not in ("title", "model_version")]:
        places = [(section,)]
        if isinstance(whole[section], dict) and section not in ("recipe", "versions"):
            places += [(section, key) for key in whole[section]]
        for place in places:
            summary = copy.deepcopy(whole)
            holder = summary if len(place) == 1 else summary[place[0]]
            if gone is None:
                holder[place[-1]] = None
            else:
                del holder[place[-1]]
            assert "</html>" in render_report(summary), place


@pytest.mark.parametrize(
    ("section", "table", "drawn"),
    [
        ("decision", "grid", "tradeoff"),
        ("decision", "tiers", None),
        ("decision", "weeks_replayed", "weeks"),
        ("evaluation", "ladder", "ladder"),
        ("evaluation", "reliability", "reliability"),
        ("evaluation", "by_month", "months"),
        ("evaluation", "metrics", None),
        (None, "drivers", "drivers"),
        (None, "plan", "plan"),
        (None, "audit", None),
        (None, "accounting", None),
    ],
)
def test_render_report_when_cells_are_null_then_still_renders(
    section: str | None, table: str, drawn: str | None, undrawn: None
) -> None:
    whole = example_summary()
    for key in {key for row in (whole[section] if section else whole)[table] for key in row}:
        summary = copy.deepcopy(whole)
        holder = summary[section] if section else summary
        holder[table] = [{**row, key: None} for row in holder[table]]
        assert "</html>" in render_report(summary), key
        assert model_card(summary)
        found = all_figures(summary)
        if drawn in found:
            assert found[drawn].spec(340)["width"] == 340


def test_render_report_when_buckets_are_null_then_still_draws_them() -> None:
    summary = {"drivers": example_summary()["drivers"][:1]}
    for key in ("label", "share", "low", "high", "leads"):
        changed = copy.deepcopy(summary)
        changed["drivers"][0]["shape"] = [{**bucket, key: None} for bucket in changed["drivers"][0]["shape"]]
        assert all_figures(changed)["shape-1"].svg[0].startswith("<svg")


def test_all_figures_when_specified_then_each_is_valid_vega_lite() -> None:
    from altair import Chart

    summary = {**example_summary(), "drivers": example_summary()["drivers"][:1]}
    for figure in all_figures(summary).values():
        Chart.from_dict(figure.draw(figure.widths[-1]), validate=True)


def test_render_report_when_only_named_then_says_not_measured() -> None:
    text = Page(render_report({"title": "Nothing known", "model_version": "v1"})).text
    assert "Nothing known" in text
    assert text.count("not measured") >= 8
    assert "None" not in text
    assert "nan" not in text.split()


def test_render_report_when_there_are_200_criteria_then_stays_small() -> None:
    summary = example_summary()
    summary["drivers"] = [{**summary["drivers"][k % 6], "criterion": f"column {k}"} for k in range(200)]
    summary["sensitive"] = [{**summary["sensitive"][0], "value": f"group {k}"} for k in range(200)]
    summary["ideal"]["criteria"] = [{**summary["ideal"]["criteria"][0], "criterion": f"fit {k}"} for k in range(200)]
    html = render_report(summary)
    assert "column 199" in html
    # With every chart drawn; the promise is 3 MB.
    assert len(html.encode()) < 1_000_000


def test_report_when_the_model_in_use_is_another_then_says_what_changed_and_who_decided(undrawn: None) -> None:
    summary = example_summary()
    mark = {"name": "pricing page", "decision": "approve", "by": "Ana", "on": "2026-07-02", "note": "", "effect": None}
    summary["criteria"] = {"marks": [mark], "together": None}
    text = Page(render_report(summary)).text
    assert "Compared with the model in use, 2026-03-01-0f91c07be52a" in text
    assert "No longer among the criteria that weigh most: fax number (2.0 % of the weight)" in text
    row = text.split("The criteria at a glance")[1].split("pricing page")[1].split("days since last activity")[0]
    assert "31 % 29 to 34 %" in row
    assert "5 of 6 drifted, was 10 % Ana : may be used as it is" in row
    assert Page(render_report(summary)).text.count("reversed, was ▲") == 1


def test_report_when_criteria_are_known_then_only_the_others_ask_for_a_decision(undrawn: None) -> None:
    wanted = re.findall(r'data-criterion="([^"]+)" data-wanted', render_report(example_summary()))
    assert wanted == ["&#34;company_size&#34;", "&#34;webinar attended&#34;"]


def test_report_when_no_column_carries_budget_then_says_so(undrawn: None) -> None:
    summary = {**example_summary(), "signals": [{"signal": "budget", "guessed": True, "lines": [], "unused": []}]}
    text = Page(render_report(summary)).text
    assert "Budget No column carries them: name some in [leads] budget ." in text


def test_report_when_groups_are_named_sensitive_then_shows_what_each_was_promised(undrawn: None) -> None:
    text = Page(render_report(example_summary())).text
    row = " ".join(text.split("gender: female")[1].split("gender: male")[0].split())
    assert row == "2,410 17 % 16 to 18 % 24 % 21 to 27 % 8.1 % 8.3 % 7.4 to 9.2 % +0.2 −0.8 to +1.2"
    nothing = Page(render_report({**example_summary(), "sensitive": []})).text
    assert "No column is named in [leads] sensitive" in nothing


def test_report_when_segments_have_levels_of_their_own_then_says_what_they_changed(page: Page) -> None:
    assert "One model serves every Industry" in page.text
    assert "1.03 before 1.10" in page.text


def test_report_when_the_newest_level_is_known_then_tells_it_with_its_interval(page: Page) -> None:
    assert "won 23.4 % in the newest of its 8 parts (likely 21.6 % to 25.2 %)" in page.text


def test_definition_when_written_then_stands_in_report_card_and_on_its_own(undrawn: None) -> None:
    summary = example_summary()
    alone, card = definition(summary), model_card(summary)
    for said in (
        f"Hand over every lead whose chance to win is 18.7{NBSP}% or more.",
        "Never handed over: students (industry is education).",
        "Always handed over: demo request (at least 1 'demo request' in the last 30 days).",
        "MQLs a week: 118, 99 to 136 in four weeks of five.",
        "Of 100 MQLs: 44 accepted by sales, 33 with an opportunity, 24 won.",
        "half of the first touches came within 0.8 days",
        "Owner: Mara Lindqvist, marketing; to be looked at again on 30 August 2026.",
    ):
        assert said in alone
        assert said in card
    assert alone.startswith("# MQL definition\n\nModel 20260601T000000Z-3fa91c07be52, policy")
    assert "| For marketing |  |  |  |" in alone
    text = Page(render_report(summary)).text
    assert "Looked at again on 30 August 2026".lower() in text.lower()
    assert "not reachable 41 %" in text


def test_definition_when_nothing_is_known_then_says_not_measured() -> None:
    text = definition({"title": "Nothing known"})
    assert "Of 100 MQLs: not measured accepted by sales" in text
    assert "measured so far: not measured" in text
    assert "nobody is named" in text
    hostile = definition(hostile_summary())
    assert "<script>" not in hostile.replace("\\<script", "")


def test_qualities_when_rules_speak_of_one_thing_twice_then_only_the_heavier_is_told() -> None:
    rules = [
        {"points": 2, "text": "last event at most 21 days ago", "subject": "any"},
        {"points": 5, "text": "last event at most 3 days ago", "subject": "any"},
        {"points": 3, "text": "industry is software", "subject": "industry"},
    ]
    found = definition({**example_summary(), "scorecard": {"rules": rules}})
    assert found.index("Last event at most 3 days ago.") < found.index("Industry is software.")
    assert "21 days" not in found


def test_all_figures_when_promises_hold_then_the_title_counts_the_groups() -> None:
    groups = [
        {"promised": 0.1, "won": 0.12, "low": 0.08, "high": 0.16, "snapshots": 10, "leads": 9},
        {"promised": 0.5, "won": 0.3, "low": 0.2, "high": 0.4, "snapshots": 10, "leads": 9},
    ]
    found = all_figures({"evaluation": {"reliability": groups}})
    assert list(found) == ["reliability"]
    assert found["reliability"].title == f"Promised 50{NBSP}%, won 30{NBSP}%: promises kept in 1 of 2 groups"


def test_all_figures_when_a_rung_is_about_equal_then_it_is_not_counted_as_beaten() -> None:
    rungs = [
        {"name": "a", "model_better_by": {"value": 0.02, "low": 0.01, "high": 0.03}},
        {"name": "b", "model_better_by": {"value": 0.02, "low": -0.01, "high": 0.03}},
        {"name": "c", "model_better_by": {"value": -0.02, "low": -0.03, "high": -0.01}},
    ]
    found = all_figures({"evaluation": {"ladder": rungs}})["ladder"]
    assert found.title == "The model is clearly better than 1 of 3 simpler ways"
    assert [row[-1] for row in found.rows] == [
        "the model is clearly better",
        "about equal",
        "the model is clearly worse",
    ]


def test_all_figures_when_weeks_are_empty_then_volume_is_the_share_of_leads() -> None:
    grid = [{**row, "mqls_per_week": 0.0} for row in example_summary()["decision"]["grid"]]
    assert all_figures({"decision": {"grid": grid}})["tradeoff"].columns[1] == "Share of leads"


def test_figures_when_pictured_then_stand_alone_and_hold_nothing_but_shapes_and_text() -> None:
    summary = {key: value for key, value in hostile_summary().items() if key in ("evaluation", "decision")}
    summary["drivers"] = hostile_summary()["drivers"][:1]
    found = figures(summary)
    assert {"tradeoff", "weeks", "reliability", "ladder", "drivers", "shape-1"} <= set(found)
    pictures = [ET.fromstring(figure.picture()) for figure in found.values()]
    tags = {element.tag.split("}")[-1] for picture in pictures for element in picture.iter()}
    assert tags <= {"svg", "g", "rect", "line", "path", "text", "defs", "clipPath"}
    assert found["ladder"].title in " ".join(pictures[list(found).index("ladder")].itertext())


def test_themed_when_ids_and_colours_are_foreign_then_keeps_only_what_a_chart_needs() -> None:
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" class="marks" viewBox="0 0 9 9"><style>p{}</style><script>x</script>'
        f'<g clip-path="url(#clip41)" onclick="x"><rect fill="{PALETTE["accent"]}" style="a" width="1.23456"/></g>'
        '<a href="http://x"><text fill="#000">&lt;b&gt;</text></a>'
        '<defs><clipPath id="clip41"><path d="M0,0"/></clipPath></defs></svg>'
    )
    assert themed(drawn, name="n", kind="only", alt='say "so"') == (
        '<svg viewBox="0 0 9 9" class="chart only" role="img" aria-label="say &quot;so&quot;">'
        f'<g clip-path="url(#n-0)"><rect fill="{PALETTE["accent"]}" width="1.23" class="f-accent" /></g>'
        '<defs><clipPath id="n-0"><path d="M0,0" /></clipPath></defs></svg>'
    )


_GROUNDS = ("paper", "wash", "warn")


def _themes() -> list[dict[str, str]]:
    css = (resources.files("mqlml.review.report") / "templates" / "colours.css").read_text(encoding="utf-8")
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in css.split("@media")]


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", _themes(), ids=["light", "dark"])
def test_colours_when_used_for_text_then_contrast_is_enough(theme: dict[str, str]) -> None:
    for text, grounds in {"ink": _GROUNDS, "soft": _GROUNDS, "accent": _GROUNDS, "warm": ("paper", "warn")}.items():
        for ground in grounds:
            light, dark = sorted((_luminance(theme[text]), _luminance(theme[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_colours_when_drawn_then_are_those_of_the_light_page() -> None:
    assert {role: _themes()[0][role] for role in PALETTE} == PALETTE


def test_model_card_when_written_then_carries_the_numbers_of_the_summary() -> None:
    card = model_card(example_summary()).replace(NBSP, " ")
    for said in (
        "# Which leads to hand to sales",
        "Review: unreviewed",
        "Threshold: 18.7 %",
        "Win rate of MQLs: 24 % (likely 23 to 26 %); of all leads: 8.2 %",
        "Counted: 3,068 MQLs with 742 wins",
        "| AUC | 0.787 | 0.779 to 0.795 |",
        "| logistic regression | 0.245 | 0.779 | 0.003 | -0.001 to 0.006 |",
        "Filled by the web form since 2022",
    ):
        assert said in card, said


def test_report_and_card_when_machines_were_left_out_then_say_what_each_rule_changed(undrawn: None) -> None:
    shown = render_report(example_summary())
    row = shown[shown.index("Clicks from the third") :]
    assert re.findall(r"<td>([^<]*)</td>", row)[:4] == ["9,120", "1,372", "15\xa0%", "431"]
    assert "| Clicks from the third different link within 60 seconds on | 9,120 | 1,372 |" in model_card(
        example_summary()
    )
    without = {**example_summary(), "traffic": []}
    assert "Machine traffic" not in render_report(without) + model_card(without)


def test_model_card_when_names_are_hostile_then_escapes_them() -> None:
    card = model_card(hostile_summary())
    assert re.search(r"(?<!\\)<", card) is None
    assert r"# \<script\>" in card
    tables = [block.splitlines() for block in card.split("\n\n") if block.startswith("|")]
    assert sum("broken" in line for table in tables for line in table) >= 10
    assert all(len({line.replace(r"\|", "").count("|") for line in table}) == 1 for table in tables)
    card.encode()


def test_model_card_when_only_named_then_says_not_measured() -> None:
    assert "Threshold: not measured" in model_card({"title": "x", "model_version": "v"})


def test_tradeoff_when_weekly_volumes_do_not_grow_then_shares_of_leads_are_drawn() -> None:
    """Where everybody comes in one week, lower thresholds bring fewer new MQLs in a usual week."""
    told = copy.deepcopy(example_summary())
    grid = told["decision"]["grid"]
    for row, volume in zip(grid, [9, 27, 54, 70, 78, 110, 46, 12], strict=True):
        row["mqls_per_week"] = volume
    page = render_report(told)
    assert "Across: share of leads" in page
