"""Records are handled out of their order; what is committed is the first that is not."""

from collections import deque


class Offsets:
    """Of one partition since it was assigned. Memory: of the records from the first open one on."""

    def __init__(self) -> None:
        self._taken: deque[int] = deque()
        self._handled: set[int] = set()
        self._next: int | None = None
        self.committed: int | None = None

    def take(self, offset: int) -> None:
        """In rising order."""
        self._taken.append(offset)
        self._next = offset + 1

    def handle(self, offset: int) -> None:
        """May be repeated."""
        if self._taken and offset >= self._taken[0]:
            self._handled.add(offset)
        while self._taken and self._taken[0] in self._handled:
            self._handled.remove(self._taken.popleft())

    def next_offset(self) -> int | None:
        """Of the first record that is not handled; None before any was taken."""
        return self._taken[0] if self._taken else self._next
