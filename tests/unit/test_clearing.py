"""What a retired index leaves behind: cleared once nobody writes it, and a space with its last index only."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from omma.backlog import indexer_group
from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.catalog.given import GivenVector
from omma.catalog.interface import Catalog
from omma.catalog.picture import NewPicture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import RowLimits
from omma.errors import Absent, WrongState
from omma.index import Index, codebook_key
from omma.log.interface import TopicPartition, TopicSpec
from omma.log.sqlite import SqliteLog
from omma.records import IMAGES_TOPIC
from omma.rollouts.asked import RolloutRequest
from omma.rollouts.clearing import lease_of
from omma.rollouts.preflight import Room
from omma.rollouts.walk import Step
from omma.space import Space
from omma.storage import Storage
from omma.trained_on import trained_on_key
from services.gateway.rollouts.fitness import Fitness
from services.gateway.rollouts.rollouts import CandidateModel, Place, Rollouts, place_beside
from services.worker.rollouts.clearing import Clearer
from tests.contract.catalogs import ANN, SPACE, new
from tests.contract.rollouts import CANDIDATE, LIVE, OTHER, ROLLOUT, TOLD, with_live_index

GROUP = indexer_group(OTHER.id)
AT = TopicPartition(IMAGES_TOPIC, 0)


class OtherModel:
    """services.gateway.rollouts.rollouts.Candidates that knows one model."""

    async def model(self, reference: str) -> CandidateModel:
        return CandidateModel(OTHER.model, OTHER, False)

    async def room(self) -> Room:
        return Room()

    async def place(self, request: RolloutRequest, space: Space, control: Index, known: list[Index]) -> Place:
        return place_beside(request, space, control, known)


@dataclass
class World:
    storage: Storage
    seconds: float = 0.0

    def clearer(self) -> Clearer:
        return Clearer(self.storage, "w1", every_seconds=1.0, now=lambda: self.seconds)

    async def topics(self) -> set[str]:
        return {one.name for one in await self.storage.log.topics()}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A candidate that was read into, and given up."""
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    blobs = FolderBlobs(tmp_path / "blobs")
    await with_live_index(catalog)
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    for space in (SPACE, OTHER):
        await log.ensure_topic(TopicSpec(space.vectors_topic, space.buckets, compacted=True))
    await log.ensure_topic(TopicSpec(IMAGES_TOPIC, 1))
    for index in (LIVE, CANDIDATE):
        await blobs.put(f"snapshots/{index.id}/0-of-1/manifest.json", b"{}")
    yield World(Storage(catalog, log, blobs, Originals(blobs, None), RowLimits()))
    await log.close()
    await catalog.close()


async def test_a_retired_index_is_cleared_and_its_space_with_it(world: World) -> None:
    catalog, log, blobs = world.storage.catalog, world.storage.log, world.storage.blobs
    member = await log.subscribe(IMAGES_TOPIC, GROUP)
    await member.poll(1, 0)
    await member.commit({AT: 0})
    clearer = world.clearer()
    await clearer.look()
    await catalog.move_rollout(ROLLOUT.id, Step.ABORT, TOLD)
    await clearer.look()
    assert len([key async for key in blobs.keys("snapshots/")]) == 2, "its shards have not seen it yet"
    for space in (SPACE, OTHER):
        await blobs.put(trained_on_key(space.id), b"middles")
    world.seconds = 60
    await clearer.look()
    assert [key async for key in blobs.keys("snapshots/")] == [f"snapshots/{LIVE.id}/0-of-1/manifest.json"]
    assert OTHER.vectors_topic in await world.topics(), "its indexer still reads"
    await member.close()
    await clearer.look()
    assert await world.topics() == {SPACE.vectors_topic, IMAGES_TOPIC}
    assert dict(await log.committed(GROUP, IMAGES_TOPIC)) == {}
    assert [key async for key in blobs.keys("spaces/")] == [trained_on_key(SPACE.id)]
    with pytest.raises(Absent):
        await log.end_offsets(OTHER.vectors_topic)


@pytest.mark.parametrize("shared", [False, True])
async def test_its_codebook_goes_unless_another_index_has_it(world: World, shared: bool) -> None:
    catalog, blobs = world.storage.catalog, world.storage.blobs
    own, others = "a" * 64, "a" * 64 if shared else "b" * 64
    for index, codebook in ((CANDIDATE, own), (LIVE, others)):
        await blobs.put(codebook_key(codebook), b"centroids")
        assert await catalog.adopt_codebook(index.id, codebook)
    await catalog.move_rollout(ROLLOUT.id, Step.ABORT, TOLD)
    clearer = world.clearer()
    await clearer.look()
    assert own in {key.split("/")[1] async for key in blobs.keys("codebooks/")}, "its shards have not seen it yet"
    world.seconds = 60
    await clearer.look()
    assert [key async for key in blobs.keys("codebooks/")] == [codebook_key(others)]


def rollouts_of(catalog: Catalog) -> Rollouts:
    """None of whose indexes run: nobody measures them."""
    return Rollouts(catalog, OtherModel(), cast(Fitness, None), keep_for_seconds=0)  # type: ignore[arg-type]


async def test_a_space_stays_while_another_index_uses_it(world: World) -> None:
    catalog = world.storage.catalog
    await catalog.move_rollout(ROLLOUT.id, Step.ABORT, TOLD)
    rollouts = rollouts_of(catalog)
    await rollouts.start(RolloutRequest(model=OTHER.model), by="ann")
    clearer = world.clearer()
    await clearer.look()
    world.seconds = 60
    await clearer.look()
    assert OTHER.vectors_topic in await world.topics()
    assert [key async for key in world.storage.blobs.keys(f"snapshots/{CANDIDATE.id}/")] == []


async def test_no_rollout_begins_in_a_space_that_is_being_cleared(world: World) -> None:
    catalog = world.storage.catalog
    await catalog.move_rollout(ROLLOUT.id, Step.ABORT, TOLD)
    rollouts = rollouts_of(catalog)
    assert await catalog.acquire_lease(lease_of(OTHER.id), "w2", 60)
    with pytest.raises(WrongState, match="being cleared") as refused:
        await rollouts.start(RolloutRequest(model=OTHER.model), by="ann")
    assert refused.value.field == "model" and (await catalog.routing()).running is None
    await catalog.release_lease(lease_of(OTHER.id), "w2")
    begun = await rollouts.start(RolloutRequest(model=OTHER.model), by="ann")
    assert begun.figures["preflight"]["words"] is False, "said before anybody is answered by it"


async def test_what_was_given_for_another_space_takes_no_room_in_a_rollout(world: World) -> None:
    catalog = world.storage.catalog
    await catalog.move_rollout(ROLLOUT.id, Step.ABORT, TOLD)
    vector = GivenVector("products", b"\0" * 8)
    row = NewPicture("sku", vector.sha256, f"vector:{vector.sha256}", len(vector.content), given=vector)
    await catalog.upsert(ANN, [new("picture"), row])
    begun = await rollouts_of(catalog).start(RolloutRequest(model=OTHER.model), by="ann")
    assert begun.figures["preflight"]["embedded"] == 1
