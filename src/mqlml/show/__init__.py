"""What commands say, as text; printing is left to the command line."""

from mqlml.show.handing import forgotten
from mqlml.show.steps import progress
from mqlml.show.texts import backtested, check, demonstrated, explained, scored, threshold, trained

__all__ = [
    "backtested",
    "check",
    "demonstrated",
    "explained",
    "forgotten",
    "progress",
    "scored",
    "threshold",
    "trained",
]
