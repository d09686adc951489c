"""Where the win rate stands now, against the whole history, and how much of the difference is expected to last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scipy.special import expit, logit

if TYPE_CHECKING:
    from mqlml.learning.drift import Level

__all__ = ["level_now"]


def level_now(level: Level, usual: float) -> dict[str, Any] | None:
    """Tell the newest window's level as win rates.

    Parameters
    ----------
    level : Level
    usual : float
        Win rate of the whole history, 0..1.

    Returns
    -------
    dict or None
        ``usual``, ``newest`` with ``low`` and ``high`` (90 %) and ``expected``, rates 0..1 for leads as they are on the
        whole; ``lasting``, the share of such differences that lasted; and a ``sentence``. None where nothing is known
        of drift.

    Examples
    --------
    >>> from mqlml.learning.drift import Level
    >>> print(level_now(Level(0.2, 0.1, 0.3, persistence=0.5, applied=0.1, windows=8), 0.2)["sentence"])
    Leads that win 20.0 % of the time over the whole history won 23.4 % in the newest of its 8 parts (likely 21.6 % to \
25.2 %). Of such differences 50 % lasted until outcomes were known, so that chances rest on 21.6 %.
    """
    if level.windows < 2 or not 0 < usual < 1:
        return None
    newest, low, high, expected = (
        float(expit(logit(usual) + by)) for by in (level.newest, level.low, level.high, level.applied)
    )
    chance = "" if low > usual or high < usual else " That may be chance."
    sentence = (
        f"Leads that win {100 * usual:.1f} % of the time over the whole history won {100 * newest:.1f} % in the newest "
        f"of its {level.windows} parts (likely {100 * low:.1f} % to {100 * high:.1f} %).{chance} Of such differences "
        f"{100 * level.persistence:.0f} % lasted until outcomes were known, so that chances rest on "
        f"{100 * expected:.1f} %."
    )
    return {
        "usual": usual,
        "newest": newest,
        "low": low,
        "high": high,
        "lasting": level.persistence,
        "expected": expected,
        "sentence": sentence,
    }
