"""What every catalog keeps of pictures."""

import random
import string
from dataclasses import replace

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.picture import (
    MAX_TENANT_BYTES,
    Change,
    DeletedBy,
    NewPicture,
    Page,
    PictureChange,
    PictureState,
    Upserted,
)
from omma.description import MAX_KEY_BYTES
from omma.errors import Absent, InvalidQuery, NotAllowed
from omma.filters import parse_filter
from omma.identity import ImageId, Tenant, Version
from omma.records import EventKind
from omma.viewing import NOBODY, Viewer, visible
from tests.clock import Clock
from tests.contract.catalogs import ALSO_AFTER_A_ROLLOUT, ANN, BOB, SPACE, embedded, kind, new, one, sent, sha

pytestmark = ALSO_AFTER_A_ROLLOUT


async def test_a_new_picture_is_a_row_that_waits(catalog: Catalog, clock: Clock) -> None:
    given = replace(
        new("k"), owner="ann", tags=("a", "b"), source_url="https://example.org/x", attributes={"n": 1, "ä": True}
    )
    answer = await one(catalog, given)
    assert (answer.change, answer.version, kind(answer)) == (Change.CREATED, 1, EventKind.UPSERT)
    row = await catalog.picture(ANN, answer.id)
    assert (row.id, row.tenant, row.key, row.version, row.state) == (answer.id, ANN, "k", 1, PictureState.PENDING)
    assert (row.owner, row.tags, row.attributes) == (given.owner, given.tags, given.attributes)
    assert (row.source_url, row.sha256, row.uri, row.bytes) == (given.source_url, given.sha256, given.uri, 10)
    assert (row.created_at_ms, row.width, row.height, row.phash) == (int(clock.seconds * 1000), 0, 0, None)


async def test_the_same_again_changes_nothing(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    again = await one(catalog, new("k"))
    assert again == Upserted(first.id, Version(1), Change.SAME, None)


async def test_what_an_upsert_leaves_empty_stays_as_it_was(catalog: Catalog) -> None:
    known = replace(new("k"), owner="ann", tags=("a",), source_url="https://example.org/x", attributes={"n": 1})
    first = await one(catalog, known)
    assert (await one(catalog, new("k"))).change is Change.SAME
    await one(catalog, replace(new("k"), tags=("b",)))
    await one(catalog, new("k", "other bytes"))
    row = await catalog.picture(ANN, first.id)
    assert (row.version, row.owner, row.tags, row.attributes) == (3, "ann", ("b",), {"n": 1})
    assert row.source_url == known.source_url
    await catalog.change(ANN, first.id, PictureChange(tags=()))
    assert (await catalog.picture(ANN, first.id)).tags == ()


async def test_other_bytes_ask_for_an_embedding(catalog: Catalog) -> None:
    first = await one(catalog, new("k", "old"))
    await sent(catalog, first)
    await embedded(catalog, first)
    changed = await one(catalog, new("k", "new"))
    assert (changed.id, changed.version, changed.change) == (first.id, 2, Change.CHANGED)
    assert kind(changed) is EventKind.UPSERT
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.sha256) == (PictureState.PENDING, 0, sha("new"))


async def test_other_words_embed_nothing_again(catalog: Catalog) -> None:
    version = 1
    first = await one(catalog, new("k"))
    await sent(catalog, first)
    await embedded(catalog, first)
    given = new("k")
    for field, value in {
        "owner": "bob",
        "tags": ("t",),
        "attributes": {"a": 1},
        "source_url": "https://example.org",
        "uri": "file:///moved",
    }.items():
        given = replace(given, **{field: value})
        answer = await one(catalog, given)
        await sent(catalog, answer)
        version += 1
        assert (answer.version, answer.change, kind(answer)) == (version, Change.CHANGED, EventKind.ATTRIBUTES)
    assert (await one(catalog, replace(given, attributes={"a": True}))).change is Change.CHANGED
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.phash) == (PictureState.INDEXED, 640, 2**64 - 1)


async def test_a_new_mtime_moves_the_reference_only(catalog: Catalog) -> None:
    given = replace(new("k"), uri="file:///k", mtime_ns=1)
    first = await one(catalog, given)
    assert await one(catalog, replace(given, mtime_ns=2)) == Upserted(first.id, Version(1), Change.SAME, None)
    assert (await catalog.picture(ANN, first.id)).mtime_ns == 2


async def test_a_batch_answers_in_order_and_the_last_of_a_key_wins(catalog: Catalog) -> None:
    await catalog.upsert(ANN, [new("b")])
    answers = await catalog.upsert(ANN, [new("c"), new("a", "1"), new("b"), new("a", "2")])
    assert [answer.change for answer in answers] == [Change.CREATED, Change.CREATED, Change.SAME, Change.CREATED]
    assert answers[1].id == answers[3].id
    rows = await catalog.pictures([answer.id for answer in answers])
    assert [rows[answer.id].key for answer in answers] == ["c", "a", "b", "a"]
    assert rows[answers[1].id].sha256 == sha("2")
    assert await catalog.upsert(ANN, []) == []


async def test_a_deleted_picture_is_absent_but_keeps_its_version(catalog: Catalog) -> None:
    first = await one(catalog, replace(new("k"), tags=("secret",)))
    await embedded(catalog, first)
    missing = ImageId(first.id + 1)
    (gone,) = await catalog.delete(ANN, [first.id, missing, first.id])
    assert (gone.id, gone.version, kind(gone)) == (first.id, 2, EventKind.DELETE)
    assert await catalog.delete(ANN, [first.id]) == []
    with pytest.raises(Absent):
        await catalog.picture(ANN, first.id)
    with pytest.raises(Absent):
        await catalog.change(ANN, first.id, PictureChange(owner="x"))
    row = (await catalog.pictures([first.id]))[first.id]
    assert (row.state, row.version) == (PictureState.DELETED, 2)
    assert (await catalog.list_pictures(ANN, None, None, 10)).count == 0
    assert await catalog.embedded_with(SPACE.id, [sha("k")]) == {}


async def test_a_deleted_key_comes_back_as_the_same_picture(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    await embedded(catalog, first)
    await catalog.delete(ANN, [first.id])
    back = await one(catalog, new("k"))
    assert (back.id, back.version, back.change, kind(back)) == (first.id, 3, Change.CHANGED, EventKind.UPSERT)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.phash) == (PictureState.PENDING, 0, None)


async def test_change_replaces_only_what_is_given(catalog: Catalog) -> None:
    first = await one(catalog, replace(new("k"), owner="ann", tags=("a",), attributes={"x": 1}))
    await sent(catalog, first)
    answer = await catalog.change(ANN, first.id, PictureChange(tags=("b", "c")))
    assert (answer.version, answer.change, kind(answer)) == (2, Change.CHANGED, EventKind.ATTRIBUTES)
    row = await catalog.picture(ANN, first.id)
    assert (row.version, row.owner, row.tags, row.attributes) == (2, "ann", ("b", "c"), {"x": 1})
    same = await catalog.change(ANN, first.id, PictureChange(tags=("b", "c"), owner="ann"))
    assert same == Upserted(first.id, Version(2), Change.SAME, None)
    assert (await catalog.change(ANN, first.id, PictureChange(attributes={}, owner=""))).version == 3


async def test_tenants_never_meet(catalog: Catalog) -> None:
    hers = await one(catalog, new("k"), ANN)
    his = await one(catalog, new("k"), BOB)
    assert hers.id != his.id
    with pytest.raises(Absent):
        await catalog.picture(BOB, hers.id)
    with pytest.raises(Absent):
        await catalog.change(BOB, hers.id, PictureChange(owner="bob"))
    assert await catalog.delete(BOB, [hers.id]) == []
    assert [p.id for p in (await catalog.list_pictures(BOB, None, None, 10)).pictures] == [his.id]
    assert set(await catalog.pictures([hers.id, his.id])) == {hers.id, his.id}


@pytest.mark.parametrize("image_id", [0, -1, 2**63, 2**70])
async def test_an_id_that_none_has_is_absent(catalog: Catalog, image_id: int) -> None:
    with pytest.raises(Absent):
        await catalog.picture(ANN, ImageId(image_id))
    assert await catalog.delete(ANN, [ImageId(image_id)]) == []


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_hold_every_picture_once(catalog: Catalog, newest_first: bool) -> None:
    await catalog.upsert(ANN, [replace(new(f"{i:02}"), tags=("even",) if i % 2 == 0 else ()) for i in range(25)])
    pages: list[Page] = []
    cursor: str | None = None
    while not pages or cursor:
        pages.append(await catalog.list_pictures(ANN, None, cursor, 10, newest_first))
        cursor = pages[-1].cursor
    assert [len(page.pictures) for page in pages] == [10, 10, 5]
    assert {page.count for page in pages} == {25}
    ids = [picture.id for page in pages for picture in page.pictures]
    assert ids == sorted(set(ids), reverse=newest_first) and len(ids) == 25
    even = await catalog.list_pictures(ANN, parse_filter({"tags": "even"}), None, 13)
    assert (even.count, len(even.pictures), even.cursor) == (13, 13, None)


async def test_a_count_goes_only_so_far(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omma.catalog.lookups._COUNTED_AT_MOST", 3)
    await catalog.upsert(ANN, [new(str(i)) for i in range(3)])
    exact = await catalog.list_pictures(ANN, None, None, 10)
    await catalog.upsert(ANN, [new("more")])
    capped = await catalog.list_pictures(ANN, None, None, 10)
    assert [(page.count, page.capped, len(page.pictures)) for page in (exact, capped)] == [(3, False, 3), (3, True, 4)]


@pytest.mark.parametrize("cursor", ["", "x", "ä", "AAAA", "__________8", "-" * 11, "A" * 1000])
async def test_a_cursor_that_it_did_not_make_is_refused(catalog: Catalog, cursor: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        await catalog.list_pictures(ANN, None, cursor, 10)
    assert caught.value.field == "cursor"


async def test_referenced_files_under_a_prefix(catalog: Catalog) -> None:
    def file(key: str) -> NewPicture:
        return replace(new(key), uri=key, mtime_ns=5)

    keys = ["file:///a/1", "file:///a/%25/2", "file:///A/1", "file:///ab/1"]
    answers = await catalog.upsert(ANN, [*map(file, keys), new("file:///a/uploaded")])
    await catalog.upsert(BOB, [file("file:///a/1")])
    found = {row.key: row async for row in catalog.referenced_files(ANN, "file:///a/")}
    assert set(found) == {"file:///a/1", "file:///a/%25/2"}
    assert (found["file:///a/1"].id, found["file:///a/1"].mtime_ns) == (answers[0].id, 5)
    await catalog.delete(ANN, [answers[0].id])
    assert [row.key async for row in catalog.referenced_files(ANN, "file:///a/%")] == ["file:///a/%25/2"]
    assert [row.key async for row in catalog.referenced_files(ANN, "file:///a/1")] == []


async def test_a_dead_row_is_tried_again_by_an_upsert_of_the_same(catalog: Catalog) -> None:
    first = await one(catalog, replace(new("k"), tags=("a",)))
    await sent(catalog, first)
    await catalog.record_dead(first.id, first.version, "cut off")
    again = await one(catalog, new("k"))
    assert (again.id, again.version, again.change, kind(again)) == (first.id, 2, Change.CHANGED, EventKind.UPSERT)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.reason, row.tags) == (PictureState.PENDING, "", ("a",))


async def test_what_vanished_is_deleted_and_comes_back_with_what_was_said_of_it(catalog: Catalog) -> None:
    given = replace(new("k"), owner="ann", tags=("a",), source_url="https://example.org/x", attributes={"n": 1})
    first = await one(catalog, given)
    await embedded(catalog, first)
    (gone,) = await catalog.delete(ANN, [first.id, ImageId(999)], by=DeletedBy.ABSENCE)
    assert (gone.id, gone.version, kind(gone)) == (first.id, 2, EventKind.DELETE)
    for tenant in (ANN, BOB):
        assert await catalog.delete(tenant, [first.id], by=DeletedBy.ABSENCE) == []
    assert (await catalog.list_pictures(ANN, None, None, 9)).pictures == ()
    assert await catalog.embedded_with(SPACE.id, [given.sha256]) == {}
    back = await one(catalog, new("k"))
    row = await catalog.picture(ANN, first.id)
    assert (back.version, row.state, row.reason) == (3, PictureState.PENDING, "")
    assert (row.owner, row.tags, row.source_url, row.attributes) == ("ann", ("a",), given.source_url, {"n": 1})


async def test_dead_rows_under_a_prefix_are_counted_and_some_are_shown(catalog: Catalog) -> None:
    answers = await catalog.upsert(ANN, [new(f"file:///a/{number}") for number in range(3)])
    answers += await catalog.upsert(ANN, [new("file:///b/1")]) + await catalog.upsert(BOB, [new("file:///a/9")])
    for answer in (answers[0], *answers[2:]):
        await catalog.record_dead(answer.id, answer.version, f"reason {answer.id}")
    count, some = await catalog.dead_pictures(ANN, "file:///a/", 1)
    assert (count, [(picture.id, picture.reason) for picture in some]) == (
        2,
        [(answers[0].id, f"reason {answers[0].id}")],
    )
    assert await catalog.dead_pictures(BOB, "file:///b/", 9) == (0, [])


async def test_a_key_of_the_longest_kind_is_kept(catalog: Catalog) -> None:
    noise = "".join(random.Random(5).choices(string.ascii_letters + string.digits, k=MAX_KEY_BYTES + MAX_TENANT_BYTES))
    tenant, key = Tenant(noise[:MAX_TENANT_BYTES]), noise[MAX_TENANT_BYTES:]
    (made,) = await catalog.upsert(tenant, [new(key)])
    assert (await catalog.picture(tenant, made.id)).key == key


async def test_a_key_is_measured_in_bytes(catalog: Catalog) -> None:
    wide = random.Random(5).choices([chr(one) for one in range(0x20000, 0x2A6DF)], k=MAX_KEY_BYTES // 4 + 1)
    (made,) = await catalog.upsert(ANN, [new("".join(wide[1:]))])
    assert (await catalog.picture(ANN, made.id)).key == "".join(wide[1:])
    with pytest.raises(InvalidQuery) as refused:
        await catalog.upsert(ANN, [new("".join(wide))])
    assert refused.value.field == "external_id"


async def test_a_row_overtakes_what_was_seen_of_it(catalog: Catalog) -> None:
    live, gone = await catalog.upsert(ANN, [new("a"), new("b")])
    await catalog.delete(ANN, [gone.id])
    await embedded(catalog, live)
    await sent(catalog, live)
    answers = await catalog.overtake({live.id: Version(7), gone.id: Version(1), ImageId(99): Version(1)})
    assert [(a.id, a.version, kind(a)) for a in answers] == [
        (live.id, 8, EventKind.UPSERT),
        (gone.id, 3, EventKind.DELETE),
    ]
    assert {(e.image_id, e.version) for e in await catalog.unsent(9)} == {(live.id, 8), (gone.id, 3)}
    assert (await catalog.picture(ANN, live.id)).state is PictureState.PENDING


@pytest.mark.parametrize(
    ("filter", "kept"),
    [
        (True, ["true"]),
        (1, ["1", "1.0"]),
        ("1", ["text"]),
        ({"in": [True, 1, "1"]}, ["true", "1", "1.0", "text"]),
        ({"gte": 1}, ["1", "1.0", "2^53", "2^53+1"]),
        ({"lt": 1e308}, ["1", "1.0", "2^53", "2^53+1"]),
    ],
)
async def test_a_value_is_compared_by_its_json_type(catalog: Catalog, filter: object, kept: list[str]) -> None:
    """Numbers as float64, as shards compare them."""
    values = {"true": True, "1": 1, "1.0": 1.0, "text": "1", "2^53": 2**53, "2^53+1": 2**53 + 1}
    for key, value in values.items():
        await one(catalog, replace(new(key), attributes={"a": value}))
    page = await catalog.list_pictures(ANN, parse_filter({"attributes.a": filter}), None, 100)
    assert sorted(row.key for row in page.pictures) == sorted(kept)


async def test_what_is_private_is_its_owners(catalog: Catalog) -> None:
    private = replace(new("k"), owner="ann", private=True)
    made = await one(catalog, private)
    public = await one(catalog, replace(new("other", "other bytes"), owner="ann"))
    assert (await one(catalog, new("k"))).change is Change.SAME  # what is not said stays
    assert (await catalog.picture(ANN, made.id)).private and not (await catalog.picture(ANN, public.id)).private
    for name, ids in (
        (None, {made.id, public.id}),
        ("ann", {made.id, public.id}),
        ("bob", {public.id}),
        ("", {public.id}),
    ):
        page = await catalog.list_pictures(ANN, visible(None, name), None, 10)
        assert ({row.id for row in page.pictures}, page.count) == (ids, len(ids))
        known = await catalog.with_bytes(ANN, [private.sha256], visible(None, name))
        assert known == ({private.sha256: made.id} if made.id in ids else {})
    for viewer in (Viewer("bob"), NOBODY):
        with pytest.raises(NotAllowed):
            await catalog.upsert(ANN, [new("new"), new("k", "others")], viewer=viewer)
    assert (await catalog.list_pictures(ANN, None, None, 10)).count == 2, "nothing of a refused call is written"
    (mine,) = await catalog.upsert(ANN, [replace(new("k"), tags=("a",))], viewer=Viewer("ann"))
    assert (mine.id, mine.change) == (made.id, Change.CHANGED)
    shown = await catalog.change(ANN, made.id, PictureChange(private=False))
    assert shown.event is not None and not (await catalog.picture(ANN, made.id)).private
    (taken,) = await catalog.upsert(ANN, [new("k", "others")], viewer=Viewer("bob"))
    assert taken.change is Change.CHANGED
