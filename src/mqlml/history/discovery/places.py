"""What ``mqlml init`` looks at: a folder of exports, one file of it, or a database; and where the settings go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mqlml.errors import UsageError, masked, shown
from mqlml.history.discovery.database import look_at_database
from mqlml.history.discovery.looking import look_at_folder
from mqlml.history.postgres import Address, is_postgres

if TYPE_CHECKING:
    from mqlml.history.discovery.looking import Table
    from mqlml.history.session import Session

__all__ = ["Place"]


@dataclass(frozen=True)
class Place:
    """Where the exports are.

    Attributes
    ----------
    shown : str
        For messages.
    home : Path
        Folder of the settings.
    only : str or None
        The one file of the folder that is looked at.
    address : Address or None
        Of a database.
    """

    shown: str
    home: Path
    only: str | None = None
    address: Address | None = None

    @classmethod
    def of(cls, named: str, *, out: Path | None = None) -> Place:
        """Understand what a person named.

        Parameters
        ----------
        named : str
            A folder, a file, or an address that begins with ``postgresql://``.
        out : Path, optional
            Folder for the settings on a database; the current one without it.

        Raises
        ------
        UsageError
            There is nothing of that name, or settings cannot go there.
        """
        if is_postgres(named):
            home = out or Path()
            if not home.is_dir():
                raise UsageError(f"'{home}' is not a folder.", hint="make it, or name another one after --out")
            address = Address.of(named)
            return cls(address.shown, home, address=address)
        if out is not None:
            what = "--out is for databases: settings lie beside the files that they name."
            raise UsageError(what, hint="leave --out away, or copy the files to where the settings are to be")
        path = Path(named)
        if path.is_dir():
            return cls(named, path)
        if path.is_file():
            return cls(named, path.parent, only=path.name)
        hint = "name the folder that holds the exports, one file, or postgresql://USER@HOST/DATABASE"
        raise UsageError(f"'{shown(masked(named))}' is neither a folder nor a file.", hint=hint)

    def look(self, session: Session, *, leads: str | None, copies: Path) -> tuple[list[Table], list[str]]:
        """Open every table; see ``look_at_folder`` and ``look_at_database``."""
        if self.address is not None:
            return look_at_database(session, self.address, leads=leads, copies=copies)
        return look_at_folder(session, self.home, only=self.only)
