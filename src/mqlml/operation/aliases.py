"""MLflow's aliases follow the standing: a copy for those who look there, from which mqlml reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.errors import EngineError
from mqlml.operation.standing import read_standing
from mqlml.operation.tracking import VERSION_TAG, failed, mlflow_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from mqlml.config import Config

__all__ = ["follow", "follow_standing"]


def follow_standing(config: Config) -> list[str]:
    """Let MLflow say what is in use here; that does not depend on MLflow, so a failure is only told.

    Returns
    -------
    list of str
        What people should know.
    """
    models = config.path(config.output.models)
    standing = read_standing(models)
    if standing is None:
        return []
    aliases = {"champion": standing.model_version, "challenger": standing.challenger}
    try:
        unknown = follow(models, name=config.output.name, aliases=aliases)
    except EngineError as error:
        return [f"MLflow's aliases do not follow yet: {error} The next promote, rollback, retrain or train sets them."]
    return [f"MLflow has no model of '{version}': its alias is not set." for version in unknown]


def follow(models: Path, *, name: str, aliases: Mapping[str, str | None]) -> list[str]:
    """Point the aliases of the registered model at the versions that hold these bundles.

    It may be interrupted anywhere: run again, it sets what is missing and leaves what is right.

    Parameters
    ----------
    models : Path
        The directory of all bundles.
    name : str
        Of the registered model.
    aliases : mapping of str to (str or None)
        Bundle of each alias; None removes the alias.

    Returns
    -------
    list of str
        Bundles that MLflow does not know (trained while it could not be reached); their alias is removed.

    Raises
    ------
    EngineError
        MLflow failed or cannot be reached.
    """
    try:
        with mlflow_store(models):
            from mlflow import MlflowClient

            return _follow(MlflowClient(), name, aliases)
    except Exception as error:
        raise failed(models, error, what="the aliases are not set") from error


def _follow(client: MlflowClient, name: str, aliases: Mapping[str, str | None]) -> list[str]:
    registered = client.search_registered_models(filter_string=f"name = '{name}'")
    now = dict(registered[0].aliases) if registered else {}
    versions = _versions(client, name) if registered else {}
    unknown = []
    for alias, bundle in aliases.items():
        version = None if bundle is None else versions.get(bundle)
        if bundle is not None and version is None:
            unknown.append(bundle)
        if version is not None and str(now.get(alias)) != version:
            client.set_registered_model_alias(name, alias, version)
        elif version is None and alias in now:
            client.delete_registered_model_alias(name, alias)
    return unknown


def _versions(client: MlflowClient, name: str) -> dict[str, str]:
    """The newest version in MLflow of each bundle."""
    found: dict[str, int] = {}
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=1_000, page_token=token)
        for version in page:
            bundle = version.tags.get(VERSION_TAG)
            if bundle is not None:
                found[bundle] = max(found.get(bundle, 0), int(version.version))
        token = page.token
        if not token:
            return {bundle: str(number) for bundle, number in found.items()}
