"""PostgreSQL as the machine has it installed. OMMA_TEST_POSTGRES=postgresql://… uses another one."""

import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.parts.missing import PartMissing
from deploy.parts.ports import free_port
from deploy.parts.server import Server

_USER: Final = "omma"
_DEBIAN: Final = Path("/usr/lib/postgresql")
"""Debian keeps the server's programs off PATH."""


@dataclass(frozen=True)
class Postgres:
    """url: postgresql://… of a database whose user may make others."""

    url: str
    own: Server | None

    def environment(self) -> dict[str, str]:
        """What points other tests at it."""
        return {"OMMA_TEST_POSTGRES": self.url}

    def database_url(self, database: str) -> str:
        """The same server's other database."""
        return urlsplit(self.url)._replace(path=f"/{database}").geturl()

    @property
    def server(self) -> Server:
        """What a fault run kills. Raises PartMissing for a server that was given."""
        if self.own is None:
            raise PartMissing("PostgreSQL", "the one in OMMA_TEST_POSTGRES cannot be stopped from here; unset it")
        return self.own


@contextmanager
def postgres(host: str = "127.0.0.1", *, fsync: bool = True) -> Iterator[Postgres]:
    """fsync: False is quicker and still survives kill -9, only no power loss."""
    given = os.environ.get("OMMA_TEST_POSTGRES")
    if given:
        yield Postgres(given, None)
        return
    programs = _programs()
    user = _unprivileged() if os.geteuid() == 0 else ""
    server = Server("postgres", user=user, stop_signal=signal.SIGINT)
    try:
        port = free_port(host)
        data = server.folder / "data"
        _initdb(programs / "initdb", data, user)
        with (data / "pg_hba.conf").open("a") as known:
            known.write("host all all samenet trust\n")  # pods, when it listens where they reach it
        network = ["-h", host, "-p", str(port), "-k", str(server.folder)]
        settings = ["-c", f"fsync={'on' if fsync else 'off'}", "-c", "max_connections=200"]
        server.start([programs / "postgres", "-D", data, *network, *settings], lambda: _answers(host, port))
        yield Postgres(f"postgresql://{_USER}@{host}:{port}/postgres", server)
    finally:
        server.close()


def _programs() -> Path:
    """The folder that initdb and postgres lie in, the newest if there are several."""
    installed = sorted(_DEBIAN.glob("*/bin/initdb"), key=_major)
    on_path = shutil.which("initdb")
    found = ([Path(on_path).resolve()] if on_path else []) + installed
    whole = [initdb.parent for initdb in found if (initdb.parent / "postgres").exists()]
    if not whole:
        raise PartMissing("PostgreSQL", "needs initdb and postgres: sudo apt-get install postgresql")
    return whole[-1]


def _major(initdb: Path) -> int:
    return int(re.sub(r"\D.*", "", initdb.parent.parent.name) or 0)


def _unprivileged() -> str:
    """PostgreSQL refuses to run as root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PartMissing("PostgreSQL", "does not run as root, and there is no user postgres or nobody")


def _initdb(program: Path, data: Path, user: str) -> None:
    command = [program, "-D", data, "-U", _USER, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(
        command,
        cwd=data.parent,
        user=user or None,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")


def _answers(host: str, port: int) -> bool:
    """Whether a session can begin: the server asks for no password, and says so, only once it has recovered."""
    body = struct.pack(">i", 3 << 16) + b"user\0%b\0database\0postgres\0\0" % _USER.encode()
    with socket.create_connection((host, port), timeout=2) as connection:
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        return connection.recv(1) == b"R"
