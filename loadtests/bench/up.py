"""`omma up` as a process on a data folder, asked over REST; real photographs to feed it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

OMMA = (sys.executable, "-m", "services.standalone")
PICTURES = Path(os.environ.get("OMMA_TEST_PICTURES", Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True)
class Up:
    process: "subprocess.Popen[str]"
    url: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The caller's, less its OMMA_*; free ports. The model is what `omma up` chooses by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMMA_")}
    return kept | {
        "OMMA_DATA_DIR": str(folder), "OMMA_HTTP_PORT": "0", "OMMA_GRPC_PORT": "0", "OMMA_LOG_LEVEL": "warning",
        **settings,
    }  # fmt: skip


@contextmanager
def up(folder: Path, **settings: str) -> Iterator[Up]:
    """Ready; killed at the end if it still runs."""
    with subprocess.Popen(
        [*OMMA, "up", "--json"], env=environment(folder, **settings), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("omma up ended: see its words above.")
            yield Up(process, json.loads(line)["url"])
        finally:
            process.kill()


def photographs(count: int, skip: int = 0) -> list[Path]:
    """Spread over all of caltech-101, in an order that is always the same."""
    every = sorted((PICTURES / "caltech-101").glob("*/*.jpg"))
    if len(every) < count + skip:
        raise SystemExit(
            f"{PICTURES} has {len(every)} photographs; set OMMA_TEST_PICTURES to a folder with caltech-101."
        )
    return every[:: len(every) // (count + skip)][skip : count + skip]
