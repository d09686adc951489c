"""What commands say, as text; printing is left to the command line."""

from mqlml.show.lead import explained
from mqlml.show.steps import progress
from mqlml.show.texts import backtested, check, demonstrated, scored, threshold, trained

__all__ = ["backtested", "check", "demonstrated", "explained", "progress", "scored", "threshold", "trained"]
