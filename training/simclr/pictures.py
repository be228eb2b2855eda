"""Photographs of a folder, decoded once: uint8 rows on disk that every epoch and every rank maps into memory."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.cores import cores
from omma.errors import Absent, InvalidQuery, OmmaError
from omma.evaluation import held_out
from omma.images import PictureFile, PictureLimits
from services.egs.manifest import Preprocessing
from services.egs.preprocess import rows

UInt8 = npt.NDArray[np.uint8]

_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
_LEAST_SIDE_FACTOR: Final = 2
_WAITING: Final = 64


@dataclass(frozen=True, slots=True)
class Folder:
    """Names, with /, below root: those to train on and those held out by file name (omma.evaluation.held_out)."""

    root: Path
    train: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """pixels: uint8[n, side, side, 3], a mapped file. names: of the rows. skipped: name to why it cannot be read."""

    pixels: UInt8
    names: tuple[str, ...]
    skipped: dict[str, str]


def find(root: Path, held_out_share: float) -> Folder:
    """Every picture below root by its suffix; hidden ones are left out. Blocks. Raises Absent, field `data_root`."""
    if not root.is_dir():
        raise Absent(f"{root} is no folder.", field="data_root")
    paths = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.suffix.lower() in _SUFFIXES)
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    aside = {name for name in names if held_out(name, held_out_share)}
    train = tuple(name for name in names if name not in aside)
    if len(train) < 2:
        raise Absent(f"{root} has {len(train)} pictures to train on: two are the least.", field="data_root")
    return Folder(root, train, tuple(name for name in names if name in aside))


def decoded(
    root: Path, names: Sequence[str], how: Preprocessing, cache: Path, advanced: Callable[[int], None]
) -> Decoded:
    """The pictures at the model's size, read from `cache` or decoded into it. Blocks; decodes on every core.

    What cannot be read is skipped and named. advanced: told how many more are decoded. Raises InvalidQuery, field
    `data_root`, when none can be read.
    """
    wanted = _fingerprint(root, names, how)
    index = cache.with_suffix(".json")
    if index.exists() and (known := json.loads(index.read_text()))["fingerprint"] == wanted:
        advanced(len(names))
    else:
        known = _decode_all(root, names, how, cache, advanced) | {"fingerprint": wanted}
        _write(index, json.dumps(known).encode())
    if not known["names"]:
        first = next(iter(known["skipped"].items()), ("", "there is none"))
        raise InvalidQuery(f"No picture of {root} can be read: {': '.join(first)}", field="data_root")
    shape = (len(known["names"]), how.size, how.size, 3)
    pixels: UInt8 = np.memmap(cache, np.uint8, "r", shape=shape)
    return Decoded(pixels, tuple(known["names"]), known["skipped"])


def read_picture(path: Path, how: Preprocessing) -> UInt8:
    """One picture as the embedder sees it, uint8[size, size, 3]. Raises OmmaError, OSError. Blocks."""
    file = PictureFile(path.read_bytes(), PictureLimits())
    whole = (0, 0, file.width, file.height)
    picture = file.decode(_LEAST_SIDE_FACTOR * how.size, [whole])
    made: UInt8 = rows(picture, [whole], how)[0]
    return made


def _decode_all(
    root: Path, names: Sequence[str], how: Preprocessing, cache: Path, advanced: Callable[[int], None]
) -> dict[str, object]:
    def read(name: str) -> UInt8 | str:
        try:
            return read_picture(root / name, how)
        except (OmmaError, OSError) as error:
            return str(error)

    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(".part")
    kept: list[str] = []
    skipped: dict[str, str] = {}
    with partial.open("wb") as out, ThreadPoolExecutor(cores(), "decode") as pool:
        for start in range(0, len(names), _WAITING):
            group = names[start : start + _WAITING]
            for name, made in zip(group, pool.map(read, group), strict=True):
                if isinstance(made, str):
                    skipped[name] = made
                else:
                    kept.append(name)
                    out.write(made.tobytes())
            advanced(len(group))
    partial.replace(cache)
    return {"names": kept, "skipped": skipped}


def _fingerprint(root: Path, names: Sequence[str], how: Preprocessing) -> str:
    digest = hashlib.sha256(how.model_dump_json().encode())
    for name in names:
        stat = (root / name).stat()
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".json.part")
    partial.write_bytes(content)
    partial.replace(path)
