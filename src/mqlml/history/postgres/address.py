"""Where a database is, and which table of it is meant; a password is for connecting alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from mqlml.errors import UsageError, masked

SCHEMES = ("postgresql://", "postgres://")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d{0,5})?")
_OWN = {"client_encoding": "UTF8", "fallback_application_name": "mqlml", "connect_timeout": "10"}
_TIMEOUT = "PGCONNECT_TIMEOUT"
_ESCAPE = "write signs such as @ : / # % in its parts as %40 %3A %2F %23 %25, or set PGPASSWORD"


def is_postgres(text: object) -> bool:
    """Whether a path is the address of a PostgreSQL database.

    Examples
    --------
    >>> is_postgres("postgresql:///crm#leads"), is_postgres("leads.parquet")
    (True, False)
    """
    return str(text).startswith(SCHEMES)


@dataclass(frozen=True)
class Address:
    """A database and perhaps a table.

    Parameters
    ----------
    url : str
        For libpq, which takes what is missing (user, password, host ...) from ``PG*`` variables and ``~/.pgpass``.
    shown : str
        For messages: user, host and database; no password and no parameters.
    table : str or None
        ``table`` or ``schema.table``.
    """

    url: str = field(repr=False)
    shown: str
    table: str | None = None

    @classmethod
    def of(cls, text: str) -> Address:
        """Take an address apart: the table stands behind ``#``, or in ``?table=``.

        Raises
        ------
        UsageError
            It cannot be taken apart, or names two tables.

        Examples
        --------
        >>> Address.of("postgresql://reader:secret@db.example:5433/crm?table=scores").shown
        'postgresql://reader@db.example:5433/crm#scores'
        """
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = None
        if parts is None or not all(map(_HOST.fullmatch, parts.netloc.rpartition("@")[2].split(","))):
            # a sign that was not escaped may have made a part of the password look like a host
            raise UsageError(f"'{masked(text)}' cannot be read as an address.", hint=_ESCAPE)
        options = parse_qsl(parts.query, keep_blank_values=True)
        tables = [value for name, value in options if name == "table"]
        tables += [unquote(parts.fragment)] if parts.fragment else []
        if len(set(tables)) > 1:
            raise UsageError(f"'{masked(text)}' names two tables.", hint="keep '#table' or '?table='")
        table = tables[0] if tables else None
        shown = _shown(parts) + (f"#{table}" if table else "")
        return cls(_url(parts, options), shown, table)

    def naming(self, table: str) -> Address:
        """The same database with a table."""
        return Address(self.url, f"{self.shown.split('#')[0]}#{table}", table)

    @property
    def has_password(self) -> bool:
        """Whether the address itself holds a password."""
        parts = urlsplit(self.url)
        return parts.password is not None or any(_is_secret(name) for name, _ in parse_qsl(parts.query))

    def for_settings(self, table: str) -> str:
        """The address of a table as settings keep it: with the options that were given, without any password.

        Examples
        --------
        >>> Address.of("postgresql://reader:secret@db.example/crm?sslmode=require").for_settings("leads")
        'postgresql://reader@db.example/crm?sslmode=require#leads'
        """
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        given = [(k, v) for k, v in parse_qsl(parts.query) if (k, v) not in _OWN.items() and not _is_secret(k)]
        return f"{_written(user.partition(':')[0] + at + host, parts.path, given)}#{quote(table)}"

    def without_secrets(self, text: str) -> str:
        """Strike out of a message whatever it repeats of the password."""
        parts = urlsplit(self.url)
        told = [parts.password or "", *(v for k, v in parse_qsl(parts.query) if _is_secret(k))]
        told.append(os.environ.get("PGPASSWORD", ""))
        secrets = {form for secret in told for form in (secret, unquote(secret)) if form}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _is_secret(option: str) -> bool:
    return option.endswith("password")


def _shown(parts: SplitResult) -> str:
    user = f"{parts.username}@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2]
    return f"postgresql://{user}{host}{parts.path}"


def _url(parts: SplitResult, options: list[tuple[str, str]]) -> str:
    given = {name for name, _ in options}
    wanted = {name: value for name, value in _OWN.items() if name != "connect_timeout" or _TIMEOUT not in os.environ}
    kept = [(name, value) for name, value in options if name != "table"]
    kept += [(name, value) for name, value in wanted.items() if name not in given]
    return _written(parts.netloc, parts.path, kept)


def _written(netloc: str, path: str, options: list[tuple[str, str]]) -> str:
    # urlunsplit drops the two slashes where no host is named, and libpq then takes it for no address
    return f"postgresql://{netloc}{path}" + (f"?{urlencode(options, quote_via=quote)}" if options else "")
