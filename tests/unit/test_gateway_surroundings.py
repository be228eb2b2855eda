"""What the gateway says of towers that are away and of writes that do not get on."""

from typing import Any, cast

from omma.catalog.interface import Catalog
from omma.errors import ReplicaDown
from omma.identity import ImageId, Tenant, Version
from omma.log.interface import Log
from omma.records import EventKind, ImageEvent
from services.gateway.health import Health
from services.gateway.surroundings import Surroundings
from services.topology.indexes import ServedIndexes


class World:
    """Catalog, log, live index and clock of one Surroundings."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waiting: list[ImageEvent] = []
        self.ends, self.done = {0: 10, 1: 5}, {0: 10, 1: 5}
        self.towers = True
        self.space = type("Space", (), {"id": "s"})
        self.embedder = self

    async def unsent(self, limit: int) -> list[ImageEvent]:
        return self.waiting[:limit]

    async def end_offsets(self, topic: str) -> dict[int, int]:
        return self.ends

    async def beginning_offsets(self, topic: str) -> dict[int, int]:
        return {0: 0, 1: 0}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        return dict(self.done)

    async def ready(self) -> bool:
        return self.towers

    def live_space(self) -> str:
        return "s"

    def live(self) -> "World":
        return self

    def every(self) -> tuple[Any, ...]:
        return ()

    def misplaced(self) -> tuple[str, ...]:
        return ()

    def surroundings(self) -> Surroundings:
        return Surroundings(cast(Catalog, self), cast(Log, self), cast(ServedIndexes, self), lambda: self.seconds)


def event(version: int) -> ImageEvent:
    return ImageEvent(ImageId(1), Version(version), Tenant("ann"), EventKind.DELETE)


async def test_a_write_that_no_log_has_for_long_is_told() -> None:
    world = World()
    seen = world.surroundings()
    world.waiting = [event(2)]
    await seen.look()
    assert not seen.behind, "it may be on its way"
    world.seconds = 11
    await seen.look()
    assert seen.behind
    world.waiting = [event(3)]
    await seen.look()
    assert not seen.behind, "they get on"
    world.seconds, world.waiting = 30, []
    await seen.look()
    assert not seen.behind


async def test_an_indexer_that_stands_is_told_and_one_that_works_is_not() -> None:
    world = World()
    seen = world.surroundings()
    world.ends = {0: 1_000, 1: 5}
    for offset in range(11, 30):
        world.seconds += 5
        world.done[0] = offset
        await seen.look()
        assert not seen.behind, "a backlog that shrinks is no fault"
    world.seconds += 11
    await seen.look()
    assert seen.behind
    world.done[0] = 1_000
    await seen.look()
    assert not seen.behind


async def test_what_cannot_be_looked_at_stays_as_it_was_seen() -> None:
    world = World()
    seen = world.surroundings()
    world.towers, world.waiting = False, [event(2)]
    await seen.look()

    async def away(*args: object) -> Any:
        raise ReplicaDown("It is away.")

    cast(Any, world).end_offsets = cast(Any, world).ready = away
    world.seconds = 11
    await seen.look()
    assert seen.towers_away and seen.behind


async def test_health_names_what_is_away_and_stays_ready() -> None:
    world = World()
    seen = world.surroundings()
    health = Health(cast(ServedIndexes, world), seen)
    assert (health.ready, health.document()["embedder"]) == (True, "ready")
    world.towers = False
    await seen.look()
    assert health.ready, "searches by id and by vector are answered"
    assert health.conditions() == {"embedder": "away", "writes": "current"}
