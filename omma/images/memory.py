"""What decoding holds at once, over every thread of the process: nothing that callers ask for is larger."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

UNCOUNTED_BYTES: Final = 64 << 20
"""What needs less never waits: a JPEG of 100 megapixels that is read at 1/8, a PNG of 8."""


class DecodingMemory:
    """Bytes held by decoders; large pictures take turns, first come first served. Any number of threads."""

    def __init__(self) -> None:
        self._held = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """Bytes of those inside that count."""
        return self._held

    @property
    def waiting(self) -> int:
        """Pictures that wait for their turn."""
        return len(self._waiting)

    @contextmanager
    def holding(self, needed: int, most: int) -> Iterator[None]:
        """Hold so many bytes for the block, with what others hold at most `most`; what needs more goes alone. Blocks.

        Not entered twice by one thread: it would wait for itself.
        """
        if needed <= UNCOUNTED_BYTES:
            yield
            return
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            self._changed.wait_for(lambda: self._waiting[0] is turn and (not self._held or self._held + needed <= most))
            self._waiting.popleft()
            self._held += needed
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._held -= needed
                self._changed.notify_all()


DECODING: Final = DecodingMemory()
"""The process's own, as its memory is: uploads and the embedder of one process share it."""
