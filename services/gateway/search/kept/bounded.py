"""Values by key, as many as fit into so many bytes; what was not asked for longest goes first."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from omma.telemetry.metrics import KEPT_BYTES, KEPT_LOOKUPS

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """For one event loop. Its lookups are counted under its name."""

    def __init__(self, name: str, max_bytes: int) -> None:
        """max_bytes: of values as their sizes are told; 0: nothing is kept."""
        self.bytes = 0
        self._name = name
        self._max_bytes = max_bytes
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether anything may be kept."""
        return self._max_bytes > 0

    def get(self, key: K) -> V | None:
        found = self._entries.get(key)
        KEPT_LOOKUPS.labels(self._name, "miss" if found is None else "hit").inc()
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """size: bytes that key and value take. One that is larger than a sixteenth of everything is not kept."""
        self.drop(key)
        if size * 16 > self._max_bytes:
            return
        self._entries[key] = (value, size)
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.bytes -= freed
        KEPT_BYTES.labels(self._name).set(self.bytes)

    def drop(self, key: K) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.bytes -= found[1]

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0
        KEPT_BYTES.labels(self._name).set(0)
