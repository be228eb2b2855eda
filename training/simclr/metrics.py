"""What a run measured, one JSON object a line."""

import json
import os
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends rows; goes back to where a checkpoint stood, so that a resumed run tells each step once."""

    def __init__(self, path: Path, offset: int) -> None:
        """offset: bytes to keep, 0 for a new run. Blocks."""
        path.touch()
        os.truncate(path, offset)
        self._file = path.open("ab")

    def append(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()

    def durable_offset(self) -> int:
        """Bytes written, once they are on disk. Blocks."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Blocks."""
    return [json.loads(line) for line in path.read_text().splitlines()]
