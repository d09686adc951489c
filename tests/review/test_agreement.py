from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from mqlml.config import Condition, Config
from mqlml.history.contract import HANDOVERS
from mqlml.review.agreement import PROPOSED_REASONS, agreement, condition_words, first_touches, rejections

START = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = int((START + timedelta(days=10)).timestamp() * 1_000_000)


def handovers(*rows: tuple[float, float | None, str | None]) -> pa.Table:
    """Hand-overs by day handed over, days until first touch, and reason of a rejection a day after."""
    lines: list[dict[str, Any]] = []
    for day, touch, reason in rows:
        handed = START + timedelta(days=day)
        line: dict[str, Any] = dict.fromkeys(HANDOVERS.names)
        line |= {"lead_id": "a", "handed_at": handed, "reason": reason}
        line["first_touch_at"] = None if touch is None else handed + timedelta(days=touch)
        line["rejected_at"] = None if reason is None else handed + timedelta(days=1)
        lines.append(line)
    return pa.Table.from_pylist(lines, schema=HANDOVERS)


def test_first_touches_when_some_were_never_touched_then_they_count_as_late() -> None:
    table = handovers((0, 1, None), (1, 3, None), (2, None, None), (9, None, None), (11, 1, None))
    found = first_touches(table, until=UNTIL, days=2)
    assert found is not None
    assert (found["handed"], found["touched"], found["median_days"]) == (4, 2, 2.0)
    assert found["p90_days"] == pytest.approx(2.8)
    # The fourth may still be touched in time, the fifth was not handed over yet.
    assert found["in_time"]["value"] == pytest.approx(1 / 3)


def test_first_touches_when_none_is_recorded_then_nothing_is_measured() -> None:
    assert first_touches(handovers((0, None, None)), until=UNTIL, days=2) is None
    assert first_touches(HANDOVERS.empty_table(), until=UNTIL, days=None) is None
    found = first_touches(handovers((0, 1, None)), until=UNTIL, days=None)
    assert found is not None
    assert found["in_time"] is None


def test_rejections_when_reasons_are_rare_then_they_stand_together() -> None:
    often, rare = [(0.0, None, "no budget")] * 6, [(0.0, None, "Jo was rude"), (0.0, None, "asked for Ann")]
    later = [(9.5, None, "no budget")]
    assert rejections(handovers(*often, *rare, *later), until=UNTIL) == [
        {"reason": "no budget", "share": 0.75},
        {"reason": "other", "share": 0.25},
    ]
    assert rejections(handovers(*rare), until=UNTIL) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"column": "industry", "value": "education"}, "industry is education"),
        ({"column": "size", "op": ">=", "value": 50}, "size >= 50"),
        ({"column": "country", "op": "in", "value": ["DE", "AT"]}, "country is one of DE, AT"),
        ({"column": "email", "op": "is empty"}, "email is empty"),
        ({"event": "demo request", "window_days": 30}, "at least 1 'demo request' in the last 30 days"),
    ],
)
def test_condition_when_said_then_reads_as_a_rule(settings: dict[str, Any], said: str) -> None:
    assert condition_words(Condition.model_validate(settings)) == said


def config(**more: Any) -> Config:
    return Config.of({"leads": {"path": "leads.csv"}, "outcomes": {"ignore": ["duplicate"]}, **more})


def test_agreement_when_settings_say_who_and_when_then_it_does() -> None:
    rules = [
        {"name": "students", "when": {"column": "industry", "value": "education"}, "then": "never"},
        {"name": "demo", "when": {"event": "demo request"}, "then": "always"},
    ]
    review = {"owner": "Mara", "review_every_days": 31, "follow_up_days": 2, "rejection_reasons": ["no need"]}
    found = agreement(
        config(policy={"rules": rules}, review=review, suppress={"path": "suppress.csv"}),
        as_of=START,
        handovers=HANDOVERS.empty_table(),
        skipped={"suppressed": 1_234},
    )
    assert found["exclusions"][:3] == [
        "Never handed over: students (industry is education).",
        "On the list of suppressed leads (1,234 now).",
        "Known to be duplicate.",
    ]
    assert found["beside"] == ["Always handed over: demo (at least 1 'demo request' ever)."]
    assert (found["owner"], found["review_on"], found["follow_up_days"]) == ("Mara", "2026-02-01", 2.0)
    assert (found["reasons"], found["reasons_from"]) == ([{"reason": "no need", "share": None}], "settings")


def test_agreement_when_nothing_is_said_or_seen_then_reasons_are_a_proposal() -> None:
    found = agreement(config(), as_of=None, handovers=HANDOVERS.empty_table(), skipped={})
    assert found["reasons_from"] == "proposal"
    assert [row["reason"] for row in found["reasons"]] == list(PROPOSED_REASONS)
    assert found["review_on"] is None
    assert found["first_touch"] is None
    seen = agreement(config(), as_of=None, handovers=handovers(*[(0, None, "spam")] * 5), skipped={})
    assert seen["reasons_from"] == "hand-overs"
