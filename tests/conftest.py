"""What all tests share: reproducible Hypothesis, no telemetry, the public data, and a browser where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import Server, remove, start_postgres
from sparks import start_spark

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers that each start a thread per core mostly wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "mqlml", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mqlml")

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


LONG = ("training", "real_data", "engine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no worker is left with one of them while the others are done.

    Those with whole trainings are long; longest are those of notebooks and documentation, which lie beside this file.
    """
    long = {item.path for item in items if any(item.get_closest_marker(name) for name in LONG)}
    items.sort(key=lambda item: (item.path not in long, item.path.parent != ROOT / "tests"))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Return the folder of the public data sets, or skip; tests that use it carry the mark ``real_data``."""
    folder = os.environ.get("MQLML_DATA")
    if not folder:
        pytest.skip("the public data sets are not here: set MQLML_DATA to their folder")
    if not Path(folder).is_dir():
        pytest.fail(f"MQLML_DATA names no folder: {folder}")
    return Path(folder)


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """Start Spark once for the whole run, or skip; engines find its session and take one of their own in it."""
    opened = start_spark()
    yield opened.spark
    opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start PostgreSQL in a folder of its own, or skip; tests make databases of their own in it."""
    server = start_postgres()
    yield server
    remove(server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start headless Chromium without a network, or skip; tests that use it carry the mark ``browser``."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
