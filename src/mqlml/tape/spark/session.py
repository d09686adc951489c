"""A Spark session as mqlml needs it: found or started, in UTC, quiet; and Spark's failures in plain words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mqlml.errors import EngineError, UsageError, shown

__all__ = ["OpenSession", "SparkSettings", "find_java", "open_session", "translated"]

LEAST_JAVA = 17
_JAVA_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_OURS = re.compile(r"mqlml\.errors\.\w+: (.*)")
_INSTALL = "pip install 'mqlml[spark]'"

# Of the session alone, whatever the cluster's defaults say: results must not depend on them.
_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_DEFAULTS = {"spark.sql.execution.arrow.maxRecordsPerBatch": "65536"}
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
_QUIET_LOG = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{1}: %m%n
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
"""


@dataclass(frozen=True)
class SparkSettings:
    """Where Spark runs.

    Parameters
    ----------
    master : str or None
        ``local[2]``, ``yarn``, ``k8s://...`` or ``spark://...``; None takes the session that is already there, else
        what Spark's own configuration says, else ``local[*]``.
    conf : mapping of str to str
        Spark's own settings.
    folder : str or None
        A folder that driver and executors see, for what passes between them; not needed on one machine.
    """

    master: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None


@dataclass(frozen=True)
class OpenSession:
    """A session of our own, and whether Spark was started for it."""

    spark: Any
    started: bool

    @property
    def is_local(self) -> bool:
        """Whether the executors are threads of this machine."""
        return str(self.spark.sparkContext.master).startswith("local")

    def close(self) -> None:
        """Stop Spark where it was started for us."""
        if self.started:
            self.spark.stop()


def open_session(settings: SparkSettings) -> OpenSession:
    """Take the session that is there, or start Spark.

    Raises
    ------
    EngineError
        PySpark or Java is missing or too old, or Spark does not start.
    UsageError
        A setting cannot be changed in a session that is already there.
    """
    with _patient():
        try:
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise EngineError("--engine spark needs PySpark, which is not installed.", hint=_INSTALL) from error
        with translated("starting"):
            present = SparkSession.getActiveSession()
            session = present.newSession() if present is not None else _start(SparkSession.builder, settings)
            _settle(session, settings if present is not None else SparkSettings())
    return OpenSession(session, started=present is None)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what Spark throws into one plain sentence.

    Raises
    ------
    EngineError
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        with _patient():
            yield
    except (PySparkException, Py4JError) as error:
        raise _as_ours(str(error), doing) from error


def _as_ours(text: str, doing: str) -> EngineError:
    """What mqlml said on an executor, or else the line in which Spark names the cause."""
    said = _OURS.findall(text)
    if said:
        return EngineError(f"On a Spark executor: {said[-1].strip()}")
    if "No module named 'mqlml'" in text:
        hint = "ship the environment, see docs/spark.md"
        return EngineError("mqlml is not installed on the executors.", hint=hint)
    causes = re.findall(r"^(?:Caused by: )?[\w.$]+(?:Error|Exception)\b:? ?(.+)$", text, flags=re.MULTILINE)
    lines = [line.strip() for line in (causes[-1:] or text.splitlines()) if line.strip()]
    return EngineError(
        f"Spark failed while {doing}: {' '.join((lines or ['no reason given'])[0].split())[:300]}",
        hint="see Spark's own log for the whole story; running again is safe",
    )


def _start(builder: Any, settings: SparkSettings) -> Any:
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # spark-submit has started Java already
        find_java()
    conf = {**_QUIET, **settings.conf}
    builder = builder.appName("mqlml")
    if settings.master is not None:
        builder = builder.master(settings.master)
    with tempfile.TemporaryDirectory(prefix="mqlml-") as folder:
        options = conf.get("spark.driver.extraJavaOptions", "")
        if "log4j" not in options:
            quiet = Path(folder, "log4j2.properties")
            quiet.write_text(_QUIET_LOG)
            conf["spark.driver.extraJavaOptions"] = f"{options} -Dlog4j2.configurationFile={quiet.as_uri()}".strip()
        for key, value in conf.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
    context = session.sparkContext
    if context.master.startswith("local") and "PYSPARK_PYTHON" not in os.environ:
        context.pythonExec = sys.executable  # else whichever python3 comes first
    return session


def _settle(session: Any, settings: SparkSettings) -> None:
    """Settings of the session; those of the cluster cannot be changed any more where it runs already."""
    for key, value in _DEFAULTS.items():
        if session.conf.get(key, None) in (None, "10000"):
            session.conf.set(key, value)
    for key, value in settings.conf.items():
        if not session.conf.isModifiable(key):
            raise UsageError(
                f"--spark-conf {shown(key)}: cannot be set in a Spark session that is already running.",
                hint="set it where that session is started",
            )
        session.conf.set(key, value)
    for key, value in _FIXED.items():
        session.conf.set(key, value)


def find_java() -> str:
    """Find the Java that Spark would use.

    Returns
    -------
    str
        Its version, or where it is when it does not say.

    Raises
    ------
    EngineError
        There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    hint = f"install Java {LEAST_JAVA} or newer (on Debian and Ubuntu: openjdk-17-jre-headless) or set JAVA_HOME"
    try:
        told = subprocess.run([java or "java", "-version"], capture_output=True, text=True, check=True).stderr  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise EngineError(f"--engine spark needs Java {LEAST_JAVA}, and none was found.", hint=hint) from error
    version = _JAVA_VERSION.search(told)
    if version is not None and int(version[1]) < LEAST_JAVA:
        raise EngineError(f"--engine spark needs Java {LEAST_JAVA}; '{java}' is Java {version[1]}.", hint=hint)
    return str(java) if version is None else version[1]


@contextmanager
def _patient() -> Iterator[None]:
    """PySpark warns of pandas 3 wherever it looks at it; mqlml passes Arrow and never asks it for pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        yield
