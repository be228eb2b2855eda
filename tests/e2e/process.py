"""`omma` as a process of its own, on a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

OMMA = (sys.executable, "-m", "services.standalone")


@dataclass(frozen=True)
class Folder:
    """A data folder, and the environment that points at it. Ports are free ones. command: `omma`, of this tree."""

    path: Path
    command: tuple[str, ...] = OMMA

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMMA_")}
        own = {"OMMA_DATA_DIR": str(self.path), "OMMA_HTTP_PORT": "0", "OMMA_GRPC_PORT": "0"}
        return kept | own | settings

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def json(self, *arguments: str, **settings: str) -> Any:
        """What a command prints with --json; it must succeed."""
        done = self.run(*arguments, "--json", **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def up(self, *arguments: str, **settings: str) -> Iterator["Server"]:
        """`omma up`, ready; killed at the end if it still runs."""
        with subprocess.Popen(
            [*self.command, "up", "--json", *arguments],
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                line = process.stdout.readline()  # blocks until it is ready or has ended
                assert line, process.stderr.read()
                said = json.loads(line)
                yield Server(process, said["url"], said["grpc"])
            finally:
                process.kill()


@dataclass(frozen=True)
class Server:
    process: "subprocess.Popen[str]"
    url: str
    grpc: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=60)
