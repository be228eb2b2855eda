"""Blobs in a folder: the disk's failures, and originals wherever they lie."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import original_key
from omma.blobs.originals import Originals, path_of, sha256_of, uri_of
from omma.errors import Absent, Corrupt, InvalidQuery, StorageFull, TooLarge

PICTURE = b"not really a picture"
SHA256 = sha256_of(PICTURE)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FolderBlobs]:
    blobs = FolderBlobs(tmp_path / "blobs")
    yield blobs
    await blobs.close()


@pytest.fixture
async def originals(blobs: FolderBlobs) -> AsyncIterator[Originals]:
    originals = Originals(blobs)
    yield originals
    await originals.close()


def files_under(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


async def test_a_full_disk_leaves_the_old_blob_and_no_rest(
    blobs: FolderBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await blobs.put("a/b", b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            await blobs.put("a/b", b"new")
    assert await blobs.get("a/b") == b"old"
    assert files_under(tmp_path) == ["blobs/a/b"]


async def test_what_a_crash_left_is_no_blob_and_goes(blobs: FolderBlobs, tmp_path: Path) -> None:
    await blobs.put("a", b"x")
    rest = tmp_path / "blobs" / ".staging" / "half"
    rest.write_bytes(b"half")
    assert [key async for key in blobs.keys("")] == ["a"]
    opened = await FolderBlobs.open(tmp_path / "blobs")
    assert not rest.exists() and await opened.get("a") == b"x"
    await opened.close()


async def test_an_upload_is_kept_once_under_its_sha256(originals: Originals, blobs: FolderBlobs) -> None:
    assert await originals.put(PICTURE) == (SHA256, uri_of(SHA256))
    assert await originals.put(PICTURE) == (SHA256, uri_of(SHA256))
    assert [key async for key in blobs.keys("")] == [original_key(SHA256)]
    assert await originals.read(uri_of(SHA256), SHA256, 1000) == PICTURE


async def test_a_damaged_upload_is_corrupt_and_mended_by_the_next(originals: Originals, blobs: FolderBlobs) -> None:
    await originals.put(PICTURE)
    await blobs.put(original_key(SHA256), PICTURE[:-1])
    with pytest.raises(Corrupt):
        await originals.read(uri_of(SHA256), SHA256, 1000)
    await originals.put(PICTURE)
    assert await originals.read(uri_of(SHA256), SHA256, 1000) == PICTURE


async def test_a_referenced_file_is_read_in_place(originals: Originals, tmp_path: Path) -> None:
    path = tmp_path / "ä b#c?%41.jpg"
    path.write_bytes(PICTURE)
    assert path_of(path.as_uri()) == path
    assert await originals.read(path.as_uri(), SHA256, len(PICTURE)) == PICTURE
    with pytest.raises(TooLarge):
        await originals.read(path.as_uri(), SHA256, len(PICTURE) - 1)
    path.write_bytes(b"other")
    with pytest.raises(Corrupt):
        await originals.read(path.as_uri(), SHA256, 1000)
    path.unlink()
    for gone in (path, tmp_path, path / "below"):
        with pytest.raises(Absent):
            await originals.read(gone.as_uri(), SHA256, 1000)


async def test_a_name_that_is_not_utf_8_is_a_file_too(originals: Originals, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(PICTURE)
    assert await originals.read(path.as_uri(), SHA256, 1000) == PICTURE


async def test_an_upload_over_the_limit_is_too_large(originals: Originals) -> None:
    await originals.put(PICTURE)
    with pytest.raises(TooLarge):
        await originals.read(uri_of(SHA256), SHA256, len(PICTURE) - 1)


@pytest.mark.parametrize(
    "uri", ["", "x", "https://example.org/x", "file://example.org/x", "file:///x?y", "omma:other", "s3://a/b"]
)
async def test_other_places_are_refused(originals: Originals, uri: str) -> None:
    with pytest.raises(InvalidQuery):
        await originals.read(uri, SHA256, 1000)


async def joined(originals: Originals, uri: str, content: bytes) -> bytes:
    return b"".join([piece async for piece in originals.pieces(uri, sha256_of(content), len(content))])


@pytest.mark.parametrize("size", [1, 1 << 20, 3_000_000])
async def test_an_original_goes_out_in_pieces_wherever_it_lies(originals: Originals, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    _, uri = await originals.put(content)
    path = tmp_path / "picture"
    path.write_bytes(content)
    assert await joined(originals, uri, content) == await joined(originals, path.as_uri(), content) == content
    pieces = [len(piece) async for piece in originals.pieces(uri, sha256_of(content), size)]
    assert max(pieces) <= 1 << 20


@pytest.mark.parametrize("change", [b"", b"other", b"longer than it was"])
async def test_an_original_that_changed_never_goes_out_whole(
    originals: Originals, tmp_path: Path, change: bytes
) -> None:
    content = os.urandom(3_000_000)
    path = tmp_path / "picture"
    path.write_bytes(content[: len(content) - 5] + change)
    came = 0
    with pytest.raises(Corrupt):
        async for piece in originals.pieces(path.as_uri(), sha256_of(content), len(content)):
            came += len(piece)
    assert came < len(content) - 5
    path.unlink()
    with pytest.raises(Absent):
        await anext(originals.pieces(path.as_uri(), sha256_of(content), len(content)))
