"""What every catalog keeps of copies: whose turn it is, pairs and groups, and that they go with a picture's bytes."""

from omma.catalog.copies import NO_GROUP, CopyPair, Membership
from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, Upserted
from omma.identity import ImageId
from tests.contract.catalogs import ANN, BOB, INDEX, SPACE, new, one

SIGNED = {name: bytes([2]) + name.encode() for name in ("lamp", "chair", "door", "other")}


async def signed(catalog: Catalog, *rows: tuple[Upserted, str], phash: int = 7) -> None:
    await catalog.register_space(SPACE)
    await catalog.register_index(INDEX)
    seen = [Embedded(row.id, row.version, 4, 3, phash, SIGNED[name]) for row, name in rows]
    await catalog.record_embedded(SPACE.id, seen)


async def looked_at(catalog: Catalog, **seen: ImageId) -> None:
    await catalog.begin_looking(ImageId(0), 10)
    await catalog.end_looking(ANN, {id: SIGNED[name] for name, id in seen.items()})


async def due(catalog: Catalog) -> list[ImageId]:
    return [id for id, _ in await catalog.begin_looking(ImageId(0), 10)]


async def test_a_picture_is_looked_at_once_and_again_when_it_is_another(catalog: Catalog) -> None:
    lamp, chair = await one(catalog, new("lamp")), await one(catalog, new("chair"))
    assert await due(catalog) == []
    await signed(catalog, (lamp, "lamp"), (chair, "chair"))
    assert await catalog.begin_looking(ImageId(0), 1) == [(lamp.id, ANN)]
    assert await catalog.begin_looking(lamp.id, 9) == [(chair.id, ANN)]
    assert await due(catalog) == [lamp.id, chair.id], "who began with them may have died"
    await catalog.end_looking(ANN, {lamp.id: SIGNED["lamp"], chair.id: SIGNED["door"]})
    assert await due(catalog) == [chair.id], "it has another signature than was looked at"
    await looked_at(catalog, chair=chair.id)
    await signed(catalog, (lamp, "lamp"), (chair, "chair"))
    assert await due(catalog) == []
    await signed(catalog, (lamp, "door"))
    assert await due(catalog) == [lamp.id]
    await catalog.judge_pairs(ANN, [(lamp.id, chair.id)], same=False, given_by="")
    await catalog.end_looking(ANN, {lamp.id: SIGNED["door"], chair.id: SIGNED["chair"]})
    assert await due(catalog) == [lamp.id, chair.id], "people spoke meanwhile"
    assert await catalog.with_phash(ANN, 7, 1) == [lamp.id]
    assert await catalog.with_phash(BOB, 7, 9) == await catalog.with_phash(ANN, 8, 9) == []


async def test_what_pairs_and_people_connect_is_told_from_each_of_it(catalog: Catalog) -> None:
    rows = {name: await one(catalog, new(name)) for name in SIGNED}
    await signed(catalog, *((row, name) for name, row in rows.items()))
    lamp, chair, door, other = (row.id for row in rows.values())
    seen = {row.id: SIGNED[name] for name, row in rows.items()}
    crop, turned = CopyPair(lamp, chair, "look:crop", 40), CopyPair(chair, door, "look:turned", 50)
    stale = CopyPair(door, other, "signature", 1)
    await catalog.keep_copy_pairs(ANN, {**seen, other: b"\x02of before"}, [turned, crop, stale])
    await catalog.keep_copy_pairs(ANN, seen, [crop])
    await catalog.judge_pairs(ANN, [(lamp, door)], same=True, given_by="")
    await catalog.judge_pairs(ANN, [(lamp, door)], same=False, given_by="")
    for asked in (lamp, chair, door):
        found = await catalog.connected(ANN, asked, 10)
        assert (found.ids, found.pairs, found.whole) == ((lamp, chair, door), (crop, turned), True)
        assert (found.together, found.apart, found.groups) == ((), ((lamp, door),), {})
    part = await catalog.connected(ANN, lamp, 2)
    assert (part.ids, part.pairs, part.whole) == ((lamp, chair), (crop,), False)
    assert (await catalog.connected(BOB, lamp, 10)).ids == (lamp,)
    await catalog.judge_pairs(ANN, [(other, door)], same=True, given_by="")
    assert (await catalog.connected(ANN, lamp, 10)).together == ((door, other),)


async def test_groups_are_followed_and_go_with_their_pictures(catalog: Catalog) -> None:
    rows = {name: await one(catalog, new(name)) for name in ("lamp", "chair", "door")}
    await signed(catalog, *((row, name) for name, row in rows.items()))
    lamp, chair, door = (row.id for row in rows.values())
    seen = {row.id: SIGNED[name] for name, row in rows.items()}
    pairs = [CopyPair(lamp, chair, "look:crop", 40), CopyPair(chair, door, "look:crop", 41)]
    await catalog.keep_copy_pairs(ANN, seen, pairs)
    await catalog.keep_memberships(ANN, [Membership(id, lamp, "look:crop", 40) for id in (door, lamp, chair)])
    await looked_at(catalog, lamp=lamp, chair=chair, door=door)
    first = await catalog.memberships(0, 10)
    assert [(one.image_id, one.group, one.rule, one.distance) for one in first] == [
        (id, lamp, "look:crop", 40) for id in (lamp, chair, door)
    ]
    assert await catalog.memberships(first[1].id, 10) == first[2:]
    await catalog.keep_memberships(ANN, [Membership(door, NO_GROUP, "", 0)])
    (changed,) = await catalog.memberships(first[-1].id, 10)
    assert (changed.image_id, changed.group) == (door, NO_GROUP)
    assert await catalog.in_groups_of(ANN, [door], 10) == {}
    assert await catalog.in_groups_of(ANN, [chair], 10) == {lamp: lamp, chair: lamp}
    assert await catalog.in_groups_of(BOB, [chair], 10) == {}

    await catalog.delete(ANN, [chair])
    assert await due(catalog) == [lamp, door]
    assert (await catalog.connected(ANN, lamp, 10)).ids == (lamp,)
    (told,) = await catalog.memberships(changed.id, 10)
    assert (told.image_id, told.group) == (chair, NO_GROUP), "who follows is told: it may be restored as another"
    await catalog.keep_memberships(ANN, [Membership(chair, lamp, "look:crop", 40)])
    assert chair not in await catalog.in_groups_of(ANN, [lamp], 10), "it went meanwhile"
    await signed(catalog, (rows["lamp"], "other"))
    (told,) = await catalog.memberships(told.id, 10)
    assert (told.image_id, told.group) == (lamp, NO_GROUP), "its bytes are others"
    await catalog.erase(ANN, [door])
    assert {one.group for one in await catalog.memberships(0, 10)} == {NO_GROUP}
