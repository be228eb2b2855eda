"""Resident memory of a server while something is done to it."""

import threading
from pathlib import Path
from typing import Final

from loadtests.bench.up import Up

MIB: Final = 1 << 20


class Memory:
    """Resident bytes of a process, each half second, until the block ends."""

    def __init__(self, server: Up) -> None:
        self._status = Path(f"/proc/{server.process.pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[int] = []

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            lines = dict(line.split(":", 1) for line in self._status.read_text().splitlines() if ":" in line)
            self.seen.append(int(lines["VmRSS"].split()[0]) * 1024)

    def halves(self) -> tuple[int, int]:
        """The most bytes in the first and in the second half of the time."""
        half = len(self.seen) // 2
        return max(self.seen[:half], default=0), max(self.seen[half:], default=0)
