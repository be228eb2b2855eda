"""The SDK against a running Omma: every method, and the errors that come back."""

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image

from omma import AsyncClient, Client
from omma.errors import Absent, InvalidPicture, InvalidQuery, ReplicaDown, UnsupportedMedia
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE = encoded(scene())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("sdk")
    settings = StandaloneSettings(data_dir=folder / "data", http_port=0, grpc_port=0)
    async with serving(settings) as (_, address):
        yield address.url


async def test_the_life_of_a_picture(url: str) -> None:
    async with AsyncClient(url) as client:
        assert (await client.health())["ok"] is True
        uploaded = await client.upload(
            PICTURE,
            external_id="mine",
            owner="ann",
            tags=["a", "b"],
            attributes={"price": 3},
            source_url="https://x.example/1",
        )
        again = await client.upload(
            PICTURE,
            external_id="mine",
            owner="ann",
            tags=["a", "b"],
            attributes={"price": 3},
            source_url="https://x.example/1",
        )
        assert (again.id, again.duplicate, uploaded.duplicate) == (uploaded.id, True, False)

        found = await client.search(
            PICTURE,
            k=5,
            filter={"attributes.price": {"gte": 3}},
            receipts=[uploaded.receipt],
            timeout_ms=20_000,
            explain=True,
        )
        [hit] = found
        assert (hit.id, hit.tags, hit.owner, hit.attributes) == (uploaded.id, ("a", "b"), "ann", {"price": 3})
        assert hit.score > 0.999
        assert hit.phash_distance == 0
        assert hit.source_url == "https://x.example/1"
        assert found.coverage.fraction == 1
        assert not found.degraded
        assert found.explain is not None
        assert [one.id for one in await client.search(image_id=uploaded.id)] == []
        assert [one.id for one in await client.search(PICTURE, bbox=(0.1, 0.1, 0.9, 0.9), bbox_unit="fraction")] == [
            hit.id
        ]

        row = await client.get(uploaded.id)
        assert (row.key, row.sha256, row.state, row.tags) == ("mine", uploaded.sha256, "indexed", ("a", "b"))
        assert (row.width, row.height) == (hit.width, hit.height)
        assert await client.content(uploaded.id) == PICTURE
        with Image.open(io.BytesIO(await client.thumbnail(uploaded.id))) as thumbnail:
            assert thumbnail.format == "WEBP"

        changed = await client.patch(uploaded.id, tags=["c"], owner="bob")
        seen = await client.search(PICTURE, filter={"owner": "bob"}, receipts=[changed], timeout_ms=20_000)
        assert [one.tags for one in seen] == [("c",)]
        await client.click(user_id="u", query_image_id=0, displayed_image_id=hit.id, rank=0, query_id=found.query_id)

        deleted = await client.delete(uploaded.id)
        assert len(await client.search(PICTURE, receipts=[deleted], timeout_ms=20_000)) == 0
        with pytest.raises(Absent):
            await client.get(uploaded.id)


async def test_errors_come_back_as_their_classes(url: str) -> None:
    async with AsyncClient(url) as client:
        with pytest.raises(InvalidQuery) as raised:
            await client.search(PICTURE, k=10**9)
        assert (raised.value.field, raised.value.limit) == ("k", 1000)
        with pytest.raises(InvalidQuery) as raised:
            await client.search(PICTURE, policy="absent")
        assert raised.value.field == "policy"
        with pytest.raises(Absent):
            await client.thumbnail(999)
        with pytest.raises(UnsupportedMedia):
            await client.upload(b"no picture")
        with pytest.raises(InvalidPicture):
            await client.upload(PICTURE[: len(PICTURE) // 2])


async def test_the_blocking_client_speaks_to_it_too(url: str) -> None:
    def blocking() -> tuple[int, list[int]]:
        with Client(url) as client:
            uploaded = client.upload(scene(), tags=["blocking"])
            found = client.search(scene(), receipts=[uploaded.receipt], timeout_ms=20_000)
            client.delete(uploaded.id)
            return uploaded.id, [hit.id for hit in found]

    image_id, found = await asyncio.to_thread(blocking)
    assert found == [image_id]


async def test_nobody_there_is_a_replica_that_is_down() -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(ReplicaDown):
            await client.health()
