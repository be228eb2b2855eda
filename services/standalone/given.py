"""Vectors of files as the requests that send them: some rows each, since a request is bounded."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from omma.errors import InvalidQuery
from omma.vectors import Float32
from services.standalone.files import content_of, unreadable

_REQUEST_BYTES: Final = 8 << 20
_MOST_ROWS: Final = 16_384
_EXPORTED: Final = ("uri", "owner", "tags", "source_url", "attributes", "private")


def requests_of(vectors: Path, said: Path, space: str, *, revive_deleted: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """How many rows each has, and what is posted to /vectors. Reads the files as it goes: blocks.

    said: an id a line; or JSON lines with an `id` and what is known of each, of which `omma export` writes some.
    Raises InvalidQuery.
    """
    given = _mapped(vectors)
    name = "items" if said.suffix in (".jsonl", ".ndjson", ".json") else "ids"
    lines = [one for one in content_of(said, "ids").split(b"\n") if one.strip()]
    if len(lines) != len(given):
        raise InvalidQuery(f"{vectors} has {len(given):,} rows and {said} has {len(lines):,}.", field="ids")
    at_once = max(1, min(_MOST_ROWS, _REQUEST_BYTES // max(1, given.shape[1] * given.itemsize)))
    for begin in range(0, len(given), at_once):
        some = lines[begin : begin + at_once]
        file = io.BytesIO()
        np.save(file, given[begin : begin + at_once])
        told = [_told(one) for one in some] if name == "items" else some
        files = {
            "vectors": ("vectors.npy", file.getvalue(), "application/octet-stream"),
            name: (name, b"\n".join(told), "application/x-ndjson"),
        }
        yield len(some), {"files": files, "data": {"space": space, "revive_deleted": str(revive_deleted).lower()}}


def _mapped(path: Path) -> Float32:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise unreadable(path, error, "vectors") from None
    except (ValueError, EOFError):
        raise InvalidQuery(f"{path} is no .npy file.", field="vectors") from None
    if rows.ndim != 2:
        raise InvalidQuery(f"{path} must have two dimensions, not {rows.ndim}.", field="vectors")
    return rows  # type: ignore[no-any-return]


def _told(line: bytes) -> bytes:
    """A line of `omma export` says which key its picture has, and more than a vector's row may."""
    try:
        one = json.loads(line)
    except ValueError:
        return line
    if not isinstance(one, Mapping) or "provenance" not in one:
        return line
    said = {name: one[name] for name in _EXPORTED if one.get(name)}
    return json.dumps({"id": one["key"], **said}).encode()
