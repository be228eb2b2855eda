"""Copies are looked for picture by picture: what cannot be read now has its turn again, and keeps nobody waiting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from omma.blobs.originals import Originals
from omma.catalog.picture import Embedded, NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import Corrupt, ReplicaDown
from omma.hits import FetchedPicture, Hits, Payload, ShardHits
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.images import PictureLimits, signature
from omma.rpc.deadline import Deadline
from services.nn_shard.client import ShardClient, ShardQuery
from services.topology.indexes import PlacedIndex
from services.worker.curation.copies import CopyFinder
from tests.contract.catalogs import ANN, INDEX, SPACE, sha
from tests.pictures import encoded, scene

LAMP, DOOR = scene(640, 480, seed=1), scene(640, 480, seed=2)
PICTURES = {"lamp": LAMP, "turned": LAMP.rotate(-6, Image.Resampling.BICUBIC)}
PICTURES |= {"door": DOOR, "ajar": DOOR.rotate(-6, Image.Resampling.BICUBIC)}
"""Of each pair no signature tells that they are copies."""


class Shard:
    """Each picture is near the other of its pair alone."""

    def __init__(self, pairs: Sequence[Sequence[ImageId]]) -> None:
        self.beside = {one: other for pair in pairs for one, other in (pair, pair[::-1])}

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        vector, box = np.full((1, SPACE.dim), 1 / 16, np.float16), np.zeros((1, 4), np.int32)
        return [FetchedPicture(id, Version(1), ANN, vector, box, None, Payload(uri="")) for id in ids]

    async def search(self, query: ShardQuery, deadline: Deadline) -> ShardHits:
        (of,) = query.exclude_ids
        ids, none = np.array([self.beside[of]], np.int64), np.zeros(1, np.int64)
        hits = Hits(ids, np.float32([0.9]), none, none.astype(np.uint64), np.zeros((1, 4), np.int32))
        return ShardHits(hits, INDEX.id, SPACE.id, 4)


class Store:
    """Originals by sha256, and what reading one of them raises."""

    def __init__(self, contents: dict[Sha256, bytes]) -> None:
        self.contents = contents
        self.faults: dict[Sha256, Exception] = {}

    async def read(self, uri: str, sha256: Sha256, max_bytes: int) -> bytes:
        if sha256 in self.faults:
            raise self.faults[sha256]
        return self.contents[sha256]


@pytest.mark.parametrize("fault", [ReplicaDown("The bucket is away."), OSError(5, "Input/output error")])
async def test_what_cannot_be_read_now_is_looked_at_when_it_can(tmp_path: Path, fault: Exception) -> None:
    ids, store, finder, due, groups = await world(tmp_path)
    store.faults = {sha("turned"): fault}
    await finder.find()
    assert await due() == sorted([ids["lamp"], ids["turned"]]), "those that want it, and no other"
    assert await groups(ids["door"]) == {ids["door"], ids["ajar"]}
    store.faults = {}
    await finder.find()
    assert await due() == []
    assert await groups(ids["lamp"]) == {ids["lamp"], ids["turned"]}


@pytest.mark.parametrize("fault", [Corrupt("Other bytes."), RuntimeError("a decoder's")])
async def test_what_can_never_be_read_is_passed_over(tmp_path: Path, fault: Exception) -> None:
    ids, store, finder, due, groups = await world(tmp_path)
    store.faults = {sha("turned"): fault}
    await finder.find()
    assert await due() == []
    assert await groups(ids["door"]) == {ids["door"], ids["ajar"]}
    assert await groups(ids["lamp"]) == set()


async def world(folder: Path) -> Any:
    catalog = await open_sqlite_catalog(folder / "catalog.db")
    await catalog.register_space(SPACE)
    await catalog.register_index(INDEX)
    rows = [NewPicture(key=name, sha256=sha(name), uri=f"omma:{sha(name)}", bytes=10) for name in PICTURES]
    made = await catalog.upsert(ANN, rows)
    ids = {name: one.id for name, one in zip(PICTURES, made, strict=True)}
    seen = [
        Embedded(row.id, row.version, *picture.size, number, signature(picture))
        for number, (row, picture) in enumerate(zip(made, PICTURES.values(), strict=True))
    ]
    await catalog.record_embedded(SPACE.id, seen)
    shard = cast(ShardClient, Shard([(ids["lamp"], ids["turned"]), (ids["door"], ids["ajar"])]))
    store = Store({sha(name): encoded(one) for name, one in PICTURES.items()})
    placed = PlacedIndex(INDEX, SPACE, ((shard,),))
    originals = cast(Originals, store)
    finder = CopyFinder(catalog, originals, lambda: placed, PictureLimits(), holder="one", every_seconds=1)

    async def due() -> list[ImageId]:
        return [id for id, _ in await catalog.begin_looking(ImageId(0), 10)]

    async def groups(id: ImageId) -> set[ImageId]:
        return set(await catalog.in_groups_of(ANN, [id], 10))

    return ids, store, finder, due, groups
