from __future__ import annotations

import numpy as np
import pytest

from mqlml.learning.decided import volume
from mqlml.learning.resampling import Resampler


def test_volume_when_leads_cross_in_several_weeks_then_each_counts_once() -> None:
    lead = np.repeat(np.arange(40), 3)
    free = lead < 30
    obeying = (lead < 20) & (np.arange(120) % 3 > 0)
    found = volume(lead, obeying, free, Resampler(lead, seed=0), weeks=5.0)
    # 20 leads instead of 30 in five weeks.
    assert found.value == pytest.approx(-2.0)
    assert found.low is not None
    assert found.high is not None
    assert found.low < -2.0 < found.high < 0


def test_volume_when_nobody_crosses_then_nothing_changes() -> None:
    nobody = np.zeros(10, dtype=bool)
    found = volume(np.arange(10), nobody, nobody, Resampler(np.arange(10), seed=0), weeks=1.0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
