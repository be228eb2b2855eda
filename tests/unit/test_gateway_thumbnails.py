"""Thumbnails that are drawn on demand: few originals are held at a time, and of what goes meanwhile nothing is kept."""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import thumbnail_key
from omma.catalog.orphan import Needs
from omma.description import RowLimits
from omma.errors import Absent
from omma.identity import DEFAULT_TENANT, Sha256, Tenant
from omma.images import PictureLimits
from services.gateway.pictures.core import PictureCore
from services.worker.jobs.progress import Progress
from services.worker.truth.collector import Collector
from tests.indexer_world import World
from tests.pictures import encoded, scene
from tests.waiting import eventually

PICTURE = encoded(scene())


class Catalog:
    async def picture(self, _: Tenant, image_id: int) -> Any:
        return SimpleNamespace(id=image_id, sha256=f"{image_id:064x}", uri="omma:x", space="", owner="", private=False)

    async def needs(self, sha256s: Collection[Sha256], grace_seconds: float) -> Needs:
        return Needs(frozenset(sha256s), frozenset(sha256s))


class Slow:
    def __init__(self) -> None:
        self.reading = self.most = 0
        self.go = asyncio.Event()

    async def read(self, *_: Any) -> bytes:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await self.go.wait()
        self.reading -= 1
        return PICTURE


async def test_few_originals_are_held_to_draw_many_thumbnails(tmp_path: Path) -> None:
    blobs, originals = FolderBlobs(tmp_path), Slow()
    parts: Any = Catalog(), blobs, originals, None
    with ThreadPoolExecutor(2) as executor:
        core = PictureCore(*parts, executor, picture_limits=PictureLimits(), row_limits=RowLimits())
        asked = [asyncio.create_task(core.thumbnail(Tenant("ann"), number)) for number in range(1, 13)]
        await eventually(lambda: originals.reading == 4, 10)
        asked[0].cancel()
        originals.go.set()
        drawn = await asyncio.gather(*asked, return_exceptions=True)
    assert originals.most == 4
    assert [type(one).__name__ for one in drawn] == ["CancelledError", *["Content"] * 11]
    await blobs.close()


async def test_of_a_picture_that_is_erased_while_it_is_drawn_no_thumbnail_is_kept(world: World) -> None:
    (picture,) = await world.upload(PICTURE, key=lambda _: "one")
    row = (await world.catalog.pictures([picture.id]))[picture.id]
    originals = Slow()
    parts: Any = world.catalog, world.blobs, originals, world.outbox
    with ThreadPoolExecutor(1) as executor:
        core = PictureCore(*parts, executor, picture_limits=PictureLimits(), row_limits=RowLimits())
        drawing = asyncio.create_task(core.thumbnail(DEFAULT_TENANT, picture.id))
        await eventually(lambda: originals.reading == 1, 10)
        await world.catalog.erase(DEFAULT_TENANT, [picture.id])
        await Collector(world.catalog, world.blobs, grace_seconds=3600.0).collect(Progress())
        originals.go.set()
        with pytest.raises(Absent):
            await drawing
    await Collector(world.catalog, world.blobs, grace_seconds=3600.0).collect(Progress())
    assert await world.blobs.size(thumbnail_key(row.sha256)) is None
