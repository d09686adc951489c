"""Control leads: a few below the line handed over on purpose, so that what the line costs can be known."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "draws_of", "leads_until_informative", "weeks_until_informative"]

_Z90 = 1.645


def draws_of(lead_id: Iterable[str], *, salt: str) -> npt.NDArray[np.float64]:
    """One number from [0, 1) for each lead, the same at every run: the first 52 bits of SHA-256 of salt and id.

    Examples
    --------
    >>> draws_of(["a", "b"], salt="s").round(3).tolist()
    [0.301, 0.42]
    """
    bits = (hashlib.sha256(f"{salt}\x00{lead}".encode()).digest()[:8] for lead in lead_id)
    return np.array([(int.from_bytes(b) >> 12) / 2**52 for b in bits], dtype=np.float64)


def draw(lead_id: npt.NDArray[np.object_], eligible: npt.NDArray[np.bool_], number: int, *, salt: str) -> list[int]:
    """Rows of the ``number`` eligible leads with the smallest draws; order of the rows does not matter."""
    rows = np.flatnonzero(eligible)
    if number <= 0 or not len(rows):
        return []
    order = np.lexsort((lead_id[rows].astype(str), draws_of(lead_id[rows], salt=salt)))
    return [int(row) for row in rows[order[:number]]]


def leads_until_informative(rate: float, *, within: float = 0.5) -> int:
    """Control leads needed until their win rate is known to ``within`` of its value, with 90 % confidence.

    Parameters
    ----------
    rate : float
        Win rate expected below the line, between 0 and 1.
    within : float
        Half the width of the interval over the rate (normal approximation).

    Examples
    --------
    >>> leads_until_informative(0.05)
    206
    """
    return math.ceil(_Z90**2 * (1 - rate) / (rate * within**2))


def weeks_until_informative(rate: float, per_week: int, *, horizon_days: int) -> int:
    """Weeks until that many are drawn and the last of them has had its horizon.

    Examples
    --------
    >>> weeks_until_informative(0.05, 10, horizon_days=70)
    31
    """
    return math.ceil(leads_until_informative(rate) / per_week) + math.ceil(horizon_days / 7)
