"""A trained model: everything needed to turn a table of features into chances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mqlml.learning.calibration import Calibrator
from mqlml.learning.encoder import Encoder
from mqlml.learning.newcomers import Newcomer, newcomer_rows
from mqlml.learning.propensity import Blend
from mqlml.learning.segments import Segments
from mqlml.tape.features import FeatureSet

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Model"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """Features, encoder, blend and calibrator; the same object trains, is stored, and scores.

    Attributes
    ----------
    features : FeatureSet
    encoder : Encoder
    blend : Blend
    calibrator : Calibrator
    reference : ndarray of float64, shape (k,)
        Ascending quantiles of the chances of leads the recipe was tested on; percentiles are read from it.
    newcomers : tuple of Newcomer
        Who speaks for leads with a level that was never seen.
    segments : Segments
        What is added to the calibrated log-odds of each segment's leads.
    """

    features: FeatureSet
    encoder: Encoder
    blend: Blend
    calibrator: Calibrator
    reference: Floats
    newcomers: tuple[Newcomer, ...] = ()
    segments: Segments = field(default_factory=Segments)

    def matrix(self, table: pa.Table) -> Floats:
        """Design matrix of a table of features, shape (rows, columns); columns are found by name."""
        return self.encoder.transform(table)

    def probability(self, table: pa.Table, matrix: Floats | None = None) -> Floats:
        """Chance of being won within the horizon, shape (rows,), strictly between 0 and 1.

        Parameters
        ----------
        table : pa.Table
            Features.
        matrix : ndarray of float64, shape (rows, columns), optional
            Their design matrix, where it is there already.
        """
        log_odds = self.log_odds(self.matrix(table) if matrix is None else matrix)
        return np.clip(expit(log_odds), 1e-9, 1 - 1e-9)  # type: ignore[no-any-return]

    def log_odds(self, matrix: Floats) -> Floats:
        """Calibrated log-odds of rows of the design matrix, shape (rows,)."""
        found = self.calibrator.log_odds(self.blend.raw(matrix))
        for j, added in self.segments.columns(self.encoder).items():
            found += added * matrix[:, j]
        speaker = newcomer_rows(self.newcomers, self.encoder, matrix)
        for i, rule in enumerate(self.newcomers):
            found[speaker == i] = rule.log_odds(found[speaker == i])
        return found

    def percentile(self, p: Floats) -> Floats:
        """Share of reference leads with a lower chance, 0..100, shape (rows,)."""
        return 100.0 * np.searchsorted(self.reference, p) / len(self.reference)

    def to_parts(self) -> dict[str, bytes]:
        """Files of the bundle: ``model.json`` and one text a bag."""
        data = {
            "features": self.features.to_dict(),
            "encoder": self.encoder.to_dict(),
            "blend": self.blend.to_parts(),
            "calibrator": self.calibrator.to_dict(),
            "newcomers": [rule.to_dict() for rule in self.newcomers],
            "segments": self.segments.to_dict(),
            "reference": [float(p) for p in self.reference],
        }
        trees = {f"trees_{i}.txt": text.encode() for i, text in enumerate(self.blend.trees)}
        return {"model.json": json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False).encode(), **trees}

    @classmethod
    def from_parts(cls, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> Model:
        """Inverse of :meth:`to_parts`.

        Parameters
        ----------
        data : mapping
            The content of ``model.json``.
        parts : mapping of str to bytes
            The files of the bundle, already checked.
        """
        trees = [parts[f"trees_{i}.txt"].decode() for i in range(int(data["blend"]["bags"]))]
        return cls(
            features=FeatureSet.from_dict(data["features"]),
            encoder=Encoder.from_dict(data["encoder"]),
            blend=Blend.from_parts(data["blend"], trees),
            calibrator=Calibrator.from_dict(data["calibrator"]),
            reference=np.asarray(data["reference"], dtype=np.float64),
            newcomers=tuple(Newcomer.from_dict(rule) for rule in data["newcomers"]),
            segments=Segments.from_dict(data["segments"]) if "segments" in data else Segments(),
        )
