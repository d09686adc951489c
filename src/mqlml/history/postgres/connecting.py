"""A connection that is one transaction; errors of the database become mqlml's own, without passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mqlml.errors import DataRefused, EngineError, MqlError, Problem, UsageError

if TYPE_CHECKING:
    from mqlml.history.postgres.address import Address

__all__ = ["Cursor", "lost", "state_of", "transaction"]

Cursor = Any
_AGAIN = "no table was changed; running again is safe"
_BUSY = {"40001", "40P01", "55P03"}


@contextmanager
def transaction(address: Address, *, read_only: bool = False) -> Iterator[Cursor]:
    """Connect and begin; commit at the end, or roll back whatever is raised.

    Parameters
    ----------
    address : Address
    read_only : bool
        Everything is seen as of one moment, and nothing can be changed.

    Yields
    ------
    Cursor
        Of the Arrow driver.

    Raises
    ------
    UsageError
        The driver is not installed, or a statement of the user cannot be understood.
    EngineError
        No connection, connection lost, no permission, or the table is locked for too long.
    DataRefused
        The database does not take a value.
    """
    driver = _driver()
    try:
        connection = driver.connect(address.url)
    except driver.Error as error:
        raise _unreachable(address, str(error)) from None
    try:
        with connection.cursor() as cursor:
            if read_only:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield cursor
        connection.commit()
    except driver.Error as error:
        raise _ours(address, error) from None
    except MqlError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise lost(address, error) from None
    finally:
        with suppress(driver.Error, OSError):  # closing rolls back; a lost connection has done so itself
            connection.close()


def lost(address: Address, error: Exception) -> EngineError:
    """What Arrow raises when the connection breaks while rows stream."""
    return EngineError(f"MQL-database {address.shown}: {_reason(address, str(error))}.", hint=_AGAIN)


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error of the driver, or an empty text."""
    return str(getattr(error, "sqlstate", None) or "")


def _driver() -> Any:
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        message = "PostgreSQL needs a driver that is not installed."
        raise UsageError(message, hint="pip install 'mqlml[postgres]', or use a file") from None
    return driver


def _unreachable(address: Address, text: str) -> MqlError:
    if "connection to server" not in text and "could not translate host" not in text:
        # libpq quotes the part of the address that it does not understand, which may be the password
        what = f"'{address.shown}' is not an address that PostgreSQL understands."
        return UsageError(what, hint="write signs such as @ : / # % in its parts as %40 %3A %2F %23 %25")
    hint = "see whether the server runs and user and password are right; nothing was changed, running again is safe"
    return EngineError(f"MQL-database {address.shown}: {_reason(address, text)}.", hint=hint)


def _ours(address: Address, error: Exception) -> MqlError:
    state, reason = state_of(error), _reason(address, str(error))
    if state[:2] in ("22", "23"):
        fix = "correct the value, or write to Parquet instead"
        return DataRefused([Problem("database-value", address.shown, f"the database refuses a value: {reason}", fix)])
    if state in _BUSY:
        hint = "another run writes to the same table; run again when it has finished"
        return EngineError(f"MQL-database {address.shown}: {reason}.", hint=hint)
    if state == "42501":
        hint = "grant the user this right, or connect as another one; no table was changed"
        return EngineError(f"MQL-database {address.shown}: {reason}.", hint=hint)
    return EngineError(f"MQL-database {address.shown}: {reason}.", hint=_AGAIN)


def _reason(address: Address, text: str) -> str:
    """The first line of what the database said, without what the driver puts around it."""
    line = next((line for line in text.splitlines() if line.strip()), "no reason was given")
    for noise in ("ERROR:", "FATAL:", "[libpq]"):
        line = line.rpartition(noise)[2] if noise in line else line
    line = line.partition(". SQLSTATE")[0].strip().removeprefix("Failed to connect: ").rstrip(".")
    return address.without_secrets(line)
