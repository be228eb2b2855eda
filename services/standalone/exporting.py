"""Vectors and rows as files: what other tools read, FAISS among them."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import faiss
import numpy as np

from omma.errors import Absent, WrongState
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
    Each file appears whole or not at all. Returns what it says of the whole. Raises WrongState when the space changes
    meanwhile, Absent when there is no picture.
    """
    parts = _parts(folder)
    raw = folder / ".vectors.part"
    try:
        with raw.open("wb") as vectors, parts[METADATA].open("wb") as metadata:
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
        shape = (writer.count, writer.index.d)
        with parts[EMBEDDINGS].open("wb") as file:
            np.save(file, np.memmap(raw, np.float32, "r", shape=shape))
        faiss.write_index(writer.index, str(parts[INDEX]))
        for name, part in parts.items():
            part.replace(folder / name)
    finally:
        for part in (raw, *parts.values()):
            part.unlink(missing_ok=True)
    return {"folder": str(folder), "pictures": writer.count, **writer.stamps}


def _parts(folder: Path) -> dict[str, Path]:
    """What is written before it is whole, by the name that it gets then; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: folder / f".{name}.part" for name in (EMBEDDINGS, METADATA, INDEX)}


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
