"""Fewer features, from the settings to scores: what others need stays, and the rest works without what is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from learning.simulated import FEATURES, simulate
from learning.worlds import configured
from workflows.test_tuning import Counted, prepared

from mqlml.learning.fewer_features import Fewer
from mqlml.learning.recipe import Recipe
from mqlml.review.criteria import Criteria, Mark
from mqlml.tape.features import Attribute, FeatureSet
from mqlml.workflows import leaving_out
from mqlml.workflows.leaving_out import leave_out_features, must_stay
from mqlml.workflows.preparing import Prepared

RECIPE = Recipe(3, 2, 1)
SMALL = simulate("many weak", seed=3, won=200, lost=200)


def test_leave_out_features_when_not_asked_for_then_nothing_is_done() -> None:
    ready, progress = prepared(SMALL), Counted()
    assert leave_out_features(ready, configured(), RECIPE, Criteria(), progress) == (ready, None, [])
    assert progress.begun == []


def test_leave_out_features_when_wins_are_few_then_it_says_why_not() -> None:
    ready = prepared(SMALL)
    same, found, told = leave_out_features(ready, configured(model={"select": True}), RECIPE, Criteria(), Counted())
    assert same is ready
    assert found is None
    assert told[0].startswith("Fewer features were not tried: before the first window")
    assert "too few won leads" in told[0]


def test_leave_out_features_when_tried_then_the_features_are_as_it_says() -> None:
    ready, progress = prepared(simulate("one number", seed=1, won=900, lost=900)), Counted()
    less, found, told = leave_out_features(ready, configured(model={"select": True}), RECIPE, Criteria(), progress)
    assert found is not None
    assert told[0] == found.sentence
    assert len(less.features.features) == found.kept
    assert less.features.left_out == found.left_out
    assert less.table is ready.table
    assert progress.done >= 2


def test_leave_out_features_when_nothing_is_left_of_a_criterion_then_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready = replace(prepared(SMALL), features=FeatureSet(event_types=("web", "demo"), windows_days=(7, 30)))
    names = [f.name for f in ready.features.features]
    without = tuple(n for n in names if n.startswith("events.demo.") or n == "events.web.count_7d")
    found = Fewer(len(names), without, (0.3, 0.3), 0.3, 0.3, 0.0)
    monkeypatch.setattr(leaving_out, "find_fewer", lambda *_, **__: found)
    less, _, told = leave_out_features(ready, configured(model={"select": True}), RECIPE, Criteria(), Counted())
    assert len(less.features.features) == found.kept
    assert told[0] == found.sentence
    assert told[1:] == ["Criteria of which no feature is kept (a decision in criteria.toml keeps one): 'demo'."]


def test_must_stay_when_others_need_features_or_people_decided_then_those_are_named() -> None:
    names = ("source", "region", "budget", "size", "title", "language")
    features = FeatureSet(
        event_types=("web", "form"),
        windows_days=(7, 30),
        attributes=tuple(Attribute(name, "category", "creation") for name in names),
        families=("attribute", "count", "recency", "tracking"),
    )
    ready = Prepared(SMALL.rows, prepared(SMALL).plan, features, SMALL.table)
    config = configured(model={"segment": "region"}, policy={"cost": 5.0, "value_column": "budget"})
    by = {"by": "Ana"}
    criteria = Criteria(
        (
            Mark("size", "approve", **by),
            Mark("title", "bar", **by),
            Mark("form", "must-increase", **by),
            Mark("language", "none", label="Language", **by),
        )
    )
    assert must_stay(ready, config, criteria) == {
        "lead.source",
        "lead.region",
        "lead.budget",
        "lead.size",
        "lead.title",
        "events.form.count_7d",
        "events.form.count_30d",
        "events.form.count_ever",
        "events.form.days_since_last",
        "events.any.count_30d",
        "events.any.count_ever",
        "events.any.tracking",
    }


def test_must_stay_when_a_fit_grade_is_asked_for_then_what_makes_it_up_stays() -> None:
    stay = must_stay(prepared(SMALL), configured(policy={"min_fit": "B"}), Criteria())
    assert stay == {f.name for f in FEATURES.features}
