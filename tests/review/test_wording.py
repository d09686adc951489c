"""The vocabulary, what leads are compared with, and which reasons are given."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.errors import UsageError
from mqlml.learning.labels import Rows
from mqlml.review.comparing import Comparisons, measure_comparisons
from mqlml.review.reasons import NOT_SUPPLIED, Explanation
from mqlml.review.sentences import FactWriter, top_reasons
from mqlml.review.wording import Words, read_words, themes
from mqlml.tape.features import Attribute, FeatureSet

FEATURES = FeatureSet(
    event_types=("demo", "pricing_page"),
    windows_days=(7, 30),
    half_lives_days=(7,),
    attributes=(Attribute("industry", "category", "creation"), Attribute("utm_source", "category", "creation")),
    families=("attribute", "age", "count", "recency", "tracking", "asset_counts"),
    assets=True,
    named_assets=("/docs",),
)
WORDS = """
[events]
pricing_page = "pricing-page visit"
demo = ["demo asked for", "demos asked for"]
[columns]
industry = "Industry"
[assets]
"/docs" = "the handbook"
[themes]
"/docs" = "offers"
"""


def table(**changes: object) -> pa.Table:
    """One lead that did nothing but is seen, with some values of its own."""
    columns: dict[str, object] = {}
    for feature in FEATURES.features:
        empty = pa.array([None], pa.string()) if feature.kind == "category" else pa.array([0.0])
        columns[feature.name] = pa.array([np.nan]) if feature.since else empty
    columns["events.any.tracking"] = pa.array(["active"])
    return pa.table({**columns, **{name: pa.array([value]) for name, value in changes.items()}})


def test_words_when_read_then_facts_are_said_with_them() -> None:
    words = read_words(WORDS, where="words.toml")
    assert Words.from_dict(words.to_dict()) == words
    lead = table(**{"events.pricing_page.count_7d": 4.0, "events.demo.count_30d": 1.0, "lead.industry": "retail",
                    "assets./docs.count_7d": 2.0})  # fmt: skip
    facts = FactWriter(FEATURES, lead, words=words)
    assert facts.fact("pricing_page", 0) == "4 pricing-page visits in the last 7 days"
    assert facts.fact("demo", 0) == "1 demo asked for in the last 30 days"
    assert facts.fact("industry", 0) == "Industry: retail"
    assert facts.fact("/docs", 0) == "2 visits to the handbook in the last 7 days"
    assert FactWriter(FEATURES, table(), words=words).fact("demo", 0) == "no demos asked for so far"
    renamed = FactWriter(FEATURES, lead, {"pricing_page": "Prices"}, words=words)
    assert renamed.fact("pricing_page", 0) == "4 × 'Prices' in the last 7 days"


def test_themes_when_the_vocabulary_is_silent_then_names_and_families_tell() -> None:
    found = themes(FEATURES, read_words(WORDS, where="w"))
    assert found["demo"] == "offers"
    assert found["utm_source"] == "sources"
    assert found["industry"] == "account"
    assert found["age of the lead"] == "timing"
    assert (found["/docs"], themes(FEATURES, Words())["/docs"]) == ("offers", "pages")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[event]\n", "w: unknown table 'event'; did you mean 'events'"),
        ("[events]\na = 3\n", r"\[events\] 'a' is not text, or \[\"one\", \"several\"\]"),
        ("[columns]\na = ''\n", r"\[columns\] 'a' is not text of 1 to 80"),
        ("[themes]\na = 'page'\n", "there is no theme 'page'; one of pages, offers"),
        ("columns = 3\n", "'columns' is not a table"),
        ("= x", "cannot be read as TOML"),
    ],
)
def test_words_when_an_entry_is_wrong_then_it_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_words(text, where="w")


def test_words_when_no_feature_goes_by_a_name_then_it_is_found() -> None:
    assert read_words("[events]\ndemos = 'x'\n", where="w").unknown(FEATURES) == ("demos",)


def test_words_when_a_model_does_as_well_without_what_they_name_then_they_are_not_unknown() -> None:
    gone = [f.name for f in FEATURES.features if f.criterion in ("demo", "/docs", "industry")]
    less = FEATURES.without(gone)
    assert not {"demo", "/docs", "industry"} & {f.criterion for f in less.features}
    text = "[events]\ndemo = 'x'\n[columns]\nindustry = 'y'\nindustri = 'z'\n[assets]\n'/docs' = 'w'\n"
    assert read_words(text, where="w").unknown(less) == ("industri",)


def test_comparisons_when_measured_then_rates_are_those_of_leads_with_such_a_value() -> None:
    n = 400
    demos = np.repeat([0.0, 1.0, 2.0, 5.0], n // 4)
    won = np.r_[np.zeros(100), np.repeat([0.0, 1.0], 50), np.ones(200)]
    columns = {
        f.name: np.zeros(n) if f.kind == "number" else pa.array([None] * n, pa.string()) for f in FEATURES.features
    }
    industry = pa.array(["retail"] * 390 + ["rare"] * 10)
    full = pa.table({**columns, "events.demo.count_7d": demos, "lead.industry": industry})
    every = np.arange(n)
    rows = Rows(every, every, every, every, won, every, "horizon")
    found = measure_comparisons(FEATURES, full, rows, used={"events.demo.count_30d", "lead.industry"})
    found = Comparisons.from_dict(found.to_dict())
    assert found.overall == pytest.approx(won.mean())
    assert found.of("events.demo.count_7d", 0.0) == (0.0, 100, "none")
    assert found.of("events.demo.count_7d", 1.0) == (0.5, 100, "below 2")
    assert found.of("events.demo.count_7d", 9.0) == (1.0, 100, "5 or more")
    assert found.of("lead.industry", "retail") == (pytest.approx(240 / 390, abs=1e-4), 390, "retail")
    assert found.of("lead.industry", "rare") is None, "few leads could point to a person"
    assert found.of("lead.industry", None) is None
    assert found.of("events.pricing_page.count_7d", 0.0) is None, "the model does not look at it"


def reasons(lead: pa.Table, parts: list[float], **options: object) -> list[str]:
    names, groups = ("demo", "industry", "pricing_page", NOT_SUPPLIED), ("engagement", "fit", "engagement", "fit")
    facts = FactWriter(FEATURES, lead, **options)  # type: ignore[arg-type]
    return top_reasons(Explanation(names, groups, -2.0, np.array([parts])), facts)[0]


def test_reasons_when_leads_are_compared_then_only_what_goes_the_same_way_is_said() -> None:
    parts = {"cuts": [], "whole": True, "parts": [[0.31, 40]], "zero": None, "never": None}
    features = {"events.demo.count_7d": parts, "lead.industry": {"levels": {"retail": [0.2, 90]}}}
    lead = table(**{"events.demo.count_7d": 4.0, "lead.industry": "retail", "events.demo.days_since_last": 1.0})
    said = reasons(lead, [1.0, -0.5, 0.0, 0.0], comparisons=Comparisons(0.08, features))
    assert said == [
        "4 × 'demo' in the last 7 days; 31 % of such leads won against 8.0 % overall (raises the chance)",
        "industry: retail (lowers the chance)",
    ]


def test_reasons_when_something_was_not_supplied_then_it_is_none() -> None:
    assert reasons(table(), [0.0, 0.0, 0.0, -3.0]) == ["no 'demo' so far (raises the chance)"]
    unseen = table(**{"events.any.tracking": "untracked", "lead.industry": "retail"})
    assert reasons(unseen, [-1.0, -0.5, -1.0, -3.0]) == ["industry: retail (lowers the chance)"]
    assert reasons(table(**{"events.any.tracking": "untracked"}), [-1.0, 0.0, -1.0, -3.0]) == []
