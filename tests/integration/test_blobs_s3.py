"""Blobs on a real MinIO: killed in the midst of an upload, paused, damaged on its disk; presigned urls; prefixes."""

import asyncio
import filecmp
import hashlib
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from deploy import parts
from omma.blobs.s3 import S3Blobs
from omma.blobs.s3_settings import S3Settings
from omma.errors import Absent, Corrupt, InvalidQuery, ReplicaDown, WrongState
from tests.buckets import bucket_settings

QUICK = {"connect_timeout_seconds": 2.0, "read_timeout_seconds": 2.0, "tries": 2}
MB = 1 << 20


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Pseudo-random bytes that go up in parts."""
    path = tmp_path / "big"
    path.write_bytes(hashlib.shake_256(b"omma").digest(48 * MB))
    return path


async def test_a_server_killed_in_the_midst_of_an_upload_has_all_of_it_or_nothing(
    minio: parts.Minio, big: Path, tmp_path: Path
) -> None:
    blobs = await S3Blobs.open(bucket_settings(minio, **QUICK))
    await blobs.put("before", b"kept")
    upload = asyncio.create_task(blobs.put_file("big", big))
    await asyncio.to_thread(_until_parts_are_there, minio)
    await asyncio.to_thread(minio.server.kill)
    try:
        with pytest.raises(ReplicaDown):
            await upload
        for call in (blobs.get("before"), blobs.put("x", b"x"), blobs.size("before"), blobs.delete("before")):
            with pytest.raises(ReplicaDown):
                await call
        with pytest.raises(ReplicaDown):
            await blobs.get_file("before", tmp_path / "out")
        assert _names(tmp_path) == ["big"]
    finally:
        await asyncio.to_thread(minio.server.restart)
    assert [key async for key in blobs.keys("")] == ["before"]
    assert await blobs.size("big") is None
    await blobs.put_file("big", big)
    await blobs.get_file("big", tmp_path / "out")
    assert filecmp.cmp(tmp_path / "out", big, shallow=False)
    await blobs.close()


async def test_a_server_that_hangs_is_given_up(minio: parts.Minio) -> None:
    blobs = await S3Blobs.open(bucket_settings(minio, **QUICK))
    await blobs.put("a", b"x")
    await asyncio.to_thread(minio.server.pause)
    try:
        async with asyncio.timeout(20):
            with pytest.raises(ReplicaDown):
                await blobs.get("a")
    finally:
        await asyncio.to_thread(minio.server.resume)
    assert await blobs.get("a") == b"x"
    await blobs.close()


async def test_bytes_that_change_on_the_disk_are_not_given_out(minio: parts.Minio, tmp_path: Path, big: Path) -> None:
    settings = bucket_settings(minio, **QUICK)
    blobs = await S3Blobs.open(settings)
    await blobs.put_file("big", big)
    stored = minio.server.folder / "data" / settings.bucket / "omma" / "big"
    part = sorted(stored.glob("*/part.1"))[0]
    content = bytearray(part.read_bytes())
    content[100_000] ^= 0xFF
    part.write_bytes(content)
    with pytest.raises((Corrupt, ReplicaDown)):
        await blobs.get("big")
    with pytest.raises((Corrupt, ReplicaDown)):
        await blobs.get_file("big", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    await blobs.close()


async def test_two_prefixes_of_one_bucket_never_meet(minio: parts.Minio) -> None:
    settings = bucket_settings(minio)
    ours = await S3Blobs.open(settings)
    theirs = await S3Blobs.open(settings.model_copy(update={"prefix": "omma2"}))
    await ours.put("a", b"ours")
    await theirs.put("a", b"theirs")
    await theirs.delete("b")
    assert await ours.get("a") == b"ours"
    assert [key async for key in ours.keys("")] == ["a"]
    await ours.close()
    await theirs.close()


async def test_more_keys_than_a_page_come_in_order(minio: parts.Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omma.blobs.s3._LISTED_AT_ONCE", 10)
    blobs = await S3Blobs.open(bucket_settings(minio))
    given = sorted(f"a/{hashlib.sha256(str(i).encode()).hexdigest()}" for i in range(35))
    await asyncio.gather(*(blobs.put(key, b"") for key in given))
    assert [key async for key in blobs.keys("a/")] == given
    await blobs.close()


async def test_whoever_has_a_presigned_url_gets_that_blob(minio: parts.Minio) -> None:
    blobs = await S3Blobs.open(bucket_settings(minio))
    await blobs.put("a", b"content")
    async with httpx.AsyncClient() as client:
        url = await blobs.presigned_get("a", "image/png")
        answer = await client.get(url)
        assert (answer.content, answer.headers["content-type"]) == (b"content", "image/png")
        assert (await client.get(url.replace("/omma/a", "/omma/b"))).status_code == 403
        assert (await client.get(url.partition("?")[0])).status_code == 403
    await blobs.close()


async def test_a_presigned_upload_takes_what_was_agreed_and_nothing_else(minio: parts.Minio) -> None:
    blobs = await S3Blobs.open(bucket_settings(minio))
    agreed = await blobs.presigned_put("up", bytes=4, content_type="image/png")
    async with httpx.AsyncClient() as client:
        for headers, content in (
            ({"Content-Type": "image/png"}, b"longer"),
            ({"Content-Type": "text/html"}, b"page"),
        ):
            assert (await client.put(agreed.url, content=content, headers=headers)).status_code == 403
        assert await blobs.size("up") is None
        assert (await client.put(agreed.url, content=b"four", headers=agreed.headers)).status_code == 200
    assert await blobs.get("up") == b"four"
    with pytest.raises(InvalidQuery):
        await blobs.presigned_put("up", bytes=0, content_type="image/png")
    with pytest.raises(InvalidQuery):
        await blobs.presigned_put("../up", bytes=4, content_type="image/png")
    await blobs.close()


async def test_a_bucket_that_cannot_be_used_is_said_so_at_the_start(minio: parts.Minio) -> None:
    with pytest.raises(WrongState, match="no bucket"):
        await S3Blobs.open(bucket_settings(minio, create_bucket=False))
    with pytest.raises(WrongState, match="cannot be used"):
        await S3Blobs.open(bucket_settings(minio, secret_key="wrong"))
    with pytest.raises(ReplicaDown):
        await S3Blobs.open(bucket_settings(minio, endpoint="http://127.0.0.1:1", **QUICK))


async def test_processes_that_start_at_once_share_one_bucket(minio: parts.Minio) -> None:
    settings = bucket_settings(minio)
    for blobs in await asyncio.gather(*(S3Blobs.open(settings) for _ in range(4))):
        with pytest.raises(Absent):
            await blobs.get("a")
        await blobs.close()


@pytest.mark.parametrize("inbox", ["pictures", "pictures/", "pictures/om", "pictures/omma", "pictures/omma/in"])
def test_an_inbox_that_would_hold_what_omma_writes_is_refused(inbox: str) -> None:
    with pytest.raises(ValidationError, match="inbox"):
        S3Settings(bucket="pictures", inbox=inbox)
    assert S3Settings(bucket="pictures", inbox="pictures/inbox/").inbox
    assert S3Settings(bucket="pictures", inbox="elsewhere").inbox


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _until_parts_are_there(minio: parts.Minio) -> None:
    """The first part of an upload lies on the server's disk, and the object does not yet."""
    uploads = minio.server.folder / "data" / ".minio.sys" / "multipart"
    while not any(uploads.rglob("part.*")):
        pass
