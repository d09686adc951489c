"""Golden rows: generated leads whose chances a bundle must reproduce wherever it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mqlml.errors import DataRefused, Problem

if TYPE_CHECKING:
    from mqlml.learning.model import Model

__all__ = ["check_golden_rows", "make_golden_rows"]

_ROWS = 16
# Another processor may order floating-point additions differently; a wrong model is off by far more.
_TOLERANCE = 1e-9


def make_golden_rows(model: Model, *, seed: int = 0) -> dict[str, Any]:
    """Generate feature rows (no person's) and what the model says of them, as plain data for the bundle."""
    generator = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {}
    for feature in model.features.features:
        if feature.kind == "number":
            values = np.round(generator.exponential(20.0, _ROWS), 3)
            absent = generator.random(_ROWS) < 0.2
            columns[feature.name] = [None if a else float(v) for v, a in zip(values, absent, strict=True)]
        else:
            words = [*sorted(model.encoder.levels(feature.name)), "never seen before", None]
            columns[feature.name] = [words[i] for i in generator.integers(0, len(words), _ROWS)]
    return {"rows": columns, "probability": model.probability(_table(model, columns)).tolist()}


def check_golden_rows(model: Model, golden: Mapping[str, Any], path: Path) -> None:
    """Score the golden rows again.

    Raises
    ------
    DataRefused
        A chance differs: the libraries here do not compute what those at training did.
    """
    p = model.probability(_table(model, golden["rows"]))
    off = float(np.abs(p - np.asarray(golden["probability"])).max())
    if off > _TOLERANCE:
        what = f"the bundle gives other chances here than where it was trained (by up to {off:.2g})"
        fix = "install the versions that the bundle's training.json lists, or train again"
        raise DataRefused([Problem("golden-rows", str(path), what, fix)])


def _table(model: Model, columns: Mapping[str, list[Any]]) -> pa.Table:
    kinds = {f.name: pa.float64() if f.kind == "number" else pa.string() for f in model.features.features}
    return pa.table({name: pa.array(columns[name], kind) for name, kind in kinds.items()})
