"""What people decided that a model must obey: criteria it may not use, directions, and how much of one counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mqlml.learning.encoder import Column
    from mqlml.tape.features import Feature

__all__ = ["Constraints"]

# More of these is neither more nor less of the criterion they belong to.
_SHAPES = frozenset({"tempo", "rhythm"})


@dataclass(frozen=True)
class Constraints:
    """Decisions on criteria; each holds for all features of its criterion.

    Attributes
    ----------
    barred : frozenset of str
        Criteria that must not be used.
    direction : mapping of str to int
        +1 where more must never lower the chance, -1 where it must never raise it.
    caps : mapping of str to float
        More of a criterion than this counts as this; days since something are not capped.
    """

    barred: frozenset[str] = frozenset()
    direction: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.barred or self.direction or self.caps)

    def allowed(self, features: Sequence[Feature]) -> tuple[Feature, ...]:
        """The features that may be used, in their order."""
        return tuple(feature for feature in features if feature.criterion not in self.barred)

    def cap(self, feature: Feature) -> float | None:
        """Greatest value of a feature that counts."""
        return None if feature.since or feature.kind == "category" else self.caps.get(feature.criterion)

    def sign(self, feature: Feature) -> int:
        """+1 where the chance may only grow with the feature's value, -1 where it may only fall, 0 where both may be.

        Something done longer ago is less of it.
        """
        if feature.kind == "category" or feature.family in _SHAPES:
            return 0
        sign = self.direction.get(feature.criterion, 0)
        return -sign if feature.since else sign

    def signs(self, columns: Sequence[Column], features: Sequence[Feature]) -> npt.NDArray[np.int8]:
        """Sign of each column of a design matrix, shape (columns,)."""
        signs = {feature.name: self.sign(feature) for feature in features} if self.direction else {}
        return np.array([signs.get(c.feature, 0) if c.kind == "value" else 0 for c in columns], dtype=np.int8)

    def without_direction(self, features: Sequence[Feature]) -> tuple[str, ...]:
        """Criteria that were given a direction, or a cap, although no number belongs to them."""
        numbers = {f.criterion for f in features if f.kind == "number" and f.family not in _SHAPES}
        known = {f.criterion for f in features}
        return tuple(name for name in {**self.direction, **self.caps} if name in known and name not in numbers)
