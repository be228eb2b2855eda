"""Thumbnails that are drawn on demand: few originals are held at a time, whoever asks for how many."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from omma.blobs.folder import FolderBlobs
from omma.description import RowLimits
from omma.identity import Tenant
from omma.images import PictureLimits
from services.gateway.pictures.core import PictureCore
from tests.pictures import encoded, scene
from tests.waiting import eventually

PICTURE = encoded(scene())


class Catalog:
    async def picture(self, _: Tenant, image_id: int) -> Any:
        return SimpleNamespace(id=image_id, sha256=f"{image_id:064x}", uri="omma:x", space="", owner="", private=False)


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
