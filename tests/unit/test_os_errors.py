"""Whose fault it is that a file cannot be read, by errno."""

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest

from omma.blobs.folder import FolderBlobs
from omma.blobs.originals import Originals
from omma.errors import STATUS, Absent, Kind, Overloaded, ReplicaDown, StorageFull
from omma.identity import Sha256
from omma.os_errors import file_error

OWN = {"ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "EINVAL", "EACCES", "EPERM", "ENXIO", "EOPNOTSUPP"}
OWN |= {"ENOTSUP"}  # on Linux another name of EOPNOTSUPP
FULL = {"ENOSPC", "EDQUOT"}
SHORT = {"EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"}


@pytest.mark.parametrize("name", sorted(errno.errorcode[number] for number in errno.errorcode))
def test_only_what_the_file_itself_is_counts_against_it(name: str):
    number = getattr(errno, name)
    found = file_error(OSError(number, os.strerror(number)), "a.jpg")
    tables = ((OWN, Absent), (FULL, StorageFull), (SHORT, Overloaded))
    expected = next((error for names, error in tables if name in names), ReplicaDown)
    assert type(found) is expected
    assert "a.jpg" in found.detail and "Errno" not in found.detail
    if name not in OWN | FULL:
        assert STATUS[found.kind].retry


@pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionResetError("gone"), OSError("of no number")])
def test_an_error_without_a_number_is_the_machines(error: OSError):
    assert file_error(error, "a.jpg").kind is Kind.REPLICA_DOWN


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
async def test_a_machine_that_cannot_read_says_nothing_of_the_picture(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"content")
    originals = Originals(FolderBlobs(tmp_path / "blobs"))
    sha256, ours = await originals.put(b"upload")

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fail)
            with pytest.raises(Overloaded if number == errno.EMFILE else ReplicaDown):
                await originals.read(file.as_uri(), Sha256(hashlib.sha256(b"content").hexdigest()), 100)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", fail)
            with pytest.raises(ReplicaDown):
                await originals.read(ours, sha256, 100)
    finally:
        await originals.close()


async def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.jpg"))
        (tmp_path / "folder.jpg").mkdir()
        originals = Originals(FolderBlobs(tmp_path / "blobs"))
        try:
            for name in ("pipe.jpg", "socket.jpg", "folder.jpg", "gone.jpg", "x" * 300 + ".jpg"):
                with pytest.raises(Absent):
                    await originals.read((tmp_path / name).as_uri(), Sha256("0" * 64), 100)
        finally:
            await originals.close()
