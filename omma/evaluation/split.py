"""Which pictures are measured and never trained on: decided by a picture's file name alone."""

import hashlib
from pathlib import PurePosixPath

from omma.errors import InvalidQuery


def held_out(name: str, share: float = 0.2) -> bool:
    """Whether the picture of this file name belongs to the held-out share. Stable on every machine and version. Pure.

    name: a file name or a path, of which only the last part counts, without its last suffix and in lower case. So a
    picture that lies in two folders, or in two formats, is on one side; and a set whose pictures all have the same
    name (one folder an item) is on one side too. share: 0 … 1, of a large set; a picture that is held out stays so
    when share grows. Raises InvalidQuery, field `name` or `share`.
    """
    if not 0 <= share <= 1:
        raise InvalidQuery("share must be 0 to 1.", field="share", limit=1)
    stem = PurePosixPath(name.replace("\\", "/")).stem.lower()
    if not stem:
        raise InvalidQuery(f"{name!r} is no file name.", field="name")
    return int.from_bytes(hashlib.sha256(stem.encode()).digest()[:8], "big") < share * 2**64
