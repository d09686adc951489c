"""Whether this machine can run mqlml, and what would make it run better."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from mqlml import __version__
from mqlml.config import Config
from mqlml.errors import MqlError

__all__ = ["Check", "examine"]

_NEEDED = ("duckdb", "lightgbm", "mlflow", "numba", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy")
_PYTHON = ((3, 11), (3, 14))
_LEAST_FREE = 1 << 30
_WANTED_FREE = 10 << 30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name, found : str
    state : {"good", "advice", "bad"}
        "bad" keeps mqlml from working; "advice" concerns what not everybody needs.
    fix : str
        What to do; empty where there is nothing to do.
    """

    name: str
    found: str
    state: Literal["good", "advice", "bad"] = "good"
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def examine(settings: Path) -> tuple[Check, ...]:
    """Look at versions, threads, cache, disk, settings, MLflow and Java.

    Parameters
    ----------
    settings : Path
        Where it exists, its folder is where bundles go.

    Returns
    -------
    tuple of Check
    """
    folder = _models(settings)
    looked: list[Callable[[], Iterator[Check]]] = [
        _versions,
        _threads,
        _cache,
        lambda: _disk("models", folder),
        lambda: _disk("temporary files", Path(tempfile.gettempdir())),
        lambda: _settings(settings),
        lambda: _mlflow(folder),
        _java,
        _postgres,
    ]
    return tuple(check for look in looked for check in look())


def _versions() -> Iterator[Check]:
    low, high = _PYTHON
    fits = low <= sys.version_info[:2] < high
    fix = "" if fits else f"use Python {low[0]}.{low[1]} up to {high[0]}.{high[1] - 1}"
    system = f"{platform.system()} {platform.machine()}"
    yield Check("Python", f"{platform.python_version()} on {system}", "good" if fits else "bad", fix)
    found, missing = {"mqlml": __version__}, []
    for name in _NEEDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    yield Check("libraries", ", ".join(f"{name} {number}" for name, number in found.items()))
    if missing:
        yield Check("missing libraries", ", ".join(missing), "bad", f"install them: pip install {' '.join(missing)}")
    yield from _wrong_versions()


def _wrong_versions() -> Iterator[Check]:
    """Libraries whose version is not the one that mqlml asks for, where that can be told."""
    try:
        from packaging.requirements import Requirement

        wanted = [Requirement(text) for text in requires("mqlml") or ()]
    except (ImportError, PackageNotFoundError):
        return
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(one.name)
        except PackageNotFoundError:
            continue
        if not one.specifier.contains(there, prereleases=True):
            yield Check(one.name, f"{there}, needed is {one.specifier}", "bad", f"pip install '{one}'")


def _threads() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS")
    limit = f"; OMP_NUM_THREADS limits LightGBM to {said}" if said else ""
    yield Check("threads", f"{cores} processors{limit}")


def _cache() -> Iterator[Check]:
    """Compiled code is kept in NUMBA_CACHE_DIR, beside the package, or in the cache folder of the user."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(named)] if named else [Path(__file__).resolve().parent.parent / "tape", Path.home() / ".cache"]
    place = next((p for p in places if _writable(p)), None)
    if place is None:
        yield Check(
            "compiled code", "cannot be kept: every run compiles anew, about half a minute", "advice",
            "set NUMBA_CACHE_DIR to a folder that can be written",
        )  # fmt: skip
    else:
        yield Check("compiled code", f"is kept in {place}")


def _disk(what: str, folder: Path) -> Iterator[Check]:
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / (1 << 30):,.1f} GiB free in {there}"
    if not _writable(there):
        yield Check(what, f"{there} cannot be written", "bad", "give this user the right to write there")
    elif free < _LEAST_FREE:
        yield Check(what, told, "bad", "make room: less than 1 GiB is left")
    else:
        fix = "" if free >= _WANTED_FREE else "large histories spill to disk: 10 GiB are better"
        yield Check(what, told, "advice" if fix else "good", fix)


def _settings(settings: Path) -> Iterator[Check]:
    if not settings.exists():
        yield Check("settings", f"there is no {settings} here", "advice", "mqlml init makes one from exports; --config")
        return
    try:
        Config.load(settings)
    except MqlError as error:
        yield Check("settings", f"{settings} cannot be used", "bad", str(error))
    else:
        yield Check("settings", f"{settings} can be read; 'mqlml check' looks at the data")


def _mlflow(folder: Path) -> Iterator[Check]:
    """A store of files needs nothing; a server must answer."""
    import urllib.error
    import urllib.request

    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address.startswith(("http://", "https://")):
        yield Check("MLflow", f"keeps its runs in {address or folder / 'mlflow.db'}")
        return
    shown = address.split("@")[-1]  # an address may hold a password
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=5) as answer:  # noqa: S310
            yield Check("MLflow", f"{shown} answers ({answer.status})")
    except (urllib.error.URLError, OSError, ValueError) as error:
        fix = "start the server or correct MLFLOW_TRACKING_URI; trainings work without it and say 'not registered'"
        yield Check("MLflow", f"{shown} does not answer ({error})", "advice", fix)


def _java() -> Iterator[Check]:
    """Java is needed for --engine spark alone."""
    try:
        version("pyspark")
    except PackageNotFoundError:
        yield Check("Spark", "not installed", "advice", "only --engine spark needs it: pip install 'mqlml[spark]'")
        return
    from mqlml.tape.spark.session import find_java

    try:
        yield Check("Spark", f"pyspark {version('pyspark')} with Java {find_java()}")
    except MqlError as error:
        yield Check("Spark", f"pyspark {version('pyspark')}, but {error}", "advice", "only --engine spark needs it")


def _postgres() -> Iterator[Check]:
    """The driver is needed for addresses that begin with postgresql:// alone."""
    try:
        yield Check("PostgreSQL", f"driver {version('adbc-driver-postgresql')}")
    except PackageNotFoundError:
        fix = "only postgresql:// addresses need it: pip install 'mqlml[postgres]'"
        yield Check("PostgreSQL", "no driver installed", "advice", fix)


def _writable(folder: Path) -> bool:
    there = next((p for p in (folder, *folder.parents) if p.exists()), None)
    return there is not None and os.access(there, os.W_OK)


def _models(settings: Path) -> Path:
    try:
        config = Config.load(settings)
    except MqlError:
        return settings.resolve().parent / "models"
    return config.path(config.output.models)
