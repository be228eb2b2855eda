"""Published codebooks: in object storage under their checksum, with a copy beside the shard's files."""

import logging
import os
from concurrent.futures import Executor
from pathlib import Path

from omma.blobs.interface import Blobs
from omma.errors import Corrupt
from omma.index import codebook_key
from omma.telemetry.context import run_in
from services.nn_shard.engine import Codebook

logger = logging.getLogger(__name__)


class Codebooks:
    """folder: of the local copies, made when needed; a shard starts without object storage once it has its copy."""

    def __init__(self, blobs: Blobs, folder: Path, executor: Executor) -> None:
        self._blobs = blobs
        self._folder = folder
        self._executor = executor

    async def load(self, sha256: str) -> Codebook:
        """Raises Absent when it was never published, Corrupt when what was published does not have this checksum."""
        copy = self._folder / sha256
        try:
            return await run_in(self._executor, Codebook.load, copy, sha256)
        except FileNotFoundError:
            pass
        except Corrupt as error:
            logger.warning("The copy of codebook %s is damaged and fetched again: %s", sha256, error.detail)
        content = await self._blobs.get(codebook_key(sha256))
        codebook = await run_in(self._executor, Codebook.from_bytes, content, sha256)
        await run_in(self._executor, _keep, copy, content)
        return codebook

    async def ensure(self, codebook: Codebook) -> None:
        """Publish it again when object storage has lost it: whoever has a copy can help those who come after."""
        if await self._blobs.size(codebook_key(codebook.id)) is None:
            logger.warning("Codebook %s was gone from object storage and is published again", codebook.id)
            await self._blobs.put(codebook_key(codebook.id), codebook.to_bytes())

    async def publish(self, content: bytes) -> Codebook:
        """Durable when it returns. The same bytes again change nothing. Raises Corrupt for what is no codebook."""
        codebook = await run_in(self._executor, Codebook.from_bytes, content)
        await self._blobs.put(codebook_key(codebook.id), content)
        return codebook


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
