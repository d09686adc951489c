"""mqlml: learn from won and lost leads who will convert, why, and whom to hand to sales."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__"]
