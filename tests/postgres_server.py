"""A PostgreSQL of its own for the tests, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

USER = "mqlml"
PASSWORD = "s3cret:/@?#%"  # every character that an address must escape
ESCAPED = "s3cret%3A%2F%40%3F%23%25"
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "20",
    "listen_addresses": "127.0.0.1",
    "timezone": "America/New_York",
}


@dataclass
class Server:
    """A running server; it asks for a password over TCP."""

    folder: Path
    port: int
    programs: Path
    owner: str | None

    @property
    def url(self) -> str:
        """Address of the database ``postgres``, with the password."""
        return f"postgresql://{USER}:{ESCAPED}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, "port": self.port}.items())
        options += f" -c unix_socket_directories={self.folder}"
        self.run("pg_ctl", "-D", "data", "-w", "-t", "30", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """Break every connection off and stop."""
        self.run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop", check=False)

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        """Run one of its programs as its owner, who is never root."""
        command: Sequence[str] = [str(self.programs / program), *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        subprocess.run(command, cwd=self.folder, check=check, user=self.owner, timeout=60, **quiet)


def start_postgres() -> Server:
    """Make a database in a folder of its own and start it, or skip with the reason."""
    for module in ("adbc_driver_postgresql", "psycopg"):
        pytest.importorskip(module, reason=f"{module} is not installed: make engines installs it")
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine: initdb and pg_ctl are needed")
    folder = Path(tempfile.mkdtemp(prefix="mqlml-postgres-"))
    owner = _owner()
    (folder / "password").write_text(PASSWORD)
    if owner is not None:
        for path in (folder, folder / "password"):
            shutil.chown(path, owner)
    server = Server(folder, free_port(), programs, owner)
    options = ("-A", "scram-sha-256", "-U", USER, "--pwfile=password", "-E", "UTF8", "--locale=C", "--no-sync")
    try:
        server.run("initdb", "-D", "data", *options)
        server.start()
    except BaseException:
        remove(server)
        raise
    return server


def remove(server: Server) -> None:
    """Stop it and remove its folder."""
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _programs() -> Path | None:
    places = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


def _owner() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def free_port() -> int:
    """A port of this machine that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
