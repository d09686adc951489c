"""What commands say, as text; printing is left to the command line."""

from __future__ import annotations

from mqlml.show.collected import collected
from mqlml.show.handing import forgotten
from mqlml.show.lead import explained
from mqlml.show.monitored import imported, monitored
from mqlml.show.promotions import compared, promoted, retrained, rolled_back
from mqlml.show.started import doctor, started
from mqlml.show.steps import progress
from mqlml.show.texts import backtested, check, demonstrated, scored, threshold, trained

__all__ = [
    "backtested",
    "check",
    "collected",
    "compared",
    "demonstrated",
    "doctor",
    "explained",
    "forgotten",
    "imported",
    "monitored",
    "progress",
    "promoted",
    "retrained",
    "rolled_back",
    "scored",
    "started",
    "threshold",
    "trained",
]
