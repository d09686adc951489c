"""What converts: win rates by page, offer, source, campaign and column, attribution, journeys, costs and lost reasons.

Everything is counted in leads whose outcome is known, and from what was known strictly before the lead was decided and
before sales took it. It says what went along with winning, never what caused it.
"""

from __future__ import annotations

from mqlml.review.converts.telling import converts

__all__ = ["converts"]
