"""Erasing a row: what it said is nowhere in the catalog, and no ingest brings its bytes back."""

import dataclasses
from collections.abc import Callable
from operator import ge, gt, le, lt

from omma.catalog.download import Download, Taken
from omma.catalog.inbox_object import SeenObject
from omma.catalog.interface import Catalog
from omma.catalog.logged_interaction import LoggedInteraction
from omma.catalog.picture import Change, PictureState
from omma.filters import parse_filter
from omma.identity import ImageId
from omma.records import EventKind, Interaction, InteractionType
from tests.clock import Clock
from tests.contract.catalogs import ANN, BOB, INDEX, SPACE, embedded, kind, new, one, sha


async def test_what_a_row_said_is_gone_and_its_id_is_not_given_again(catalog: Catalog) -> None:
    said = dataclasses.replace(new("secret-key"), owner="alice", tags=("x",), attributes={"a": 1})
    made, other = await one(catalog, said), await one(catalog, new("other"))
    await catalog.register_space(SPACE)
    await catalog.register_index(INDEX)
    await embedded(catalog, made, other)

    (gone,) = await catalog.erase(ANN, [made.id, ImageId(10**9)])
    assert kind(gone) is EventKind.DELETE and gone.version == made.version + 1
    row = (await catalog.pictures([made.id]))[made.id]
    assert (row.state, row.sha256, row.uri, row.owner, row.tags, row.attributes, row.phash) == (
        PictureState.DELETED,
        "",
        "",
        "",
        (),
        {},
        None,
    )
    assert row.key.startswith("erased:") and row.version == gone.version
    assert await catalog.erase(ANN, [made.id]) == []
    assert [one.image_id for one in await catalog.erasures(ANN, 10)] == [made.id]
    assert (await catalog.erasures(ANN, 10))[0].sha256 == said.sha256
    await catalog.end_erasures(ANN, [made.id])
    assert await catalog.erasures(ANN, 10) == []
    again = await one(catalog, new("secret-key"))
    assert again.change is Change.CREATED and again.id > other.id
    await catalog.scrub()


async def test_a_filter_takes_the_numbers_that_it_names_and_none_beside_them(catalog: Catalog) -> None:
    """Rows hold all of int64, float64 does not tell those from 2^53 on: a filter may name what lies below, no more."""
    last = 2**53 - 1
    stored = [number + beside for number in (-last, last, 1234567890123456789) for beside in (-2, -1, 0, 1, 2)]
    ids = {
        number: (await one(catalog, dataclasses.replace(new(f"{number}"), attributes={"a": number}))).id
        for number in stored
    }
    text = await one(catalog, dataclasses.replace(new("text"), attributes={"a": "1234567890123456789"}))
    tests: dict[str, Callable[[int, int], bool]] = {"gte": ge, "gt": gt, "lte": le, "lt": lt}
    for asked in (-last, 1 - last, last - 1, last):
        for name, keeps in tests.items():
            found = await catalog.find_erasable(ANN, parse_filter({"attributes.a": {name: asked}}) or (), 100)
            assert found == [ids[number] for number in stored if keeps(number, asked)], (name, asked)
        found = await catalog.find_erasable(ANN, parse_filter({"attributes.a": asked}) or (), 100)
        assert found == [ids[asked]]
    named = parse_filter({"attributes.a": "1234567890123456789"}) or ()
    assert await catalog.find_erasable(ANN, named, 100) == [text.id]


async def test_an_ingest_leaves_erased_bytes_out_and_who_asks_gets_them(catalog: Catalog) -> None:
    made = await one(catalog, new("a", "bytes"))
    await catalog.erase(ANN, [made.id])
    for key in ("a", "another key"):
        (left,) = await catalog.upsert(ANN, [new(key, "bytes")], revive=False)
        assert (left.change, left.id, left.event) == (Change.LEFT_DELETED, 0, None)
    (others,) = await catalog.upsert(BOB, [new("a", "bytes")], revive=False)
    assert others.change is Change.CREATED, "another tenant's are another's"
    left, changed = await catalog.upsert(ANN, [new("b", "bytes"), new("a", "other bytes")], revive=False)
    assert (left.change, changed.change) == (Change.LEFT_DELETED, Change.CREATED)
    (asked,) = await catalog.upsert(ANN, [new("c", "bytes")])
    assert asked.change is Change.CREATED and asked.id not in (0, made.id)
    (ingested,) = await catalog.upsert(ANN, [new("c2", "bytes")], revive=False)
    assert ingested.change is Change.CREATED, "asked for once, they are erased no more"


async def test_an_object_of_a_bucket_is_not_brought_back_and_not_noted(catalog: Catalog) -> None:
    picture = dataclasses.replace(new("s3://inbox/a%20b.png", "bytes"), uri="s3://inbox/a%20b.png")
    (made,) = await catalog.follow_objects(ANN, "inbox", [SeenObject("a b.png", "01", picture)])
    await catalog.erase(ANN, [made.id])
    assert await catalog.known_objects(ANN, "inbox", ["a b.png"]) == {}
    for sequencer in ("", "02"):
        (left,) = await catalog.follow_objects(ANN, "inbox", [SeenObject("a b.png", sequencer, picture)], revive=False)
        assert left.change is Change.LEFT_DELETED
        assert await catalog.known_objects(ANN, "inbox", ["a b.png"]) == {}
    (asked,) = await catalog.follow_objects(ANN, "inbox", [SeenObject("a b.png", "", picture)])
    assert asked.change is Change.CREATED


async def test_rows_are_found_by_filter_id_and_key_deleted_ones_too(catalog: Catalog) -> None:
    mine = dataclasses.replace(new("mine"), owner="alice")
    first, second = await one(catalog, mine), await one(catalog, new("second"))
    await catalog.delete(ANN, [first.id])
    owned = parse_filter('{"owner": "alice"}')
    assert owned is not None
    assert await catalog.find_erasable(ANN, owned, 10) == [first.id]
    assert await catalog.find_erasable(ANN, ["mine", "second", "third"], 10) == [first.id, second.id]
    assert await catalog.find_erasable(ANN, [second.id, first.id], 1) == [first.id]
    assert await catalog.find_erasable(BOB, owned, 10) == []
    await catalog.erase(ANN, [first.id])
    assert await catalog.find_erasable(ANN, [first.id], 10) == []


async def test_erased_bytes_have_no_grace_unless_another_row_needs_them(catalog: Catalog) -> None:
    alone, shared, other = [await one(catalog, new(key, content)) for key, content in ("ab", "cd", "ed")]
    await catalog.erase(ANN, [alone.id, shared.id])
    taken = await catalog.take_orphans(86_400, 10, 60)
    assert {each.sha256 for each in taken} == {sha("b"), sha("d")}
    assert (await catalog.needs([each.sha256 for each in taken], 86_400)).originals == {sha("d")}
    await catalog.end_orphans([each for each in taken if each.sha256 == sha("b")], [])
    assert await catalog.overdue([sha("b")], 86_400) == set()
    assert other.id


async def test_no_line_of_a_list_says_what_an_erased_picture_was(catalog: Catalog) -> None:
    erased, kept = await one(catalog, new(sha("bytes"), "bytes")), await one(catalog, new("kept"))

    def line(key: str, content: str) -> Download:
        return Download(key, key, "run", Taken.CREATED, sha256=sha(content))

    lines = [line("upload:1", "bytes"), line("https://x/the-same", "bytes"), line("upload:2", "kept")]
    failed = Download("upload:3", "upload:3", "run", "too_slow", "It did not come in time.")
    for tenant in (ANN, BOB):
        await catalog.record_downloads(tenant, [*lines, failed])
    await catalog.erase(ANN, [erased.id])
    keys = [each.key for each in (*lines, failed)]
    assert (await catalog.downloads(ANN, keys)).keys() == {"upload:2", "upload:3"}
    assert (await catalog.downloads(BOB, keys)).keys() == set(keys), "another tenant's are another's"
    assert kept.id


async def test_interactions_name_an_erased_picture_no_more(catalog: Catalog, clock: Clock) -> None:
    gone, kept = await one(catalog, new("gone")), await one(catalog, new("kept"))
    now = int(clock() * 1000)

    def shown(query: int, ids: tuple[int, ...], type: InteractionType, at: int) -> LoggedInteraction:
        seen = Interaction(ANN, "u", query, tuple(map(ImageId, ids)), 1, type, now + at, f"q{at}")
        return LoggedInteraction(0, at, seen)

    impression, click = InteractionType.IMPRESSION, InteractionType.CLICK
    await catalog.add_interactions(
        "log",
        [
            shown(0, (kept.id, gone.id), impression, 0),
            shown(0, (gone.id,), click, 1),
            shown(gone.id, (kept.id,), impression, 2),
            shown(0, (gone.id, kept.id), impression, 3),
            shown(0, (kept.id,), click, 4),
        ],
    )
    assert await catalog.forget_interactions(ANN, [gone.id]) == 4
    left = [each async for each in catalog.interactions(ANN, now, now + 100)]
    assert [(each.displayed, each.type) for each in left] == [
        ((kept.id, 0), impression),
        ((0, kept.id), impression),
        ((kept.id,), click),
    ]
    assert await catalog.forget_interactions(ANN, [gone.id]) == 0


async def test_it_is_told_whose_erasures_no_job_was_asked_for(catalog: Catalog, clock: Clock) -> None:
    first, second = await one(catalog, new("first")), await one(catalog, new("second"))
    await catalog.erase(ANN, [first.id])
    assert await catalog.unattended_erasures("erase") == [ANN]
    await catalog.add_job(BOB, "erase", "", {}, 9)
    await catalog.add_job(ANN, "verify", "", {}, 9)
    assert await catalog.unattended_erasures("erase") == [ANN], "another's job, and another kind of job"
    job = await catalog.add_job(ANN, "erase", "", {}, 9)
    assert await catalog.unattended_erasures("erase") == []
    await catalog.cancel_job(ANN, job.id)
    assert await catalog.unattended_erasures("erase") == [], "who cancels it wants it so"
    clock.seconds += 1
    await catalog.erase(ANN, [second.id])
    assert await catalog.unattended_erasures("erase") == [ANN]
    await catalog.end_erasures(ANN, [first.id, second.id])
    assert await catalog.unattended_erasures("erase") == []
