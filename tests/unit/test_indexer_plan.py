"""What an event asks for, given the row."""

from omma.catalog.interface import Picture, PictureState
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.log.interface import LogRecord
from omma.records import IMAGES_TOPIC, EventKind, ImageEvent
from services.indexer.plan import decode, plan

ANN = Tenant("ann")


def row(image_id: int, version: int, state: PictureState = PictureState.PENDING) -> Picture:
    return Picture(ImageId(image_id), ANN, str(image_id), Version(version), Sha256("0" * 64), "", 1, state, 0)


def record(image_id: int, version: int, kind: EventKind = EventKind.UPSERT, partition: int = 0) -> LogRecord:
    event = ImageEvent(ImageId(image_id), Version(version), ANN, kind)
    return LogRecord(IMAGES_TOPIC, partition, 0, b"", event.encode(), 0)


def planned(records: list[LogRecord], *rows: Picture):
    events, unreadable = decode(records)
    return plan(events, {one.id: one for one in rows}, unreadable)


def test_an_event_older_than_its_row_is_dropped():
    made = planned([record(1, 1)], row(1, 2))
    assert made.living == () and made.deleted == ()


def test_the_row_decides_whether_a_picture_is_deleted():
    made = planned([record(1, 2, EventKind.UPSERT)], row(1, 2, PictureState.DELETED))
    assert [one.id for one in made.deleted] == [1] and made.living == ()


def test_a_delete_event_of_a_picture_that_came_back_deletes_nothing():
    made = planned([record(1, 2, EventKind.DELETE)], row(1, 3))
    assert made.deleted == () and made.living == ()


def test_an_event_that_was_sent_twice_is_handled_once():
    made = planned([record(1, 1), record(1, 1)], row(1, 1))
    assert len(made.living) == 1


def test_only_attribute_events_may_take_the_shards_own_vectors():
    made = planned([record(1, 1), record(2, 5, EventKind.ATTRIBUTES, 3)], row(1, 1), row(2, 5))
    assert made.unchanged_bytes == {2} and made.partitions == {1: 0, 2: 3}


def test_an_event_without_a_row_is_dropped():
    assert planned([record(9, 1)]).living == ()


def test_a_record_that_is_no_event_is_told_apart():
    broken = LogRecord(IMAGES_TOPIC, 0, 7, b"k", b"\xff\xff\xff", 0)
    made = planned([broken, record(1, 1)], row(1, 1))
    assert made.unreadable == (broken,) and len(made.living) == 1
