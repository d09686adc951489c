"""Runs that write scores and are killed on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

# Imports once, then writes in a child of its own whenever a line says the run's number. A line may go on with a module,
# a function, "before" or "after", and a number: the child kills itself there when the function is called so often.
FORKS = """
import importlib, os, signal, sys
from datetime import UTC, datetime
import pyarrow as pa
import duckdb
from mqlml.operation.sinks import write_scores

out, rows = sys.argv[1], int(sys.argv[2])
march = datetime(2026, 3, 1, tzinfo=UTC)
schema = pa.schema([("lead_id", pa.string()), ("as_of", pa.timestamp("us", "UTC")), ("probability", pa.float64()),
                    ("model_version", pa.string()), ("policy_version", pa.string())])

def batches(run):
    for start in range(0, rows, 1000):
        n = min(1000, rows - start)
        yield pa.RecordBatch.from_arrays([pa.array([f"L{i}" for i in range(start, start + n)]),
            pa.array([march] * n, schema.field("as_of").type), pa.array([float(run)] * n),
            pa.array(["m1"] * n), pa.array(["p1"] * n)], schema=schema)

def die(module, name, when, number):
    place = importlib.import_module(module)
    real, calls = getattr(place, name), []
    def dying(*arguments, **named):
        calls.append(1)
        if when == "before" and len(calls) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if when == "after" and len(calls) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(place, name, dying)

for line in sys.stdin:
    run, *point = line.split()
    child = os.fork()
    if child == 0:
        if point:
            die(*point)
        manifest = {"as_of": march, "model_version": "m1", "policy_version": "p1", "run": run}
        write_scores(batches(run), schema, out, manifest=manifest)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def kill_runs(
    out: str, kills: int, rows: int, *, share: Callable[[int], float], check: Callable[[int], None]
) -> list[int]:
    """Write run 0 whole, kill runs 1, 2, ... at a share of the time one takes, and let a last one, -1, finish.

    ``check`` looks at what lies there after each. Every second one is asked to stop (SIGTERM), the others are not
    (SIGKILL). Returns the exit codes; 0 is a run that was done before its signal came.
    """
    command = [sys.executable, "-c", FORKS, out, str(rows)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        stdin, stdout = forks.stdin, forks.stdout

        def begin(run: int) -> int:
            stdin.write(f"{run}\n")
            return int(stdout.readline())

        begin(0)
        assert int(stdout.readline()) == 0
        begun = time.monotonic()
        begin(0)
        assert int(stdout.readline()) == 0
        took, ended = time.monotonic() - begun, []
        for number in range(1, kills + 1):
            child = begin(number)
            time.sleep(took * share(number))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL if number % 2 else signal.SIGTERM)
            ended.append(int(stdout.readline()))
            check(number)
        begin(-1)
        assert int(stdout.readline()) == 0
        check(-1)
        stdin.close()
    return ended


def kill_at(out: str, points: Sequence[str], rows: int, *, check: Callable[[int], None]) -> None:
    """Write run 0 whole, have each run 1, 2, ... die at its point, and let a last one, -1, finish.

    A point is ``"module function before|after number"``. Every run must die; ``check`` looks at what lies there then.
    """
    command = [sys.executable, "-c", FORKS, out, str(rows)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        for number, point in [(0, ""), *enumerate(points, 1), (-1, "")]:
            forks.stdin.write(f"{number} {point}\n")
            forks.stdout.readline()
            code = int(forks.stdout.readline())
            assert code == (-signal.SIGKILL if point else 0), f"{point}: {code}"
            check(number)
        forks.stdin.close()
