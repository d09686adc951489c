"""What MLflow calls to serve a bundle; mqlml itself never loads a model through MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class ServedModel:
    """A bundle behind MLflow's ``pyfunc`` interface.

    Parameters
    ----------
    scorer : LeadScorer
        Offers ``predict_frame(features)``.
    """

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Score leads whose features are known.

        Parameters
        ----------
        model_input : pandas.DataFrame of shape (n_leads, n_features)
            Columns by the names of the signature; a missing one counts as not supplied.
        params : dict, optional
            Not used; part of MLflow's interface.

        Returns
        -------
        pandas.DataFrame of shape (n_leads, 6)
            ``probability`` (0 to 1), ``tier``, ``reason_1`` to ``reason_3`` (None where there are fewer) and
            ``model_version``.
        """
        scored: pd.DataFrame = self._scorer.predict_frame(model_input)
        return scored[["probability", "tier", "reason_1", "reason_2", "reason_3", "model_version"]]


def _load_pyfunc(data_path: str) -> ServedModel:
    """Open the bundle that lies in an MLflow model; its hashes are checked as everywhere else."""
    from mqlml.operation.scoring import LeadScorer

    return ServedModel(LeadScorer.load(Path(data_path)))
