"""What an event asks for, given the row."""

from omma.catalog.picture import Picture, PictureState
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.log.interface import LogRecord
from omma.records import IMAGES_TOPIC, EventKind, ImageEvent
from omma.space import Space, SpaceId
from services.indexer.plan import plan
from services.indexer.taken import Taken

ANN = Tenant("ann")
SPACE = Space(SpaceId("m-1"), "m@1", "", 8)
OWN = Space(SpaceId("products"), "", "", 8)


def row(image_id: int, version: int, state: PictureState = PictureState.PENDING, space: str = "") -> Picture:
    key, sha256 = str(image_id), Sha256("0" * 64)
    return Picture(ImageId(image_id), ANN, key, Version(version), sha256, "", 1, state, 0, space=space)


def record(image_id: int, version: int, kind: EventKind = EventKind.UPSERT, partition: int = 0) -> LogRecord:
    event = ImageEvent(ImageId(image_id), Version(version), ANN, kind)
    return LogRecord(IMAGES_TOPIC, partition, 0, b"", event.encode(), 0)


def planned(records: list[LogRecord], *rows: Picture, space: Space = SPACE):
    """The claim is whoever's: a plan does not look at it."""
    return plan([Taken.of(one, None) for one in records], {one.id: one for one in rows}, space)  # type: ignore[arg-type]


def deleted(made) -> list[int]:
    return [one.row.id for one in made.settled if one.row is not None]


def test_an_event_older_than_its_row_stands_for_the_row():
    """It may be the last one in the log: the newer one came before it, and was compacted away."""
    assert [one.row.version for one in planned([record(1, 1)], row(1, 2)).living] == [2]
    assert deleted(planned([record(1, 1)], row(1, 2, PictureState.DELETED))) == [1]


def test_the_row_decides_whether_a_picture_is_deleted():
    made = planned([record(1, 2, EventKind.UPSERT)], row(1, 2, PictureState.DELETED))
    assert deleted(made) == [1] and made.living == ()


def test_a_delete_event_of_a_picture_that_came_back_deletes_nothing():
    made = planned([record(1, 2, EventKind.DELETE)], row(1, 3))
    assert not deleted(made) and [one.row.version for one in made.living] == [3]


def test_an_event_that_was_overtaken_is_only_an_offset():
    taken = Taken.of(record(1, 1), None)
    taken.overtaken = True
    made = plan([taken], {ImageId(1): row(1, 1)}, SPACE)
    assert made.living == () and [one.row for one in made.settled] == [None]


def test_only_attribute_events_may_take_the_shards_own_vectors():
    made = planned([record(1, 1), record(2, 5, EventKind.ATTRIBUTES, 3)], row(1, 1), row(2, 5))
    assert [one.row.id for one in made.living if one.unchanged_bytes] == [2]


def test_an_event_without_a_row_is_dropped():
    assert planned([record(9, 1)]).living == ()


def test_a_record_that_is_no_event_is_told_apart():
    broken = LogRecord(IMAGES_TOPIC, 0, 7, b"k", b"\xff\xff\xff", 0)
    made = planned([broken, record(1, 1)], row(1, 1))
    assert [one.taken.event for one in made.settled] == [None] and len(made.living) == 1


def test_a_given_vector_belongs_to_its_space_alone_and_a_picture_to_those_of_models():
    rows = (row(1, 1), row(2, 1, space="products"), row(3, 1, space=SPACE.id), row(4, 1, space="other"))
    records = [record(one.id, 1) for one in rows]
    assert [one.row.id for one in planned(records, *rows).living] == [1, 3]
    assert [one.row.id for one in planned(records, *rows, space=OWN).living] == [2]
    assert not deleted(planned(records, *rows))


def test_what_may_have_belonged_here_once_goes():
    """A picture that took the place of a vector, and the other way round once it was deleted."""
    assert deleted(planned([record(1, 2, EventKind.ATTRIBUTES)], row(1, 2), space=OWN)) == [1]
    assert deleted(planned([record(1, 2)], row(1, 2, space="products"))) == [1]
    assert deleted(planned([record(1, 2)], row(1, 2, PictureState.DELETED, "products"))) == [1]
