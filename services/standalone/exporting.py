"""Vectors and rows as files: what other tools read, FAISS among them."""

import base64
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import faiss
import numpy as np

from omma.errors import Absent, InvalidQuery, StorageFull, WrongState
from omma.os_errors import file_error
from services.standalone.connection import Connection

EMBEDDINGS: Final = "embeddings.npy"
INDEX: Final = "index.faiss"
METADATA: Final = "metadata.jsonl"


async def export(
    connection: Connection, folder: Path, filter: str, on_progress: Callable[[int], None], *, index: str = ""
) -> dict[str, Any]:
    """Every picture that has a vector, by id: row n of embeddings.npy (float32[n, dim], normalised) is line n of
    metadata.jsonl; the index, inner product, has the pictures' ids.

    filter: JSON, "" for all. index: "" is the live one. on_progress: told how many are written.
    Memory: 4 · dim bytes a picture, for the index.
    Each file appears whole or not at all, and never beside one of another export: what dies while they get their names
    leaves some of them out. Returns what it says of the whole. Raises WrongState when the space changes meanwhile or
    another export writes to the folder, Absent when there is no picture, InvalidQuery for a folder that cannot be
    written, StorageFull.
    """
    with _held(folder) as (vectors, parts):
        with parts[METADATA].open("wb") as metadata:
            writer = _Writer(vectors, metadata)
            said = {"filter": filter, "index": index}
            asked: dict[str, Any] = {name: value for name, value in said.items() if value}
            while True:
                page = await connection.call("GET", "/vectors", params=asked)
                writer.add(page)
                on_progress(writer.count)
                if "next_cursor" not in page:
                    break
                asked["cursor"] = page["next_cursor"]
        if writer.index is None:
            raise Absent("There is no picture with a vector to export.")
        vectors.seek(0)
        with parts[EMBEDDINGS].open("wb") as file:
            header = {"shape": (writer.count, writer.index.d), "fortran_order": False, "descr": "<f4"}
            np.lib.format.write_array_header_1_0(file, header)
            shutil.copyfileobj(vectors, file)
        with parts[INDEX].open("wb") as file:
            faiss.write_index(writer.index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]  # made by SWIG
        for name in parts:
            (folder / name).unlink(missing_ok=True)
        for name, part in parts.items():
            part.replace(folder / name)
    return {"folder": str(folder), "pictures": writer.count, **writer.stamps}


@contextmanager
def _held(folder: Path) -> Iterator[tuple[BinaryIO, dict[str, Path]]]:
    """The folder, made, and no other export's meanwhile: a file for the vectors as they come, and what is written
    before it is whole, by the name that it gets then. Both are gone at the end.
    """
    raw = folder / ".vectors.part"
    parts = {name: folder / f".{name}.part" for name in (EMBEDDINGS, METADATA, INDEX)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with raw.open("a+b") as vectors:
            fcntl.flock(vectors, fcntl.LOCK_EX | fcntl.LOCK_NB)
            vectors.truncate(0)
            try:
                yield vectors, parts
            finally:
                for part in (raw, *parts.values()):
                    part.unlink(missing_ok=True)
    except BlockingIOError:
        raise WrongState(f"Another export writes to {folder}.", field="DIR") from None
    except OSError as error:
        full = file_error(error, str(folder))
        if isinstance(full, StorageFull):
            raise full from None
        raise InvalidQuery(f"{folder} cannot be written: {error.strerror or error}.", field="DIR") from None


class _Writer:
    """index: None before the first picture."""

    def __init__(self, vectors: BinaryIO, metadata: BinaryIO) -> None:
        self.count = 0
        self.index: Any = None
        self.stamps: dict[str, Any] = {}
        self._vectors = vectors
        self._metadata = metadata
        self._exported_at = datetime.now(UTC).isoformat(timespec="seconds")

    def add(self, page: dict[str, Any]) -> None:
        stamps = {name: page[name] for name in ("model", "space", "checksum", "dim", "index")}
        if self.stamps and self.stamps["space"] != stamps["space"]:
            raise WrongState("The live index has another space by now; export again.", field="space")
        self.stamps = stamps | {"exported_at": self._exported_at}
        images = page["images"]
        if not images:
            return
        content = b"".join(base64.b64decode(one["vector"]) for one in images)
        vectors = np.frombuffer(content, "<f4").astype(np.float32).reshape(len(images), page["dim"])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if self.index is None:
            self.index = faiss.IndexIDMap2(faiss.IndexFlatIP(page["dim"]))
        self.index.add_with_ids(vectors, np.array([one["id"] for one in images], np.int64))
        self._vectors.write(vectors.tobytes())
        for one in images:
            said = {name: value for name, value in one.items() if name != "vector"} | {"provenance": self.stamps}
            self._metadata.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")
        self.count += len(images)
