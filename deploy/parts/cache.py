"""Built once, found again: ~/.cache/omma/parts/NAME-VERSION."""

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.parts.missing import PartMissing

_BUILD_SECONDS: Final = 1_800

logger = logging.getLogger(__name__)


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, which `build` fills when it is not there. Of several processes one builds."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omma" / "parts"
    folder = root / name
    if folder.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            logger.info("getting %s, once; this takes minutes", name)
            unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=root))
            try:
                build(unfinished)
                unfinished.rename(folder)
                logger.info("%s is there", name)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def build_step(what: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """One command of a build. Raises PartMissing with the end of its output."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise PartMissing(what, f"{command[0]} took longer than {_BUILD_SECONDS} s") from None
    if done.returncode:
        raise PartMissing(what, f"{command[0]} failed: {done.stdout.strip()[-600:]}")


def require(what: str, programs: Sequence[str], remedy: str) -> None:
    """Raises PartMissing unless every program is on PATH."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        raise PartMissing(what, f"needs {' and '.join(absent)}. {remedy}")


def go_program(name: str, package: str, version: str) -> Path:
    """The program that `go install package@version` makes."""

    def build(folder: Path) -> None:
        require(name, ["go"], "Install Go 1.24 or newer: Debian 13's golang-go, or https://go.dev/dl")
        build_step(name, ["go", "install", "-trimpath", f"{package}@{version}"], {"GOBIN": str(folder)})

    return cached(f"{name}-{version}", build) / package.rpartition("/")[2]
