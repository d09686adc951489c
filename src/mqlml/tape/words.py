"""Phrases that the descriptions of features are made of."""

from __future__ import annotations

from mqlml.tape.columns import OTHER


def quoted(name: str) -> str:
    """An event type, asset or channel in quotes; the ones beyond the vocabulary by what they have in common."""
    return "other (less frequent)" if name == OTHER else f"'{name}'"


def when(window: int | None) -> str:
    """The end of a sentence about a window of so many days, or the whole past."""
    return "so far" if window is None else f"in the last {days(window)}"


def suffix(window: int | None) -> str:
    """The end of a feature's name."""
    return "ever" if window is None else f"{window}d"


def days(number: int) -> str:
    """A number of days; one day without the number."""
    return "day" if number == 1 else f"{number} days"
