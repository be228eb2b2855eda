"""No interleaving of uploads, deletes, restores and collectors loses bytes that a row needs, on any catalog."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import SecretStr

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import Blobs, original_key
from omma.blobs.originals import Originals, sha256_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture, PictureState
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import Description, RowLimits
from omma.errors import Absent
from omma.identity import DEFAULT_TENANT
from omma.images import PictureLimits
from services.gateway.pictures.core import PictureCore
from services.worker.jobs.progress import Progress
from services.worker.truth.collector import Collector
from tests.clock import Clock
from tests.databases import empty
from tests.pictures import encoded

GRACE = 60.0


class Turns:
    """Lets one of several tasks take one step at a time: a call of the catalog or of the blobs."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Event] = {}
        self._moved = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[Any]] = {}

    def start(self, work: Callable[[int], Awaitable[None]]) -> None:
        number = len(self._tasks)
        self._tasks[number] = asyncio.create_task(self._run(number, work))

    def wrapped(self, real: Any, number: int) -> Any:
        return _Stepping(real, self, number)

    async def take(self, choices: Sequence[int]) -> None:
        """Steps as chosen, then everybody to the end in turn."""
        left = itertools.chain(choices, itertools.count())
        while True:
            alive = [number for number, task in self._tasks.items() if not task.done()]
            if not alive:
                break
            await self._until_all_wait(alive)
            ready = sorted(self._waiting)
            if not ready:
                continue
            chosen = ready[next(left) % len(ready)]
            self._waiting.pop(chosen).set()
            await self._until_all_wait(alive)
        for task in self._tasks.values():
            task.result()

    async def step(self, number: int) -> None:
        event = self._waiting[number] = asyncio.Event()
        self._moved.set()
        await event.wait()

    async def _until_all_wait(self, alive: Sequence[int]) -> None:
        while any(number not in self._waiting and not self._tasks[number].done() for number in alive):
            self._moved.clear()
            await self._moved.wait()

    async def _run(self, number: int, work: Callable[[int], Awaitable[None]]) -> None:
        try:
            await work(number)
        finally:
            self._moved.set()


class _Stepping:
    """Each call waits for its turn."""

    def __init__(self, real: Any, turns: Turns, number: int) -> None:
        self._real = real
        self._turns = turns
        self._number = number

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._real, name)

        async def stepped(*args: Any, **kwargs: Any) -> Any:
            await self._turns.step(self._number)
            return await call(*args, **kwargs)

        return stepped


class NoOutbox:
    """Nothing here reads events."""

    async def offer(self, changes: Sequence[Any]) -> None: ...


@dataclass
class World:
    """The bytes of one picture, which rows of several keys may need. name: what their keys begin with."""

    catalog: Catalog
    blobs: Blobs
    clock: Clock
    executor: ThreadPoolExecutor
    name: str
    turns: Turns = field(default_factory=Turns)

    @property
    def content(self) -> bytes:
        number = int(self.name)
        return encoded(Image.new("RGB", (16, 16), (number % 256, number // 256 % 256, 7)), "PNG")

    def core(self, number: int) -> PictureCore:
        """A gateway's, which takes a turn for each call."""
        catalog, blobs = self.turns.wrapped(self.catalog, number), self.turns.wrapped(self.blobs, number)
        outbox: Any = NoOutbox()
        originals = Originals(blobs)
        return PictureCore(
            catalog,
            blobs,
            originals,
            outbox,
            self.executor,
            picture_limits=PictureLimits(),
            row_limits=RowLimits(),
            deleted_grace_seconds=GRACE,
        )

    async def act(self, name: str, key: str, number: int) -> None:
        """key: for `pass`, seconds."""
        core = self.core(number)
        match name:
            case "upload":
                await core.upload(DEFAULT_TENANT, self.content, Description(external_id=self.name + key))
            case "collect":
                catalog, blobs = self.turns.wrapped(self.catalog, number), self.turns.wrapped(self.blobs, number)
                await Collector(catalog, blobs, GRACE, clock=lambda: 0.0).collect(Progress())
            case "pass":
                await self.turns.step(number)
                self.clock.seconds += float(key)
            case _:
                call = core.delete if name == "delete" else core.restore
                for row in await self.catalog.find_pictures(DEFAULT_TENANT, self.name + key):
                    with suppress(Absent):
                        await call(DEFAULT_TENANT, row.id)

    async def rows(self) -> list[Picture]:
        return [row for key in "ab" for row in await self.catalog.find_pictures(DEFAULT_TENANT, self.name + key)]

    async def kept(self) -> bool:
        return await self.blobs.size(original_key(sha256_of(self.content))) is not None


ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["upload", "delete", "restore"]), st.sampled_from("ab")),
    st.just(("collect", "")),
    st.tuples(st.just("pass"), st.sampled_from(["1", "59", "60"])),
)


async def play(
    new_world: Callable[[], World], before: Sequence[Any], together: Sequence[Any], choices: Sequence[int]
) -> None:
    """One action after the other, then those that cross; afterwards whatever a row needs is there."""
    world = new_world()
    for some, chosen in (*(([one], ()) for one in before), (together, choices)):
        world.turns = Turns()
        for action in some:
            world.turns.start(partial(world.act, *action))
        await world.turns.take(chosen)
        live = [row.key for row in await world.rows() if row.state is not PictureState.DELETED]
        assert not live or await world.kept(), live
    # And nothing stays for ever.
    for row in await world.rows():
        await world.catalog.delete(DEFAULT_TENANT, [row.id])
    for _ in range(2):
        world.clock.seconds += 2 * GRACE
        await Collector(world.catalog, world.blobs, GRACE).sweep(Progress())
        await Collector(world.catalog, world.blobs, GRACE).collect(Progress())
    assert not await world.kept()


@asynccontextmanager
async def worlds(catalog: Catalog, clock: Clock, folder: Path) -> AsyncIterator[Callable[[], World]]:
    numbers = itertools.count()
    blobs = FolderBlobs(folder / "blobs")
    with ThreadPoolExecutor(1) as executor:
        yield lambda: World(catalog, blobs, clock, executor, str(next(numbers)))
    await blobs.close()
    await catalog.close()


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Callable[[], World]]]:
    clock, url = Clock(), ""
    if request.param == "sqlite":
        opening = open_sqlite_catalog(tmp_path / "catalog.db", clock=clock)
    else:
        url = request.getfixturevalue("database")
        opening = open_postgres_catalog(PostgresSettings(url=SecretStr(url), connections=8), clock=clock)
    with asyncio.Runner() as runner:
        part = worlds(runner.run(opening), clock, tmp_path)
        yield runner, runner.run(part.__aenter__())
        runner.run(part.__aexit__(None, None, None))
        if url:
            runner.run(empty(url))


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    before=st.lists(ACTIONS, max_size=4),
    together=st.lists(ACTIONS, min_size=2, max_size=4),
    choices=st.lists(st.integers(0, 3), max_size=40),
)
def test_no_interleaving_loses_what_a_row_needs(
    opened: tuple[asyncio.Runner, Callable[[], World]], before: list[Any], together: list[Any], choices: list[int]
) -> None:
    runner, new_world = opened
    runner.run(play(new_world, before, together, choices))


@pytest.mark.parametrize("steps", range(8))
def test_an_upload_that_meets_a_collector_keeps_its_bytes(
    opened: tuple[asyncio.Runner, Callable[[], World]], steps: int
) -> None:
    """The upload has put its bytes, which an older row has left, and has no row yet."""
    runner, new_world = opened
    before = [("upload", "a"), ("delete", "a"), ("pass", "60")]
    put = [0]
    runner.run(play(new_world, before, [("upload", "b"), ("collect", "")], put + [1] * steps))
