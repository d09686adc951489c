"""What changed between the criteria of two models: new, gone, reversed, drifted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mqlml.review.criteria import needs_review

__all__ = ["CHANGES", "changes", "known_criteria"]

CHANGES = {
    "new": "new",
    "reversed": "reversed",
    "drifted": "drifted",
    "same": "as before",
}
"""What may have become of a criterion, as it is said."""

# A weight has drifted where it is another by as many points and by half of it at least.
_POINTS, _TIMES = 0.03, 1.5
_OPPOSITE = {"raises": "lowers", "lowers": "raises"}


def changes(drivers: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare the drivers of a model with those of an earlier one.

    Parameters
    ----------
    drivers, before : sequence of mapping
        As `mqlml.review.drivers.drivers` gives them: ``criterion``, ``importance`` (0..1), ``direction`` and the
        ``measure`` that it is of, most important first.

    Returns
    -------
    dict
        ``criteria``: for each driver by name ``change`` (a key of `CHANGES`), and of the earlier model ``rank``,
        ``importance`` and ``direction`` (None where it was not among its drivers); ``gone``: the earlier drivers that
        are none now, by ``criterion``, ``importance`` and ``direction``.
    """
    earlier = {str(d["criterion"]): (rank, d) for rank, d in enumerate(before, start=1)}
    names = {str(d["criterion"]) for d in drivers}
    gone = [{key: d.get(key) for key in ("criterion", "importance", "direction")} for d in before]
    return {
        "criteria": {str(d["criterion"]): _change(d, earlier.get(str(d["criterion"]))) for d in drivers},
        "gone": [d for d in gone if str(d["criterion"]) not in names],
    }


def known_criteria(
    drivers: Sequence[Mapping[str, Any]], found: Mapping[str, Any], marked: Collection[str], *, marked_since: bool
) -> frozenset[str]:
    """Criteria that people need not look at again, since they did so for the model in use.

    Parameters
    ----------
    drivers : sequence of mapping
        Of the reviewed model.
    found : mapping
        What `changes` says of the new model against it.
    marked : collection of str
        Criteria that people decided on.
    marked_since : bool
        Whether they looked at a later model than the reviewed one when they did.
    """
    reversed_now = {name for name, change in found["criteria"].items() if change["change"] == "reversed"}
    reviewed = {*needs_review(drivers), *marked} - reversed_now
    return frozenset({*reviewed, *(marked if marked_since else ())})


def _change(driver: Mapping[str, Any], earlier: tuple[int, Mapping[str, Any]] | None) -> dict[str, Any]:
    if earlier is None:
        return {"change": "new", "rank": None, "importance": None, "direction": None}
    rank, before = earlier
    was, now = before["importance"], driver["importance"]
    # Directions of two measures of a criterion, such as visits and days since one, cannot be compared.
    comparable = before.get("measure") == driver.get("measure")
    if comparable and _OPPOSITE.get(str(before.get("direction"))) == driver.get("direction"):
        change = "reversed"
    elif abs(now - was) >= _POINTS and max(now, was) >= _TIMES * min(now, was):
        change = "drifted"
    else:
        change = "same"
    return {"change": change, "rank": rank, "importance": was, "direction": before.get("direction")}
