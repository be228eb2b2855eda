"""What tests of more than one module stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from tests.indexer_world import World, opened
from tests.unit.folder_library import Library, library_in


@pytest.fixture
async def originals(tmp_path: Path) -> AsyncIterator[Originals]:
    originals = Originals(FolderBlobs(tmp_path))
    yield originals
    await originals.close()


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with library_in(tmp_path) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as made:
        yield made
