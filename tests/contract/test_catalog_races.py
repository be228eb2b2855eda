"""Writers of every catalog that meet."""

import asyncio
import random
from dataclasses import replace

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded
from omma.errors import WrongState
from omma.identity import Version
from omma.index import IndexId, IndexState
from tests.contract.catalogs import ANN, INDEX, SPACE, Backend, new


async def test_writers_of_one_key_lose_no_version(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(3)]
    keys = ["a", "b", "c"]

    async def write(catalog: Catalog, writer: int) -> None:
        for turn in range(5):
            order = random.Random(f"{writer}.{turn}").sample(keys, 3)
            await catalog.upsert(ANN, [new(key, f"{writer}.{turn}") for key in order])

    await asyncio.gather(*(write(catalog, writer) for writer, catalog in enumerate(catalogs * 2)))
    rows = (await catalogs[0].list_pictures(ANN, None, None, 10)).pictures
    assert sorted((row.key, row.version) for row in rows) == [(key, 30) for key in keys]


async def test_deletes_and_changes_cross_without_waiting_for_each_other(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(3)]
    made = await catalogs[0].upsert(ANN, [new(str(i)) for i in range(20)])
    ids = [answer.id for answer in made]
    work = [
        catalogs[0].upsert(ANN, [new(str(i), "other") for i in reversed(range(20))]),
        catalogs[1].delete(ANN, ids[::-1]),
        catalogs[2].mark_sent([answer.event for answer in reversed(made) if answer.event]),
        catalogs[1].record_embedded(SPACE.id, [Embedded(a.id, a.version, 1, 1, 1) for a in reversed(made)]),
        catalogs[0].overtake(dict.fromkeys(reversed(ids), Version(1))),
    ]
    await asyncio.gather(*work)
    versions = {picture.version for picture in (await catalogs[0].pictures(ids)).values()}
    assert versions <= {3, 4} and len(versions) == 1


async def test_of_two_that_make_an_index_live_one_is(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    await catalogs[0].register_space(SPACE)
    made = [replace(INDEX, id=IndexId(f"{SPACE.id}.{n}"), state=IndexState.LIVE) for n in range(6)]
    registering = (catalogs[n % 2].register_index(index) for n, index in enumerate(made))
    refused = [one for one in await asyncio.gather(*registering, return_exceptions=True) if one is not None]
    assert [type(one) for one in refused] == [WrongState] * 5
    assert [index.state for index in await catalogs[0].indexes()] == [IndexState.LIVE]


async def test_two_admins_who_revoke_each_others_key_leave_one(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    for turn in range(5):
        hashes = [f"{turn}{name}" for name in "ab"]
        for one in hashes:
            await catalogs[0].add_api_key(ApiKey(one, one, ANN, Role.ADMIN, turn))
        told = await asyncio.gather(
            *(one.revoke_api_key(key, leave_an_admin=True) for one, key in zip(catalogs, hashes, strict=True)),
            return_exceptions=True,
        )
        valid = [key.hash for key in await catalogs[0].api_keys() if not key.revoked]
        assert [type(one) for one in told].count(WrongState) == 1 and len(valid) == 1
        await catalogs[0].revoke_api_key(valid[0])
