"""Small sums of the kernel."""

from __future__ import annotations

import numpy as np

from mqlml.tape.compiling import inner
from mqlml.tape.state import DAY_US, NEVER, Float64, Int64

_LN2 = float(np.log(2.0))


@inner
def days_since(time: int, now: int) -> float:
    """Days from a moment to now; NaN where it never came."""
    return np.nan if time == NEVER else float(now - time) / DAY_US


@inner
def faded(intensity: float, elapsed: float, half_life: float) -> float:
    """What is left of an intensity after some time."""
    return intensity * np.exp(-elapsed * _LN2 / half_life) if elapsed > 0.0 else intensity


@inner
def fill(row: Float64 | Int64, value: float) -> None:
    """Set every number."""
    for j in range(row.size):
        row[j] = value
