"""What a win would be worth, lead by lead: from a column, or learned from the deals that were won."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import DataRefused, Problem

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Worth", "column_worth", "learned_worth"]

Floats = npt.NDArray[np.float64]

# A source's own mean and the mean of all wins weigh the same at this many wins.
_PRIOR_WINS = 10.0


@dataclass(frozen=True)
class Worth:
    """How to tell what a win of a lead would be worth.

    Attributes
    ----------
    feature : str or None
        Feature that holds the value, or the level it is looked up by; None: every win is worth ``default``.
    levels : dict of str to float, or None
        Value by level of the feature; None where the feature itself is the value.
    default : float
        For leads without a value or with another level.
    """

    feature: str | None
    levels: dict[str, float] | None
    default: float

    def of(self, table: pa.Table) -> Floats:
        """Value of a win of each lead.

        Parameters
        ----------
        table : pa.Table
            Features by name.

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        if self.feature is None or self.feature not in table.column_names:
            return np.full(table.num_rows, self.default)
        column = table[self.feature]
        if self.levels is None:
            values = pc.fill_null(column.cast(pa.float64()), self.default).to_numpy()
            return np.where(np.isfinite(values), values, self.default)
        names = pc.fill_null(column.cast(pa.string()), "").to_pylist()
        return np.array([self.levels.get(name, self.default) for name in names], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Worth:
        """Inverse of :meth:`to_dict`."""
        return cls(**data)


def column_worth(table: pa.Table, column: str, *, where: str) -> Worth:
    """Take a column of the leads as the value of a win; leads without one count as the middle one.

    Parameters
    ----------
    table : pa.Table
        Features of past snapshots.
    column : str
        Name in the leads file.
    where : str
        The leads file, for messages.

    Raises
    ------
    DataRefused
        The column is no number known at the time, or holds negative values.
    """
    name = f"lead.{column}"
    if name not in table.column_names or not pa.types.is_floating(table.schema.field(name).type):
        what = "is named in [policy] value_column and is no number that was known when leads were looked at"
        fix = "name it in [leads] known_at_creation (or record its changes in [history]), or use value = 'learned'"
        raise DataRefused([Problem("value-column", where, what, fix, column=column)])
    values = table[name].drop_null().to_numpy()
    values = values[np.isfinite(values)]
    negative = int((values < 0).sum())
    if negative or not len(values) or not (values > 0).any():
        what = "holds negative values" if negative else "holds no value above 0"
        fix = "say what a win of the lead brings, empty where nobody knows"
        problem = Problem("value-column", where, what, fix, column=column, count=negative or None, total=len(values))
        raise DataRefused([problem])
    return Worth(name, None, float(np.median(values)))


def learned_worth(
    value: Floats, source: npt.NDArray[Any] | None, feature: str | None, *, named: Collection[str]
) -> Worth | None:
    """Mean value of won leads by source, pulled towards the mean of all where there are few wins.

    Parameters
    ----------
    value : ndarray of float64, shape (wins,)
        What each win brought; NaN where nobody said.
    source : ndarray of str, shape (wins,), or None
    feature : str or None
        The feature that holds the source.
    named : collection of str
        Sources with enough leads to be named.

    Returns
    -------
    Worth or None
        None where no win has a value, or wins bring nothing on the whole.
    """
    known = np.isfinite(value)
    if not known.any() or value[known].mean() <= 0:
        return None
    mean = float(value[known].mean())
    if source is None or feature is None:
        return Worth(None, None, mean)
    levels = {}
    for name in sorted(named):
        mine = value[known & (source == name)]
        levels[name] = max(float((mine.sum() + _PRIOR_WINS * mean) / (len(mine) + _PRIOR_WINS)), 0.0)
    return Worth(feature, levels, mean)
