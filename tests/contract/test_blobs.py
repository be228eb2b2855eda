"""What every blob store keeps. A backend joins by one more parameter of the fixture."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import Blobs, original_key
from omma.blobs.s3 import S3Blobs
from omma.errors import Absent, InvalidQuery, TooLarge
from tests.buckets import bucket_settings


@pytest.fixture(params=["folder", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "folder":
        blobs: Blobs = FolderBlobs(tmp_path / "blobs")
    else:
        blobs = await S3Blobs.open(bucket_settings(request.getfixturevalue("minio")))
    yield blobs
    await blobs.close()


async def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return [key async for key in blobs.keys(prefix)]


async def test_what_is_put_is_there_until_it_is_deleted(blobs: Blobs) -> None:
    key = original_key("ab" * 32)
    assert await blobs.size(key) is None
    with pytest.raises(Absent):
        await blobs.get(key)
    await blobs.put(key, b"one")
    assert await blobs.get(key) == b"one"
    assert await blobs.size(key) == 3
    await blobs.put(key, b"replaced")
    assert await blobs.get(key) == b"replaced"
    await blobs.delete(key)
    await blobs.delete(key)
    assert await blobs.size(key) is None
    await blobs.put(key, b"")
    assert await blobs.get(key) == b""


async def test_nothing_is_read_of_a_blob_that_is_larger_than_asked_for(blobs: Blobs) -> None:
    await blobs.put("a/b", b"12345")
    assert await blobs.get("a/b", max_bytes=5) == b"12345"
    with pytest.raises(TooLarge):
        await blobs.get("a/b", max_bytes=4)
    with pytest.raises(Absent):
        await blobs.get("a/c", max_bytes=4)


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
async def test_what_is_large_comes_in_pieces(blobs: Blobs, size: int) -> None:
    content = os.urandom(size)
    await blobs.put("a/b", content)
    pieces = [piece async for piece in blobs.pieces("a/b", size)]
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= 1 << 20
    await blobs.put("a/b", content + b"1")
    for key, error in (("a/b", TooLarge), ("a/c", Absent)):
        with pytest.raises(error):
            await anext(blobs.pieces(key, size))


async def test_files_in_and_out(blobs: Blobs, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 6_000_000)
    await blobs.put_file("snapshots/a", source)
    source.write_bytes(b"changed afterwards")
    await blobs.get_file("snapshots/a", target)
    assert target.read_bytes() == b"x" * 6_000_000
    with pytest.raises(Absent):
        await blobs.get_file("snapshots/b", tmp_path / "nothing")
    assert not target.with_name("nothing").exists()


async def test_keys_come_in_order_by_prefix(blobs: Blobs) -> None:
    given = ["a/c", "a.b", "a/b/c", "a/b.c", "b", "ab/x"]
    for key in given:
        await blobs.put(key, b"")
    assert await keys(blobs) == sorted(given)
    assert await keys(blobs, "a/") == ["a/b.c", "a/b/c", "a/c"]
    assert await keys(blobs, "a/b") == ["a/b.c", "a/b/c"]
    assert await keys(blobs, "c") == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".staging/x", "a b", "ä", "a" * 600]
)
async def test_a_key_that_is_none_is_refused(blobs: Blobs, key: str) -> None:
    with pytest.raises(InvalidQuery):
        await blobs.put(key, b"x")
    with pytest.raises(InvalidQuery):
        await blobs.get(key)


async def test_a_folder_is_no_blob(blobs: Blobs) -> None:
    await blobs.put("a/b", b"x")
    assert await blobs.size("a") is None
    with pytest.raises(Absent):
        await blobs.get("a")
    await blobs.delete("a")
    assert await blobs.get("a/b") == b"x"


async def test_a_reader_sees_one_whole_blob_or_the_other(blobs: Blobs) -> None:
    versions = [bytes([i]) * 200_000 for i in range(6)]
    await blobs.put("key", versions[0])

    async def read() -> bytes:
        return await blobs.get("key")

    found = await asyncio.gather(*[job for one in versions for job in (blobs.put("key", one), read(), read())])
    assert {content for content in found if content is not None} <= set(versions)
