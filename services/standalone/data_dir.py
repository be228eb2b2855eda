"""The folder that holds everything: one process at a time, and where that one can be reached."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from omma.errors import InvalidQuery, WrongState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """What `server.json` says of the process that serves this folder. grpc: host:port, empty when it has none.

    token: in place of an API key, for whoever may read the file: the folder's owner, who could as well open the folder.
    """

    url: str
    grpc: str
    pid: int
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DataDir:
    """Names of what lies in the folder. Nothing is made before `held`."""

    path: Path

    @property
    def is_made(self) -> bool:
        """A process has worked on this folder; also where something that is no folder lies, as `held` then says."""
        return self._lock_file.is_file() or (self.path.exists() and not self.path.is_dir())

    @property
    def shards(self) -> Path:
        return self.path / "shards"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def sample(self) -> Path:
        return self.path / "sample"

    @property
    def _server_file(self) -> Path:
        return self.path / "server.json"

    @property
    def _lock_file(self) -> Path:
        return self.path / "omma.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and hold its lock. Raises WrongState when another process does, InvalidQuery for no folder.

        The lock is the kernel's (flock): it ends with the process, however that ends.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = self._lock_file.open("a+")
        except OSError as error:
            raise self._unusable(error) from None
        with file:
            if not _lock(file):
                raise WrongState(self._who_holds(file), field="OMMA_DATA_DIR")
            try:
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                self._server_file.unlink(missing_ok=True)
            except OSError as error:
                raise self._unusable(error) from None
            try:
                yield
            finally:
                self._take_back()

    def announce(self, address: ServerAddress) -> None:
        """Say where this folder is served; taken back when it is no longer held."""
        part = self._server_file.with_suffix(".part")
        part.unlink(missing_ok=True)  # one that was left behind keeps its mode
        with open(part, "w", opener=_readable_by_owner) as file:
            json.dump(asdict(address), file)
        part.replace(self._server_file)

    def served_at(self) -> ServerAddress | None:
        """The address of the process that serves the folder now; None when none does."""
        try:
            address = ServerAddress(**json.loads(self._server_file.read_text()))
            with self._lock_file.open("r+") as file:
                return None if _lock(file) else address
        except (OSError, ValueError, TypeError):
            return None

    def free_bytes(self) -> int:
        """Space left on the folder's file system."""
        there = next(path for path in (self.path.absolute(), *self.path.absolute().parents) if path.exists())
        return shutil.disk_usage(there).free

    def _unusable(self, error: OSError) -> InvalidQuery:
        return InvalidQuery(f"OMMA_DATA_DIR {self.path} cannot be used: {error.strerror}.", field="OMMA_DATA_DIR")

    def _take_back(self) -> None:
        try:
            self._server_file.unlink(missing_ok=True)
        except OSError as error:  # of a disk that became read-only: nobody heeds the address without the lock
            logger.error("%s stays, and is not heeded: %s.", self._server_file, error.strerror)

    def _who_holds(self, file: IO[str]) -> str:
        file.seek(0)
        pid = file.read(20).strip() or "unknown"
        address = self.served_at()
        where = f" at {address.url}" if address else ""
        return f"{self.path} is in use by process {pid}{where}. One process uses a data folder at a time."


def _readable_by_owner(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
