"""A training's summary, a plain dictionary, as a page for marketing, figures for MLflow and a model card.

The summary is plain JSON; any part of it may be missing and is then shown as "not measured". Chances and rates are
0..1 in it and percentages on the page. An interval is ``{"value": float, "low": float | None, "high": float | None}``.
"""

from __future__ import annotations

from mqlml.review.report.card import model_card
from mqlml.review.report.charts import figures
from mqlml.review.report.definition import definition
from mqlml.review.report.lead import render_lead
from mqlml.review.report.render import render_report

__all__ = ["definition", "figures", "model_card", "render_lead", "render_report"]
