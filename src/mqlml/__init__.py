"""mqlml: learn from won and lost leads who will convert, why, and whom to hand to sales."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mqlml")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.1.0.dev0"
__all__ = ["__version__"]
