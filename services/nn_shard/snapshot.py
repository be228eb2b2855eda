"""Snapshots: a checkpoint and its files in object storage, from which an empty folder starts.

<prefix>/files/<sha256>                   segment files, shared by the snapshots that name them
<prefix>/manifests/<number>-<sha256>.json  a checkpoint as the engine wrote it; the highest number is the newest
<prefix>/damaged/<sha256>                 empty: a restore found this file damaged, the next snapshot uploads it again
"""

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from omma.blobs.interface import Blobs
from omma.errors import Absent, Corrupt, OmmaError
from omma.telemetry.context import run_in
from omma.telemetry.metrics import SHARD_CORRUPT_FILES, SHARD_SNAPSHOTS_REFUSED
from services.nn_shard.engine import Checkpoint, FileSum, discard

_DOWNLOADS: Final = 4
"""Files at a time, while those that came before are hashed."""
_MANIFEST: Final = re.compile(r"(\d{12})-([0-9a-f]{64})\.json")

logger = logging.getLogger(__name__)


class Snapshots:
    """Of one shard of one index. Only the holder of the shard's snapshot lease writes; anyone restores."""

    def __init__(self, blobs: Blobs, prefix: str, executor: Executor, *, keep: int) -> None:
        """prefix: without a slash at its end. executor: for hashing and moving files. keep: snapshots, newest first."""
        self._blobs = blobs
        self._prefix = prefix
        self._executor = executor
        self._keep = keep

    async def any(self) -> bool:
        return bool(await self._manifests())

    async def write(
        self, checkpoint: Checkpoint, folder: Path, require_lease: Callable[[], None], *, alone: bool = False
    ) -> None:
        """Upload what is not there yet, then the manifest, then delete what no kept snapshot names.

        folder: the engine's; its files must stay until this returns. require_lease: raises when the lease is not held
        any more; asked before the manifest and before each delete, so that no collector meets another's upload.
        A checkpoint that is the newest snapshot already is not written again. alone: it is, and older ones go.
        """
        content = checkpoint.to_json()
        sha256 = hashlib.sha256(content).hexdigest()
        manifests = await self._manifests()
        damaged = await self._damaged() & {file.sha256 for file in checkpoint.files()}
        if manifests and sha256 in manifests[-1] and not damaged and not alone:
            return
        for file in checkpoint.files():
            await self._upload(file, folder, again=file.sha256 in damaged)
        number = int(_number(manifests[-1])) + 1 if manifests else 1
        name = f"{number:012d}-{sha256}.json"
        require_lease()
        await self._blobs.put(f"{self._prefix}/manifests/{name}", content, content_type="application/json")
        await self._prune([*manifests, name], 1 if alone else self._keep, require_lease)

    async def restore(self, folder: Path, require: Callable[[Checkpoint], None]) -> bool:
        """Fill the folder from the newest snapshot that is whole; False when there is none.

        What lies there is replaced, once everything else is done: a process that died before its first checkpoint
        leaves a folder without a manifest. A death on the way leaves what the next start restores anew.
        require: raises Corrupt for a checkpoint that would be of no use. Every file is hashed before the folder
        appears; a snapshot with one that does not fit is refused, said in the log, and the next older one tried.
        """
        for name in reversed(await self._manifests()):
            part = part_of(folder)
            try:
                await self._download(name, part, require)
            except (Corrupt, Absent) as error:
                SHARD_SNAPSHOTS_REFUSED.inc()
                logger.warning("Snapshot %s/%s is not used: %s", self._prefix, name, error.detail)
                await run_in(self._executor, discard, part)
                continue
            await run_in(self._executor, _take_place, part, folder)
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
        at_a_time = asyncio.Semaphore(_DOWNLOADS)
        errors: list[Exception] = []

        async def fetch(file: FileSum) -> None:
            async with at_a_time:
                # Past a damaged one it goes on: each is to be known as that, for the next snapshot to upload it again.
                if all(isinstance(error, Corrupt) for error in errors):
                    try:
                        await self._fetch(file, folder)
                    except Exception as error:  # noqa: BLE001  raised below
                        errors.append(error)

        async with asyncio.TaskGroup() as group:
            for file in checkpoint.files():
                group.create_task(fetch(file))
        # Only now: a thread cannot be cancelled, and one that still writes into the folder keeps it from being removed.
        if errors:
            raise errors[0]
        await run_in(self._executor, (folder / "manifest.json").write_bytes, content)

    async def _fetch(self, file: FileSum, folder: Path) -> None:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._blobs.get_file(self._file_key(file.sha256), path)
        try:
            await run_in(self._executor, _require_checksum, path, file)
        except Corrupt:
            with contextlib.suppress(OmmaError):
                await self._blobs.put(self._damaged_key(file.sha256), b"")
            raise

    async def _upload(self, file: FileSum, folder: Path, *, again: bool) -> None:
        key = self._file_key(file.sha256)
        if again or await self._blobs.size(key) != file.bytes:
            await self._blobs.put_file(key, folder / file.path)
        if again:
            await self._blobs.delete(self._damaged_key(file.sha256))

    async def _prune(self, manifests: list[str], keep: int, require_lease: Callable[[], None]) -> None:
        kept: set[str] = set()
        for name in manifests[-keep:]:
            try:
                checkpoint = Checkpoint.from_json(await self._blobs.get(f"{self._prefix}/manifests/{name}"))
            except Corrupt:
                continue
            kept.update(file.sha256 for file in checkpoint.files())
        doomed = [f"{self._prefix}/manifests/{name}" for name in manifests[:-keep]]
        for folder in ("files", "damaged"):
            found = [key async for key in self._blobs.keys(f"{self._prefix}/{folder}/")]
            doomed += [key for key in found if key.rsplit("/", 1)[1] not in kept]
        for key in doomed:
            require_lease()
            await self._blobs.delete(key)

    async def _manifests(self) -> list[str]:
        """Names, oldest first."""
        names = [key.rsplit("/", 1)[1] async for key in self._blobs.keys(f"{self._prefix}/manifests/")]
        return sorted(name for name in names if _MANIFEST.fullmatch(name))

    async def _damaged(self) -> set[str]:
        return {key.rsplit("/", 1)[1] async for key in self._blobs.keys(f"{self._prefix}/damaged/")}

    def _file_key(self, sha256: str) -> str:
        return f"{self._prefix}/files/{sha256}"

    def _damaged_key(self, sha256: str) -> str:
        return f"{self._prefix}/damaged/{sha256}"


def _number(name: str) -> str:
    return name.split("-", 1)[0]


def part_of(folder: Path) -> Path:
    """Where the folder is downloaded to; what a death left there is of no use."""
    return folder.with_name(f"{folder.name}.part")


def _empty(folder: Path) -> None:
    discard(folder)
    folder.mkdir(parents=True)


def _take_place(part: Path, folder: Path) -> None:
    discard(folder)
    part.replace(folder)


def _require_checksum(path: Path, file: FileSum) -> None:
    with path.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
            SHARD_CORRUPT_FILES.inc()
            raise Corrupt(f"{file.path} does not have its checksum.")
