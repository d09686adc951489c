"""How the kernel is compiled, and how compiled code is kept until the source of any of its parts changes."""

from __future__ import annotations

import hashlib
import pkgutil
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., object])

_njit: Any = numba.njit  # its type hints do not know `_nrt` and the wrappers
# No function here allocates: without reference counts (`_nrt`) the kernel runs six times faster. Without the wrappers
# for callers in C or Python it compiles in half the time.
_OPTIONS = {"fastmath": False, "error_model": "numpy", "no_cfunc_wrapper": True, "nogil": True, "_nrt": False}


def compiled(function: F) -> F:
    """Compile a function that Python calls, and keep the compiled code where that is possible."""
    try:
        return cast("F", _njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # nowhere to keep compiled code: neither package, home nor NUMBA_CACHE_DIR can be written
        return cast("F", _njit(**_OPTIONS)(function))


def inner(function: F) -> F:
    """Compile a function that only compiled functions call."""
    return cast("F", _njit(no_cpython_wrapper=True, forceinline=True, **_OPTIONS)(function))


def fingerprint(*modules: str) -> int:
    """A positive number that changes with the source of any of these modules of this package.

    Kept code is looked up by the source file of the function that Python calls alone. A function whose closure holds
    this number is compiled anew when a module that it calls into has changed.
    """
    digest = hashlib.sha256()
    for module in modules:
        digest.update(pkgutil.get_data("mqlml.tape", f"{module}.py") or b"")
    return 1 + int.from_bytes(digest.digest()[:7], "big")
