"""The command line: the only place that prints. Results go to stdout, progress and messages to stderr."""

from __future__ import annotations

from mqlml.cli.common import cli
from mqlml.cli.running import main

__all__ = ["cli", "main"]
