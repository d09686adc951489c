"""A points scorecard distilled from a model, for marketing-automation tools that cannot run one."""

from __future__ import annotations

from mqlml.review.scorecard.making import Seen, make_scorecard
from mqlml.review.scorecard.rules import Rule
from mqlml.review.scorecard.writing import as_csv, as_markdown, as_text

__all__ = ["Rule", "Seen", "as_csv", "as_markdown", "as_text", "make_scorecard"]
