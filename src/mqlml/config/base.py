"""What all sections of ``mqlml.toml`` share: strict, frozen, no unknown keys."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    model_validator,
)

from mqlml.errors import masked

Names = Annotated[tuple[str, ...], Strict(False)]
# Parts of user agents of mail scanners, crawlers and scripts. Not "bot" alone: a maker of phones is named Cubot; nor
# the image proxies of mail providers, which fetch what a person opens.


Reasons = dict[str, Annotated[str, Field(min_length=1)]]


class Section(BaseModel):
    """A table of ``mqlml.toml``: strict types, no unknown keys, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Source(Section):
    """Where a table comes from and how its text is to be read.

    ``path`` is a Parquet, CSV or DuckDB file, or ``postgresql://user@host/database#table``; ``table`` names the table
    inside a database, or ``query`` selects what is read of PostgreSQL. A password in the address is kept apart:
    ``path`` shows ``***`` in its place.
    """

    path: str
    """Parquet, CSV or DuckDB file, or ``postgresql://user@host/database#table``."""
    table: str | None = None
    """Table inside a database; needed where it holds several."""
    query: str | None = None
    """``SELECT`` whose rows are read instead of a table of PostgreSQL."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Separator of a CSV file."""
    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    """Encoding of a CSV file."""
    decimal: Literal[".", ","] = "."
    """Decimal sign of numbers written as text."""
    timestamp_format: str | None = None
    """How times written as text are read, such as ``%d.%m.%Y %H:%M``; absent: ISO 8601."""
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the rows, 0 to 1, that may be set aside before the file is refused."""
    _whole: tuple[str, str] = PrivateAttr(("", ""))

    @model_validator(mode="after")
    def _password_is_kept_apart(self) -> Self:
        shown = masked(self.path)
        self._whole = (shown, self.path)
        self.__dict__["path"] = shown  # settings are written to many places, and a private attribute to none
        return self

    @model_validator(mode="after")
    def _query_has_a_database(self) -> Self:
        if self.query is not None and not self.path.startswith(("postgresql://", "postgres://")):
            raise ValueError("'query' is for a 'path' that begins with postgresql://; name a 'table' of a DuckDB file")
        if self.query is not None and (self.table is not None or "#" in self.path):
            raise ValueError("'query' and a table are two ways to say what is read: keep one")
        return self

    @property
    def address(self) -> str:
        """``path`` with its password, for connecting alone."""
        shown, whole = self._whole
        return whole if self.path == shown else self.path
