"""Running a command: signals, exit codes, and what is said when something goes wrong."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mqlml.cli import collecting, criteria, learning, looking, operating, promoting, reading, scoring, starting
from mqlml.cli.common import cli
from mqlml.cli.log import log_end, log_error, new_run, tell
from mqlml.errors import DataRefused, EngineError, MqlError

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["main"]

for _commands in (collecting, criteria, learning, looking, operating, promoting, reading, scoring, starting):
    for _command in _commands.COMMANDS:
        cli.add_command(_command)


class _Terminated(BaseException):
    """SIGTERM arrived: leave through every ``finally``, so that nothing half-written stays."""

    seen = False


_INTERRUPTED = frozenset({"RuntimeError", "InterruptException", "EngineError"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 bug, 2 usage, 3 data, 4 gate, 5 engine, 130/143 stopped."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    previous = _on_sigterm(_stop)
    _Terminated.seen = False
    new_run()
    try:
        with warnings.catch_warnings():
            code = _run(arguments)
            log_end(code)
            return code
    except BrokenPipeError:
        return _pipe_closed()
    finally:
        _on_sigterm(previous)


def _run(arguments: list[str]) -> int:
    """Run a command, say what stopped it, and return the exit code."""
    try:
        result = cli.main(arguments, prog_name="mqlml", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _failed(error, f"mqlml: {error.format_message()} Run 'mqlml --help' for help.", 2, arguments)
    except (KeyboardInterrupt, click.Abort):
        return _told(130)
    except _Terminated:
        return _told(143)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last resort turns a bug into its exit code
        if (code := _stopped(error)) is not None:
            return _told(code)
        text, code = _said(error)
        return _failed(error, text, code, arguments)


def _said(error: Exception) -> tuple[str, int]:
    """What is said of an error, and its exit code."""
    if isinstance(error, MqlError):
        return _one_line_each(error), error.exit_code
    if isinstance(error, OSError):
        return f"mqlml: {error}. Nothing half-written was kept; running again is safe.", EngineError.exit_code
    bug = f"a bug in mqlml: {type(error).__name__}: {error}"
    return f"mqlml: {bug}. Run again with --debug and report what it shows.", 1


def _failed(error: Exception, text: str, code: int, arguments: list[str]) -> int:
    if "--debug" in arguments and not isinstance(error, click.ClickException):
        traceback.print_exc()
    tell(text)
    log_error(error, exit_code=code)
    return code


def _on_sigterm(handler: Any) -> Any:
    try:
        return signal.signal(signal.SIGTERM, handler)
    except ValueError:
        return None  # not the main thread: whoever runs mqlml there handles signals


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    _Terminated.seen = True
    raise _Terminated


def _stopped(error: Exception) -> int | None:
    """The exit code where a signal ended a query: DuckDB then raises an error of its own instead of letting it out."""
    if _Terminated.seen:
        return 143
    return 130 if "interrupted" in str(error).lower() and type(error).__name__ in _INTERRUPTED else None


def _told(code: int) -> int:
    tell(f"mqlml: {'interrupted' if code == 130 else 'terminated'}; nothing half-written was kept.")
    return code


def _pipe_closed() -> int:
    # Python would complain once more while flushing stdout at exit.
    sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123
    return 0


def _one_line_each(error: MqlError) -> str:
    kept = " Nothing was written; earlier outputs are unchanged." if isinstance(error, DataRefused) else ""
    return "\n".join(f"{line}{kept}" for line in str(error).splitlines())
