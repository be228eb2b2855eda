"""What makes the indexer stop taking: enough under way, a fault that is not the pictures', a service away."""

import asyncio
from collections.abc import Sequence

from omma.backlog import backlog, indexer_group
from omma.dead_letters import DeadLetters
from omma.errors import InvalidPicture, Kind, ReplicaDown
from omma.identity import DEFAULT_TENANT
from omma.records import IMAGES_TOPIC
from omma.rpc.deadline import Deadline
from services.egs.client import EmbeddedItem, ImageItem
from services.indexer.deaths import Deaths
from services.indexer.settings import IndexerSettings
from services.indexer.worker import Indexer
from tests.indexer_world import SPACE, CountingEmbedder, World, vectors_in
from tests.waiting import eventually

SETTINGS = IndexerSettings(
    poll_seconds=0.02,
    retry_seconds=0.01,
    batch_pictures=5,
    deaths_window=20,
    deaths_share=0.5,
    deaths_pause_seconds=0.05,
)
DEAD, CORRUPT = Kind.INVALID_PICTURE, Kind.CORRUPT


class Sick(CountingEmbedder):
    """Says of every picture that it cannot be read, until it is mended."""

    ill = True

    def _answer(self, content: bytes) -> EmbeddedItem | Exception:
        return InvalidPicture("It is cut off.") if self.ill else super()._answer(content)


class Away(CountingEmbedder):
    """Does not answer so many times."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        if self.refusals > 0:
            self.refusals -= 1
            raise ReplicaDown("Nobody listens.")
        return await super().embed(items, deadline)


def indexer(
    world: World, embedder: CountingEmbedder, told: list[bool], settings: IndexerSettings = SETTINGS
) -> Indexer:
    async def on_held(held: bool) -> None:
        told.append(held)

    return Indexer(
        catalog=world.catalog,
        log=world.log,
        blobs=world.blobs,
        originals=world.originals,
        embedder=embedder,
        shards=[world.shard],
        settings=settings,
        on_held=on_held,
    )


async def stopped(running: asyncio.Task[None]) -> None:
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})


async def behind(world: World) -> int:
    return await backlog(world.log, IMAGES_TOPIC, indexer_group(SPACE.id))


async def test_a_bad_deploy_does_not_drain_the_topic_and_its_end_is_noticed(world: World) -> None:
    await world.upload(*(b"picture %d" % number for number in range(200)))
    embedder, told = Sick(), list[bool]()
    running = asyncio.create_task(indexer(world, embedder, told).run())
    await eventually(lambda: len(told) >= 1, 20)
    dead = (await world.catalog.counts()).get("dead", 0)
    assert dead < 20 and await behind(world) >= 180, "less than a window died before it stopped"
    embedder.ill = False
    await world.handled()
    counts = await world.catalog.counts()
    assert counts["indexed"] >= 180 and counts.get("dead", 0) <= 20
    assert told[0] and not told[-1], "health was told of it, and of its end"
    await stopped(running)


async def test_it_is_told_that_nothing_is_held_any_more_also_where_nothing_is_left(world: World) -> None:
    """Whoever sees what dies may delete it."""
    uploads = await world.upload(*(b"picture %d" % number for number in range(40)))
    told = list[bool]()
    slow = SETTINGS.model_copy(update={"deaths_pause_seconds": 1})
    running = asyncio.create_task(indexer(world, Sick(), told, slow).run())
    await eventually(lambda: bool(told), 20)
    await world.send(await world.catalog.delete(DEFAULT_TENANT, [one.id for one in uploads]))
    await world.handled()
    await eventually(lambda: not told[-1], 20)
    await stopped(running)


async def test_after_a_pause_one_batch_may_die_so_that_real_poison_holds_nothing_for_ever(world: World) -> None:
    bad = await world.upload(*(b"bad %d" % number for number in range(40)))
    good = await world.upload(*(b"good %d" % number for number in range(40)))
    told = list[bool]()
    quick = SETTINGS.model_copy(update={"deaths_pause_seconds": 0.01})
    running = asyncio.create_task(indexer(world, CountingEmbedder(), told, quick).run())
    async with asyncio.timeout(30):
        await world.handled()
    await stopped(running)
    counts = await world.catalog.counts()
    assert (counts["dead"], counts["indexed"]) == (len(bad), len(good)) and told.count(True) >= 2


async def test_bad_pictures_among_good_ones_stop_nothing(world: World) -> None:
    for number in range(100):
        await world.upload(b"%s %d" % (b"bad" if number % 4 == 0 else b"good", number))
    told = list[bool]()
    running = asyncio.create_task(indexer(world, CountingEmbedder(), told).run())
    async with asyncio.timeout(20):
        await world.handled()
    await stopped(running)
    assert not told and (await world.catalog.counts())["dead"] == 25


async def test_a_service_that_is_away_makes_no_dead_letter(world: World) -> None:
    uploads = await world.upload(*(b"picture %d" % number for number in range(30)))
    embedder = Away(20)
    running = asyncio.create_task(indexer(world, embedder, []).run())
    async with asyncio.timeout(30):
        await world.handled()
    await stopped(running)
    assert embedder.refusals == 0 and len(embedder.embedded) == len(uploads)
    assert await DeadLetters(world.catalog, world.log, world.outbox, world.handled).letters(DEFAULT_TENANT) == []


async def test_while_the_embedder_hangs_no_more_is_taken_than_may_be_under_way(world: World) -> None:
    uploads = await world.upload(*(b"picture %d" % number for number in range(300)))
    embedder = Hanging()
    running = asyncio.create_task(indexer(world, embedder, []).run())
    under_way = SETTINGS.batches_in_flight * SETTINGS.batch_pictures
    await eventually(lambda: embedder.asked_for == under_way, 20)
    await asyncio.sleep(0.2)  # what it must not do takes no time to show
    assert embedder.asked_for == under_way and await behind(world) == len(uploads)
    embedder.gate.set()
    async with asyncio.timeout(30):
        await world.handled()
    await stopped(running)
    assert set(embedder.embedded.values()) == {1} and len(await vectors_in(world.log)) == len(uploads)


class Hanging(CountingEmbedder):
    """Answers nothing before the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked_for = 0

    async def embed(self, items: Sequence[ImageItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        self.asked_for += len(items)
        await self.gate.wait()
        return await super().embed(items, deadline)


def test_too_many_deaths_are_of_one_kind_in_a_full_window_and_in_the_batch() -> None:
    deaths = Deaths(window=10, share=0.5, pause_seconds=1)
    assert deaths.excess([DEAD] * 9) is None, "too few to tell"
    assert deaths.excess([DEAD] * 10) is DEAD
    deaths.note([DEAD] * 8)
    assert deaths.excess([None, None, DEAD]) is None, "the batch is well"
    assert deaths.excess([CORRUPT, CORRUPT]) is None, "another kind"
    assert deaths.excess([DEAD, DEAD]) is DEAD
    deaths.note([None] * 10)
    assert deaths.excess([DEAD] * 5) is None and deaths.excess([DEAD] * 6) is DEAD, "the window slides"


def test_a_share_of_one_is_never_passed() -> None:
    assert Deaths(window=10, share=1, pause_seconds=1).excess([DEAD] * 50) is None


def test_pauses_grow_to_a_bound_and_begin_again_once_all_is_well() -> None:
    deaths = Deaths(window=10, share=0.5, pause_seconds=60)
    pauses = [deaths.next_pause_seconds() for _ in range(7)]
    assert pauses == [60, 120, 240, 480, 960, 960, 960]
    deaths.calm()
    assert deaths.next_pause_seconds() == 60
