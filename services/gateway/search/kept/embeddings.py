"""Vectors of pictures and words that were sought before. A space's model never changes, so they stay true."""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeAlias

from omma.identity import Tenant
from omma.space import SpaceId
from services.egs.client import EmbeddedItem, ImageItem, TextItem
from services.gateway.search.kept.bounded import Bounded

_MAX_HASHED_BYTES: Final = 4 << 20
"""Of a picture: its hash takes the loop 1 ms a megabyte. Larger ones are embedded each time."""
_ENTRY_BYTES: Final = 600
"""Of an entry beside its numbers and its words: key, digest and objects."""

_Key: TypeAlias = tuple[Tenant, SpaceId, bytes | str, bytes]


class KeptEmbeddings:
    """By tenant, since how long an answer takes would tell whether somebody else had sought the same."""

    def __init__(self, max_bytes: int) -> None:
        """max_bytes: 0: none are kept."""
        self._kept: Bounded[_Key, EmbeddedItem] = Bounded("embeddings", max_bytes)

    def known(self, tenant: Tenant, space: SpaceId, items: Sequence[ImageItem | TextItem]) -> "Known":
        """What is known of these, and the way to say what is not."""
        return Known(self._kept, [_key(tenant, space, item) if self._kept else None for item in items])


class Known:
    """embedded: by item; None where it has to be embedded."""

    def __init__(self, kept: Bounded[_Key, EmbeddedItem], keys: Sequence[_Key | None]) -> None:
        self._kept = kept
        self._keys = keys
        self.embedded = [None if key is None else kept.get(key) for key in keys]

    def learn(self, at: int, item: EmbeddedItem) -> None:
        """What the item at this position was embedded to."""
        key = self._keys[at]
        if key is not None:
            said = len(key[2].encode()) if isinstance(key[2], str) else 0
            self._kept.put(key, item, _ENTRY_BYTES + said + item.vectors.nbytes)


def _key(tenant: Tenant, space: SpaceId, item: ImageItem | TextItem) -> _Key | None:
    if isinstance(item, TextItem):
        return tenant, space, item.text, b""
    if item.thumbnail or item.signature or len(item.content) > _MAX_HASHED_BYTES:
        return None
    region = repr(item.fractions).encode() if item.boxes is None else item.boxes.tobytes()
    return tenant, space, hashlib.sha256(item.content).digest(), region
