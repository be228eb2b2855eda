"""Regions in the indexer: asked for in one decode, kept with the record, and embedded again where they are missing."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from omma.errors import WrongState
from omma.identity import DEFAULT_TENANT
from omma.rpc.deadline import Deadline
from omma.vectors import normalise
from services.egs.client import EmbeddedItem, Embedder, ImageItem
from services.indexer.regions import FRACTIONS, Regions, vectors_a_picture
from services.indexer.settings import IndexerSettings
from tests.indexer_world import SETTINGS, CountingEmbedder, opened

WINDOWS = IndexerSettings(**SETTINGS.model_dump() | {"regions": "windows"})
CROPS = IndexerSettings(**SETTINGS.model_dump() | {"regions": "crops"})


class PartsEmbedder(CountingEmbedder):
    """A vector a region."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        self.embedded.update(item.content for item in items)
        self.calls.append(sum(max(1, len(item.fractions)) for item in items))
        return [self._parts(item) for item in items]

    def _parts(self, item: ImageItem) -> EmbeddedItem:
        count = 1 + self.windows if item.windows else max(1, len(item.fractions))
        vectors = normalise(np.arange(1, 4 * count + 1, dtype=np.float32).reshape(count, 4))
        boxes = np.array([[0, 0, 8, 6]] * count, np.int32)
        return EmbeddedItem(vectors, boxes, phash=7, width=8, height=6)


@pytest.mark.parametrize("regions", Regions)
def test_the_whole_is_first_and_no_part_leaves_the_picture(regions: Regions) -> None:
    first, *parts = FRACTIONS[regions]
    assert first == (0, 0, 1, 1)
    assert all(0 <= left < right <= 1 and 0 <= top < bottom <= 1 for left, top, right, bottom in parts)
    assert len(set(parts)) == len(parts)


async def test_each_picture_has_its_parts_and_gets_them_where_they_were_missing(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.embedder = embedder = PartsEmbedder()
        (before,) = await world.upload(b"one", key=lambda _: "a")
        assert (await world.indexed())[before.id].vectors.shape == (1, 4)
        world.settings = CROPS
        (after, *others) = await world.upload(
            b"one", *(b"%d" % n for n in range(40)), key=lambda content: f"b{content!r}"
        )
        records = await world.indexed()
        assert records[after.id].vectors.shape == (6, 4)
        assert all(records[one.id].vectors.shape == (6, 4) for one in others)
        assert embedder.embedded == Counter({b"one": 2} | {b"%d" % n: 1 for n in range(40)})
        assert max(embedder.calls) <= CROPS.chunk_pictures, "a call has as many regions as it had pictures"
        assert (await world.catalog.picture(DEFAULT_TENANT, after.id)).width == 8


async def test_windows_come_with_the_whole_and_where_they_were_missing(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        world.embedder = embedder = PartsEmbedder()
        embedder.windows = 16
        (before,) = await world.upload(b"one", key=lambda _: "a")
        assert (await world.indexed())[before.id].vectors.shape == (1, 4)
        world.settings = WINDOWS
        (after,) = await world.upload(b"one", key=lambda _: "b")
        assert (await world.indexed())[after.id].vectors.shape == (17, 4)
        assert embedder.embedded == Counter({b"one": 2})


def test_windows_of_a_model_that_has_none_are_refused_with_its_name() -> None:
    embedder = PartsEmbedder()
    with pytest.raises(WrongState, match=r"tiny@1\.0\.0") as refused:
        vectors_a_picture(Regions.WINDOWS, cast(Embedder, embedder))
    assert refused.value.field == "OMMA_INDEXER__REGIONS"
    embedder.windows = 16
    assert [vectors_a_picture(regions, cast(Embedder, embedder)) for regions in Regions] == [1, 6, 17]
