"""The vocabulary of synthetic events, and the arrays that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mqlml.history.sample.people import Floats, Ints

TYPES = (
    "page_view",
    "whitepaper_download",
    "form_submit",
    "webinar_registered",
    "chat_started",
    "demo_request",
    "webinar_attended",
    "email_open",
    "email_click",
    "unsubscribe",
    "call",
    "meeting",
)
CHANNELS = ("web", "web", "web", "webinar", "web", "web", "webinar", "email", "email", "email", "phone", "in person")
PAGES = ("/", "/product", "/pricing", "/case-studies", "/docs", "/careers", "/login", "/support")
BLOG_POSTS = 24
ASSETS = PAGES + tuple(f"/blog/post-{i:02}" for i in range(1, BLOG_POSTS + 1))
NO_ASSET = -1
SECOND = 1 / 86_400
"""In days."""


@dataclass(frozen=True)
class Deeds:
    """Events of one block; arrays of one entry an event, moments in days since the start of the history.

    ``letter`` numbers the newsletter an e-mail event belongs to, -1 without one; ``value`` is seconds, NaN without.
    """

    lead: Ints
    at: Floats
    type: Ints
    asset: Ints
    value: Floats
    letter: Ints
    recorded: Floats


def plain(lead: Ints, at: Floats, kind: int) -> Deeds:
    """Make events of one type without asset, value or newsletter."""
    n = len(lead)
    none = np.full(n, -1)
    return Deeds(lead, at, np.full(n, kind), none, np.full(n, np.nan), none, np.empty(n))


def joined(parts: Sequence[Deeds]) -> Deeds:
    """Put events behind one another."""

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Deeds(*(column(name) for name in Deeds.__dataclass_fields__))
