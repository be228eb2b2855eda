"""A cache bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class ByteBound(Generic[_T]):
    """The values used last, by key, within a number of bytes. Any thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[_T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> _T | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: _T, size: int) -> None:
        with self._lock:
            _, old = self._values.pop(key, (None, 0))
            self._values[key] = value, size
            self._bytes += size - old
            while self._bytes > self._max_bytes and self._values:
                _, (_, dropped) = self._values.popitem(last=False)
                self._bytes -= dropped
