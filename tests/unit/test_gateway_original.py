"""Originals that cannot be read: told by the picture's id, never by the place where they lie."""

from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals, sha256_of
from omma.errors import Absent, Corrupt, OmmaError, TooLarge
from services.gateway.pictures.original import read_original


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (None, "gone.jpg", Absent),
        (b"other bytes", "other.jpg", Corrupt),
        (b"a" * 200, "large.jpg", TooLarge),
        (b"mine", "?query", Absent),
    ],
)
async def test_no_place_is_told(tmp_path: Path, content: bytes | None, name: str, error: type[OmmaError]) -> None:
    originals = Originals(FolderBlobs(tmp_path / "blobs"))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    try:
        with pytest.raises(error) as failure:
            uri = f"file://{tmp_path}/{name}"
            await read_original(originals, 12, uri, sha256_of(b"mine"), max_bytes=100, field="image_id")
        assert failure.value.field == "image_id" and "picture 12" in failure.value.detail
        assert str(tmp_path) not in failure.value.detail and name not in failure.value.detail
        assert failure.value.__cause__ is not None
    finally:
        await originals.close()
