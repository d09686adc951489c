"""Features of what happened to a lead and around it: changes of its fields, its stage, its colleagues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mqlml.tape.columns import Feature, Placed
from mqlml.tape.words import quoted, suffix, when

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.layout import Layout

STAGE = "current stage"
COLLEAGUES = "activity of colleagues"


def changes(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """How often and how lately each field with a history changed."""
    for i, attribute in enumerate(features.history_attributes):
        name, criterion = f"changes.{attribute.name}", attribute.name
        text = f"Number of changes of '{attribute.name}' since the lead was created."
        yield Placed(Feature(f"{name}.count_ever", "changes", "fit", criterion, "changes", text), at.entries + i)
        text = f"Days since '{attribute.name}' was last changed, after the lead was created."
        yield Placed(Feature(f"{name}.days_since_last", "changes", "fit", criterion, "days", text), at.changed + i)


def stage(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """Where in the funnel a lead stands; the stage is kept behind the history attributes."""
    if not features.follows_stages:
        return
    i = len(features.history_attributes)
    text = "Stage that the lead was in at that moment."
    feature = Feature("stage.current", "stage", "fit", STAGE, "category", text, kind="category")
    yield Placed(feature, at.fields + i)
    text = "Days since the lead entered its stage."
    yield Placed(Feature("stage.days_in", "stage", "fit", STAGE, "days", text), at.changed + i)
    text = "Number of times that the lead entered a stage so far."
    yield Placed(Feature("stage.moves", "stage", "fit", STAGE, "moves", text), at.entries + i)


def account(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    """What the other leads of the same account did."""
    if not features.watches_accounts:
        return
    text = "Number of other leads of the same account, created so far."
    yield Placed(_of_colleagues("any.colleagues", "colleagues", text), at.colleagues)
    text = "Days since the first other lead of the same account was created."
    yield Placed(_since_colleague("any.days_since_first_colleague", text), at.first_colleague)
    if not features.named_types:
        return
    for i, (_, window) in enumerate(features.windows):
        text = f"Number of events of colleagues in the same account {when(window)}."
        yield Placed(_of_colleagues(f"any.events_{suffix(window)}", "events", text, window), at.team_events + i)
    for i, (_, window) in enumerate(features.windows):
        text = f"Colleagues in the same account with any activity {when(window)}."
        yield Placed(_of_colleagues(f"any.active_{suffix(window)}", "colleagues", text, window), at.team_active + i)
    text = "Days since a colleague in the same account last did anything."
    yield Placed(_since_colleague("any.days_since_last", text), at.team_last)
    yield from _types_of_colleagues(features, at)


def _types_of_colleagues(features: FeatureSet, at: Layout) -> Iterator[Placed]:
    longest = [(0, window) for window in features.windows_days[-1:]]
    for event_type in features.named_types:
        code = features.type_code(event_type)
        for i, window in (*longest, (1, None)):
            text = f"Number of {quoted(event_type)} events of colleagues in the same account {when(window)}."
            name, criterion = f"account.{event_type}.events_{suffix(window)}", f"{event_type} by colleagues"
            feature = Feature(
                name, "account", "engagement", criterion, "events", text, event_type=event_type, window_days=window
            )
            yield Placed(feature, at.team_types + i * at.types + code)


def _of_colleagues(measure: str, unit: str, text: str, window: int | None = None) -> Feature:
    return Feature(f"account.{measure}", "account", "engagement", COLLEAGUES, unit, text, window_days=window)


def _since_colleague(measure: str, text: str) -> Feature:
    return Feature(f"account.{measure}", "account", "timing", COLLEAGUES, "days", text)
