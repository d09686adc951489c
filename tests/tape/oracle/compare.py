"""What ``build_features`` says against what plain SQL says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tape.oracle import expected

from mqlml.tape.build import build_features

if TYPE_CHECKING:
    from mqlml.tape.features import FeatureSet

RELATIVE = 1e-9


def differences(history: Any, marks: pa.Table, features: FeatureSet) -> list[str]:
    """Say which columns are missing, too many or different, and where first; whole numbers and texts are exact."""
    ours = build_features(history, marks, features)
    theirs = expected(history, marks, features)
    names = [feature.name for feature in features.features]
    found = [f"{name}: no oracle" for name in names if name not in theirs]
    found += [f"{name}: no feature" for name in theirs if name not in names]
    return found + list(_different(ours, theirs))


def _different(ours: pa.Table, theirs: dict[str, list[Any]]) -> Iterator[str]:
    asked = ours.select(["lead_id", "at"]).to_pylist()
    for name in (name for name in theirs if name in ours.column_names):
        column = ours[name].to_pylist()
        wrong = [row for row, pair in enumerate(zip(column, theirs[name], strict=True)) if not _equal(*pair)]
        if wrong:
            row = wrong[0]
            where = f"{asked[row]['lead_id']} at {asked[row]['at']}"
            yield f"{name}: {len(wrong)} rows, first {where}: {column[row]!r}, not {theirs[name][row]!r}"


def _equal(mine: Any, other: Any) -> bool:
    if other is None or isinstance(other, str):
        return mine == other or (other is None and isinstance(mine, float) and np.isnan(mine))
    if isinstance(other, int):
        return mine == other
    return bool(np.isclose(mine, float(other), rtol=RELATIVE, atol=0))
