"""Named arrays in one file, read back without copying: what a segment's columns lie in."""

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from omma.errors import Corrupt

_MAGIC = b"OMMAARR1"
_ALIGN = 64


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the arrays to a new file, durably. Blocks on disk."""
    directory: dict[str, tuple[str, tuple[int, ...], int]] = {}
    offset = 0
    for name, array in arrays.items():
        directory[name] = (array.dtype.str, array.shape, offset)
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    header = json.dumps(directory).encode()
    header += b" " * (-(len(_MAGIC) + 8 + len(header)) % _ALIGN)
    with path.open("xb") as file:
        file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
            file.write(b"\0" * (-array.nbytes % _ALIGN))
        sync(file)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read-only views into the mapped file; the mapping lives as long as one of them. Raises Corrupt."""
    content = map_file(path)
    data = content.tobytes() if len(content) < 16 else content
    if bytes(data[:8]) != _MAGIC:
        raise Corrupt(f"{path.name} is no file of arrays.")
    start = 16 + int.from_bytes(bytes(data[8:16]), "little")
    views = {}
    for name, (dtype, shape, offset) in json.loads(bytes(data[16:start])).items():
        count = int(np.prod(shape))
        views[name] = (
            np.frombuffer(content, np.dtype(dtype), count, start + offset).reshape(shape)
            if count
            else (np.empty(shape, np.dtype(dtype)))
        )
    return views


def map_file(path: Path, *, random: bool = False) -> npt.NDArray[np.uint8]:
    """The file as read-only uint8[bytes]. random: tell the kernel not to read ahead (MADV_RANDOM)."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return np.empty(0, np.uint8)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if random:
        mapped.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapped, np.uint8)


def soon(array: npt.NDArray[Any], begin: int, end: int) -> None:
    """Tell the kernel that these bytes of a mapped file will be read: in large pieces then, page by page otherwise."""
    content = array.base
    if isinstance(content, memoryview):
        content = content.obj
    if isinstance(content, mmap.mmap) and end > begin:
        first = begin // mmap.PAGESIZE * mmap.PAGESIZE
        content.madvise(mmap.MADV_WILLNEED, first, end - first)


def sync(file: BinaryIO) -> None:
    """Flush the file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
