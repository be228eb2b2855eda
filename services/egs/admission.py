"""How much one embedder holds: a picture weighs its regions and its bytes, not one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from omma.errors import Overloaded
from omma.telemetry.metrics import EMBED_QUEUE_ITEMS
from services.egs.client import ImageItem, TextItem


@dataclass(slots=True)
class Admission:
    """What is inside: items; rows, of what the towers will be given; bytes, of encoded pictures and of words.

    Belongs to one event loop.
    """

    max_rows: int
    max_bytes: int
    items: int = 0
    rows: int = 0
    bytes: int = 0

    @contextmanager
    def holding(self, items: Sequence[ImageItem | TextItem]) -> Iterator[None]:
        """Let them in for the block; what is alone is let in whatever it weighs, as it could never be otherwise.

        Raises Overloaded.
        """
        rows, size = sum(map(rows_of, items)), sum(map(_bytes_of, items))
        if self.items and self.rows + rows > self.max_rows:
            raise _overloaded(f"{self.rows} regions and words wait for the model", self.max_rows)
        if self.items and self.bytes + size > self.max_bytes:
            raise _overloaded(f"{self.bytes:,} bytes of pictures wait for the model", self.max_bytes)
        self._add(len(items), rows, size)
        try:
            yield
        finally:
            self._add(-len(items), -rows, -size)

    def _add(self, items: int, rows: int, size: int) -> None:
        self.items += items
        self.rows += rows
        self.bytes += size
        EMBED_QUEUE_ITEMS.labels("image").set(self.items)


def rows_of(item: ImageItem | TextItem) -> int:
    """Of a tower's batch: a picture has one for each box, and one without any."""
    if isinstance(item, TextItem):
        return 1
    return max(1, len(item.fractions) if item.boxes is None else len(item.boxes))


def _bytes_of(item: ImageItem | TextItem) -> int:
    return len(item.content) if isinstance(item, ImageItem) else len(item.text)


def _overloaded(what: str, limit: int) -> Overloaded:
    return Overloaded(f"{what}, and {limit:,} may.", limit=limit, retry_after_seconds=1.0)
