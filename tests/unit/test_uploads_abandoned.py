"""Uploads that nobody ingests go, and no other."""

from pathlib import Path

from omma.blobs.folder import FolderBlobs
from omma.identity import Tenant
from omma.uploads import new_upload, upload_key
from services.worker.lists.abandoned import drop_abandoned


async def test_an_upload_that_nobody_ingests_within_a_day_is_deleted(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    old, new = (upload_key(Tenant("ann"), new_upload(expiry)) for expiry in (1_000_000, 1_000_001))
    for key in (old, new, "uploads/else", "originals/aa/x"):
        await blobs.put(key, b"x")
    assert await drop_abandoned(blobs, 1_000_000 + 86_400.5) == 1
    assert [key async for key in blobs.keys("")] == ["originals/aa/x", *sorted([new, "uploads/else"])]
    await blobs.close()
