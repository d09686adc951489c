"""Spark as the tests start it: small, quick, on two threads of this machine."""

from __future__ import annotations

import importlib.util
import shutil
import warnings

import pytest

from mqlml.tape.spark.session import OpenSession, SparkSettings, open_session

CONF = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "3",
}
# Batches so small that they cut nearly every key, and more partitions than some tests have keys.
CUT = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "7",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "5",
}

# Options of a command.
SPARK = ["--engine", "spark", *(part for key, value in CUT.items() for part in ("--spark-conf", f"{key}={value}"))]
SPARK += ["--spark-conf", "spark.sql.execution.arrow.maxRecordsPerBatch=501"]


def start_spark() -> OpenSession:
    """Start Spark, or skip the test that asks for it."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("PySpark is not here: pip install 'mqlml[spark]', or make engines")
    if shutil.which("java") is None:
        pytest.skip("Java is not here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Spark's own, while it starts
        return open_session(SparkSettings("local[2]", CONF))
