"""What may be committed while records are handled out of order, and whose turn it is."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from omma.identity import ImageId, Tenant, Version
from omma.log.interface import LogRecord
from omma.records import IMAGES_TOPIC, EventKind, ImageEvent
from services.indexer.offsets import Offsets
from services.indexer.taken import Taken
from services.indexer.waiting import Source, Waiting
from tests.clock import Clock

ANN, BOB = Tenant("ann"), Tenant("bob")
FOLDER, UPLOADS = Source(ANN, "file://"), Source(BOB, "uploads")


@given(st.sets(st.integers(0, 200), min_size=1), st.randoms(use_true_random=False))
def test_what_is_committed_never_passes_a_record_that_is_open(taken: set[int], random):
    offsets = Offsets()
    assert offsets.next_offset() is None
    rising = sorted(taken)
    for offset in rising:
        offsets.take(offset)
    left = set(taken)
    order = list(taken)
    random.shuffle(order)
    for offset in order:
        offsets.handle(offset)
        offsets.handle(offset)
        left.discard(offset)
        assert offsets.next_offset() == (min(left) if left else rising[-1] + 1)


def taken(image_id: int, version: int = 1) -> Taken:
    event = ImageEvent(ImageId(image_id), Version(version), ANN, EventKind.UPSERT)
    record = LogRecord(IMAGES_TOPIC, 0, image_id, b"", event.encode(), 0)
    return Taken(record, None, event)  # type: ignore[arg-type]


def filled(source: Source, ids: range, waiting: Waiting) -> None:
    for number in ids:
        one = taken(number)
        waiting.know(one, ImageId(number))
        waiting.put(source, one)


async def test_an_upload_never_waits_behind_a_folder():
    waiting = Waiting(0.1)
    filled(FOLDER, range(1, 1000), waiting)
    filled(UPLOADS, range(1000, 1003), waiting)
    turn = await waiting.turn(8)
    assert [source for source, _ in turn[:6]] == [FOLDER, UPLOADS] * 3
    ids = [one.event.image_id for source, one in turn if source == FOLDER and one.event]
    assert ids == [1, 2, 3, 4, 5], "each source in its own order, and no place of a batch is left empty"


async def test_one_source_after_another_gets_the_first_turn():
    waiting = Waiting(0.1)
    filled(FOLDER, range(1, 50), waiting)
    filled(UPLOADS, range(50, 99), waiting)
    turns = [await waiting.turn(1) for _ in range(6)]
    assert [source for ((source, _),) in turns] == [FOLDER, UPLOADS] * 3


async def test_what_is_held_waits_and_nothing_else_does():
    clock = Clock(0.0)
    waiting = Waiting(0.1, clock)
    filled(FOLDER, range(1, 5), waiting)
    filled(UPLOADS, range(5, 7), waiting)
    waiting.hold("file://", 60)
    assert [source for source, _ in await waiting.turn(9)] == [UPLOADS] * 2
    clock.seconds = 61
    assert [source for source, _ in await waiting.turn(9)] == [FOLDER] * 4 and not waiting.is_held("file://")


async def test_a_failed_picture_gets_its_next_turn_later_each_time():
    clock = Clock(0.0)
    waiting = Waiting(1.0, clock)
    filled(UPLOADS, range(1, 2), waiting)
    waits = []
    for _ in range(6):
        ((source, one),) = await waiting.turn(9)
        waiting.put_back(source, one)
        before = clock.seconds
        turn = asyncio.ensure_future(waiting.turn(9))
        await asyncio.sleep(0)
        assert not turn.done()
        turn.cancel()
        while not waiting._queues:
            clock.seconds += 0.5
            waiting._let_in()
        waits.append(clock.seconds - before)
    assert waits == [1, 2, 4, 8, 10, 10] and one.failing_since == 0.0


async def test_a_picture_that_changes_over_and_over_leaves_nothing_behind():
    waiting = Waiting(0.1)
    for version in range(1, 20_000):
        one = taken(1, version)
        older = waiting.know(one, ImageId(1))
        assert (older is None) == (version == 1) and (older is None or older.overtaken)
        waiting.put(UPLOADS, one)
    assert len(waiting) == 1 and sum(map(len, waiting._queues.values())) < 2_000
    assert [one.event.version for _, one in await waiting.turn(100) if one.event] == [19_999]
