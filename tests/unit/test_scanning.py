"""clamd, asked over its own protocol before anything is kept."""

from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import original_key
from omma.blobs.originals import Originals, sha256_of
from omma.errors import InvalidPicture, ReplicaDown, TooLarge
from omma.scanning import Clamd, ClamdSettings
from tests.clamd import EICAR, clamd


@pytest.mark.parametrize("unix", [False, True])
async def test_what_is_clean_passes_and_what_is_found_has_its_name(tmp_path: Path, unix: bool) -> None:
    async with clamd(str(tmp_path / "clamd") if unix else "") as scanned:
        scanner = Clamd(ClamdSettings(address=scanned.address))
        content = bytes(range(256)) * 3_000  # several chunks
        await scanner.require_clean(content)
        await scanner.require_clean(b"")
        assert scanned.seen == [content, b""]
        with pytest.raises(InvalidPicture, match="Eicar-Test-Signature"):
            await scanner.require_clean(b"before" + EICAR)
        scanned.limit = 1_000
        with pytest.raises(TooLarge, match="StreamMaxLength"):
            await scanner.require_clean(content)


async def test_nobody_there_is_an_outage(tmp_path: Path) -> None:
    scanner = Clamd(ClamdSettings(address=f"unix:{tmp_path}/none"))
    with pytest.raises(ReplicaDown, match="cannot be reached"):
        await scanner.require_clean(b"x")


async def test_nothing_is_kept_of_what_is_found_or_cannot_be_looked_at(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    async with clamd() as scanned:
        originals = Originals(blobs, scanner=Clamd(ClamdSettings(address=scanned.address)))
        with pytest.raises(InvalidPicture):
            await originals.put(EICAR)
        sha256, uri = await originals.put(b"clean")
        assert await originals.read(uri, sha256, 100) == b"clean" and len(scanned.seen) == 2, "what is ours was seen"
        elsewhere = tmp_path / "bad.jpg"
        elsewhere.write_bytes(EICAR)
        with pytest.raises(InvalidPicture):
            await originals.read(elsewhere.as_uri(), sha256_of(EICAR), 100)
    with pytest.raises(ReplicaDown):
        await originals.put(b"later")
    for content in (EICAR, b"later"):
        assert await blobs.size(original_key(sha256_of(content))) is None
    await originals.close()
