"""Many readers or one writer, the writer first."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Latch:
    """Guards the head's lists, which FAISS cannot grow while it scans them (and it scans without the GIL).

    A reader costs 1 us. A waiting writer holds new readers back, so that it waits for the scans under way only.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._condition:
            while self._writing:
                self._condition.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                if not self._readers:
                    self._condition.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One writer at a time: the engine has one writer thread."""
        with self._condition:
            self._writing = True
            while self._readers:
                self._condition.wait()
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()
