"""Thumbnails that are drawn on demand: few originals are held at a time, whoever asks for how many."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway_faces import until

from omma.blobs.folder import FolderBlobs
from omma.identity import Tenant
from services.gateway.pictures.core import PictureCore
from services.gateway.settings import GatewaySettings
from tests.pictures import encoded, scene

PICTURE = encoded(scene())


class Catalog:
    async def picture(self, _: Tenant, image_id: int) -> Any:
        return SimpleNamespace(sha256=f"{image_id:064x}", uri="omma:x")


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
    blobs, originals, settings = FolderBlobs(tmp_path), Slow(), GatewaySettings()
    parts: Any = Catalog(), blobs, originals, None
    with ThreadPoolExecutor(2) as executor:
        core = PictureCore(*parts, executor, picture_limits=settings.picture_limits, row_limits=settings.row_limits)
        asked = [asyncio.create_task(core.thumbnail(Tenant("ann"), number)) for number in range(1, 13)]
        await until(lambda: originals.reading == 4)
        asked[0].cancel()
        originals.go.set()
        drawn = await asyncio.gather(*asked, return_exceptions=True)
    assert originals.most == 4
    assert [type(one).__name__ for one in drawn] == ["CancelledError", *["Content"] * 11]
    await blobs.close()
