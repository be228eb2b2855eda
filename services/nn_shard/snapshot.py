"""Snapshots: a checkpoint and its files in object storage, from which an empty folder starts.

<prefix>/files/<sha256>                   segment files, shared by the snapshots that name them
<prefix>/manifests/<number>-<sha256>.json  a checkpoint as the engine wrote it; the highest number is the newest
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from omma.blobs.interface import Blobs
from omma.errors import Absent, Corrupt
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_CORRUPT_FILES
from services.nn_shard.engine import Checkpoint, FileSum

_MANIFEST: Final = re.compile(r"(\d{12})-([0-9a-f]{64})\.json")

logger = logging.getLogger(__name__)


class Snapshots:
    """Of one shard of one index. Only the holder of the shard's snapshot lease may write; anyone may restore."""

    def __init__(self, blobs: Blobs, prefix: str, executor: Executor, *, keep: int) -> None:
        """prefix: without a slash at its end. executor: for hashing and moving files. keep: snapshots, newest first."""
        self._blobs = blobs
        self._prefix = prefix
        self._executor = executor
        self._keep = keep

    async def write(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Upload what is not there yet, then the manifest, then delete what no kept snapshot names.

        folder: the engine's; its files must stay until this returns.
        """
        for file in checkpoint.files():
            if await self._blobs.size(self._file_key(file.sha256)) != file.bytes:
                await self._blobs.put_file(self._file_key(file.sha256), folder / file.path)
        manifests = await self._manifests()
        number = int(_number(manifests[-1])) + 1 if manifests else 1
        content = checkpoint.to_json()
        name = f"{number:012d}-{hashlib.sha256(content).hexdigest()}.json"
        await self._blobs.put(f"{self._prefix}/manifests/{name}", content, content_type="application/json")
        await self._prune([*manifests, name])

    async def restore(self, folder: Path, require: Callable[[Checkpoint], None]) -> bool:
        """Fill the folder, which must not exist, from the newest snapshot that is whole; False when there is none.

        require: raises Corrupt for a checkpoint that would be of no use. Every file is hashed before the folder
        appears; a snapshot with one that does not fit is refused, said in the log, and the next older one tried.
        """
        for name in reversed(await self._manifests()):
            part = folder.with_name(f"{folder.name}.part")
            try:
                await self._download(name, part, require)
            except (Corrupt, Absent) as error:
                logger.warning("Snapshot %s/%s is not used: %s", self._prefix, name, error.detail)
                await run_in(self._executor, shutil.rmtree, part, ignore_errors=True)
                continue
            await run_in(self._executor, part.replace, folder)
            logger.info("Restored from snapshot %s/%s", self._prefix, name)
            return True
        return False

    async def _download(self, name: str, folder: Path, require: Callable[[Checkpoint], None]) -> None:
        content = await self._blobs.get(f"{self._prefix}/manifests/{name}")
        if hashlib.sha256(content).hexdigest() not in name:
            SHARD_CORRUPT_FILES.inc()
            raise Corrupt("The manifest does not have its checksum.")
        checkpoint = Checkpoint.from_json(content)
        require(checkpoint)
        await run_in(self._executor, _empty, folder)
        for file in checkpoint.files():
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            await self._blobs.get_file(self._file_key(file.sha256), path)
            await run_in(self._executor, _require_checksum, path, file)
        await run_in(self._executor, (folder / "manifest.json").write_bytes, content)

    async def _prune(self, manifests: list[str]) -> None:
        kept: set[str] = set()
        for name in manifests[-self._keep :]:
            try:
                checkpoint = Checkpoint.from_json(await self._blobs.get(f"{self._prefix}/manifests/{name}"))
            except Corrupt:
                continue
            kept.update(file.sha256 for file in checkpoint.files())
        for name in manifests[: -self._keep]:
            await self._blobs.delete(f"{self._prefix}/manifests/{name}")
        unnamed = [key async for key in self._blobs.keys(f"{self._prefix}/files/") if key.rsplit("/", 1)[1] not in kept]
        for key in unnamed:
            await self._blobs.delete(key)

    async def _manifests(self) -> list[str]:
        """Names, oldest first."""
        names = [key.rsplit("/", 1)[1] async for key in self._blobs.keys(f"{self._prefix}/manifests/")]
        return sorted(name for name in names if _MANIFEST.fullmatch(name))

    def _file_key(self, sha256: str) -> str:
        return f"{self._prefix}/files/{sha256}"


def _number(name: str) -> str:
    return name.split("-", 1)[0]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _require_checksum(path: Path, file: FileSum) -> None:
    with path.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
            SHARD_CORRUPT_FILES.inc()
            raise Corrupt(f"{file.path} does not have its checksum.")
