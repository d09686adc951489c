"""An MLflow server of its own for a test, as a company runs it: HTTP in front, PostgreSQL behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres_server import free_port


@contextmanager
def mlflow_server(store: str, artifacts: Path) -> Iterator[str]:
    """Run ``mlflow server`` on a free port until the context ends; yields its address.

    ``store`` is the address of a PostgreSQL database; artifacts go through the server into ``artifacts``.
    """
    port = free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", store.replace("postgresql://", "postgresql+psycopg://")]
    words += ["--artifacts-destination", str(artifacts), "--serve-artifacts"]
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow starts uvicorn by name
    hidden = {"MLFLOW_TRACKING_URI", "PYTEST_CURRENT_TEST"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden} | {"PATH": programs}
    log = artifacts.with_suffix(".log")
    with log.open("wb") as told:
        command = [sys.executable, "-m", "mlflow", *words]
        server = subprocess.Popen(command, env=environment, stdout=told, stderr=told, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server, log)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
        assert server.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-3_000:]
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-3_000:])
