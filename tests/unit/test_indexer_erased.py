"""A picture that goes while it is embedded leaves no thumbnail behind, and takes nobody else's with it."""

from collections.abc import Awaitable, Callable, Collection, Sequence

import pytest

from omma.blobs.interface import thumbnail_key
from omma.catalog.orphan import Needs
from omma.catalog.picture import Upserted
from omma.errors import Overloaded
from omma.identity import DEFAULT_TENANT, Sha256
from omma.images import DEFAULT_LIMITS
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.indexer.sources import Later, Seen, VectorSources
from services.worker.jobs.progress import Progress
from services.worker.truth.collector import Collector
from tests.indexer_world import CountingEmbedder, World

GRACE = 3600.0


class Interrupted(CountingEmbedder):
    """While it embeds something happens to the pictures."""

    def __init__(self, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._happens = happens

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        await self._happens()
        return await super().embed(items, deadline)


def sources_of(world: World, happens: Callable[[], Awaitable[None]]) -> VectorSources:
    return VectorSources(
        catalog=world.catalog,
        blobs=world.blobs,
        originals=world.originals,
        embedder=Interrupted(happens),
        shards=[],
        settings=world.settings,
        limits=DEFAULT_LIMITS,
    )


async def embed(world: World, picture: Upserted, happens: Callable[[], Awaitable[None]]) -> Sha256:
    """happens: before the thumbnail is put. Returns the sha256 of what was embedded."""
    sources = sources_of(world, happens)
    row = (await world.catalog.pictures([picture.id]))[picture.id]
    assert (await sources.embed([row])).keys() == {row.sha256}
    return row.sha256


async def collect(world: World, grace_seconds: float = GRACE) -> None:
    await Collector(world.catalog, world.blobs, grace_seconds).collect(Progress())


async def has_thumbnail(world: World, sha256: Sha256) -> bool:
    return await world.blobs.size(thumbnail_key(sha256)) is not None


async def test_a_picture_that_is_erased_and_collected_meanwhile_leaves_no_thumbnail(world: World) -> None:
    (picture,) = await world.upload(b"erased")

    async def erased() -> None:
        await world.catalog.erase(DEFAULT_TENANT, [picture.id])
        await collect(world)

    sha256 = await embed(world, picture, erased)
    assert await world.catalog.overdue([sha256], GRACE) == {sha256}, "without a grace"
    await collect(world)
    assert not await has_thumbnail(world, sha256)


async def test_a_catalog_that_fails_once_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (picture,) = await world.upload(b"erased")
    asks, asked = world.catalog.needs, 0

    async def erased() -> None:
        await world.catalog.erase(DEFAULT_TENANT, [picture.id])

    async def fails_once(sha256s: Collection[Sha256], grace_seconds: float) -> Needs:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Overloaded("The catalog is away.")
        return await asks(sha256s, grace_seconds)

    monkeypatch.setattr(world.catalog, "needs", fails_once)
    sources = sources_of(world, erased)
    row = (await world.catalog.pictures([picture.id]))[picture.id]
    first = (await sources.embed([row]))[row.sha256]
    assert isinstance(first, Later) and first.error.detail == "The catalog is away." and not first.reading
    assert isinstance((await sources.embed([row]))[row.sha256], Seen)
    assert asked == 2 and await world.catalog.overdue([row.sha256], GRACE) == {row.sha256}
    await collect(world)
    assert not await has_thumbnail(world, row.sha256)


async def test_bytes_that_another_picture_has_too_keep_their_thumbnail(world: World) -> None:
    (picture,) = await world.upload(b"the same")

    async def erased() -> None:
        await world.upload(b"the same", key=lambda _: "another")
        await world.catalog.erase(DEFAULT_TENANT, [picture.id])
        await collect(world)

    sha256 = await embed(world, picture, erased)
    assert await world.catalog.overdue([sha256], 0) == set()
    await collect(world)
    assert await has_thumbnail(world, sha256)


async def test_what_can_be_restored_keeps_its_thumbnail_for_its_grace_and_no_longer(world: World) -> None:
    (picture,) = await world.upload(b"deleted")

    async def deleted() -> None:
        await world.catalog.delete(DEFAULT_TENANT, [picture.id])

    sha256 = await embed(world, picture, deleted)
    await collect(world)
    assert await has_thumbnail(world, sha256) and await world.catalog.overdue([sha256], GRACE) == set()
    await collect(world, grace_seconds=0)
    assert not await has_thumbnail(world, sha256)
