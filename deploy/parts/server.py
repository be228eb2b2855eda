"""A server process with a folder of its own, and the failures that it can be given."""

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.parts import guard

_READY_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05

logger = logging.getLogger(__name__)


class Server:
    """Runs until `close`, or until this process ends in whatever way; its folder goes with it.

    A thread may watch it and start it again while another one signals it; each call that changes what runs is whole.
    """

    def __init__(self, name: str, *, user: str = "", stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """user: run as that user; the folder is then theirs."""
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"omma-{name}-"))
        self._user = user
        self._stop_signal = stop_signal
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._status: int | None = None
        self._command: tuple[Sequence[str | Path], Callable[[], bool], Mapping[str, str]] | None = None
        self._turn = threading.RLock()
        if user:
            shutil.chown(self.folder, user)

    @property
    def pid(self) -> int:
        return self._pid

    def start(
        self,
        command: Sequence[str | Path],
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        *,
        wait: bool = True,
    ) -> None:
        """ready: whether the server answers; it may raise OSError before. wait: until it does, as `until_ready`."""
        self._command = command, ready, env or {}
        logger.info("%s starts", self.name)
        self._spawn()
        if wait:
            self.until_ready()
            logger.info("%s answers", self.name)

    def running(self) -> bool:
        return self._exited(0.0) is None

    def kill(self) -> None:
        """SIGKILL it with its children; its data stays for `restart`."""
        self._signal(signal.SIGKILL)
        self._require_exit()

    def stop(self) -> None:
        """End it in good order; its data stays for `restart`."""
        with self._turn:
            self._signal(signal.SIGCONT)
            os.kill(self._pid, self._stop_signal)
        self._require_exit()

    def pause(self) -> None:
        """SIGSTOP: it holds its connections and answers nothing from now on."""
        self._signal(signal.SIGSTOP)
        until = time.monotonic() + _STOP_SECONDS
        while not _is_stopped(self._pid):
            if time.monotonic() > until:
                raise RuntimeError(f"{self.name} does not pause")
            time.sleep(_LOOK_SECONDS)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self, *, wait: bool = True) -> None:
        """Start it again on the same data and port, after `kill` or `stop`. wait: until it answers."""
        with self._turn:
            if self._command is None or self.running():
                raise RuntimeError(f"{self.name} is running or was never started")
            self._dismiss(b"keep")
            self._spawn()
        if wait:
            self.until_ready()

    def until_ready(self, ready: Callable[[], bool] | None = None) -> None:
        """ready: something else than it was started with. Raises RuntimeError, with its log, when it ends or takes too
        long.
        """
        assert self._command is not None
        ready = ready or self._command[1]
        until = time.monotonic() + _READY_SECONDS
        while not self._answers(ready):
            code = self._exited(_LOOK_SECONDS)
            if code is not None or time.monotonic() > until:
                what = "does not answer" if code is None else f"ended with {code}"
                raise RuntimeError(f"{self.name} {what}:\n{self.log()[-3000:]}")

    def log(self) -> str:
        """What the server has written to its output."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """Kill it and remove its folder. May be repeated."""
        self._dismiss(b"")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(self) -> None:
        assert self._command is not None
        command, _, env = self._command
        with self._turn:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, self.folder, self._user, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                env={**os.environ, **env},
            )
            self._status = None
            said = self._hear()
            if said is None:
                raise RuntimeError(f"{command[0]} could not be run")
            self._pid = said

    def _answers(self, ready: Callable[[], bool]) -> bool:
        try:
            return ready()
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        with self._turn:
            if not self.running():
                raise RuntimeError(f"{self.name} is not running")
            guard.send(self._pid, number)

    def _require_exit(self) -> None:
        if self._exited(_STOP_SECONDS) is None:
            raise RuntimeError(f"{self.name} does not end:\n{self.log()[-3000:]}")

    def _exited(self, timeout_seconds: float) -> int | None:
        """The exit status, waiting so long for it; None while it runs."""
        with self._turn:
            if self._guard is None:
                return -1
            if self._status is None and select.select([self._guard.stdout], [], [], timeout_seconds)[0]:
                said = self._hear()
                self._status = -1 if said is None else said
            return self._status

    def _hear(self) -> int | None:
        """The number in the guard's next line; None when it says no more."""
        assert self._guard is not None and self._guard.stdout is not None
        line = self._guard.stdout.readline().decode().split()
        return int(line[1]) if line else None

    def _dismiss(self, word: bytes) -> None:
        with self._turn:
            if self._guard is not None:
                self._guard.communicate(word)
                self._guard = None


def _is_stopped(pid: int) -> bool:
    """One thread takes the signal, and the others go on until it does: on a busy machine long enough to answer."""
    try:
        states = [
            (one / "stat").read_text().rpartition(")")[2].split()[0] for one in Path(f"/proc/{pid}/task").iterdir()
        ]
    except OSError:  # a thread that ended meanwhile
        return False
    return all(state == "T" for state in states)
