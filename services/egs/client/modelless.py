"""What stands where an embedder would, in a space whose vectors callers bring."""

from collections.abc import Sequence

from omma.errors import WrongState
from omma.rpc.deadline import Deadline
from omma.space import Space
from services.egs.client.interface import EmbeddedItem, ImageItem, TextItem


class Modelless:
    """services.egs.client.Embedder that knows neither pictures nor words."""

    def __init__(self, space: Space) -> None:
        self._space = space

    @property
    def space(self) -> Space:
        return self._space

    @property
    def has_text_tower(self) -> bool:
        return False

    @property
    def windows(self) -> int:
        return 0

    async def embed(self, items: Sequence[ImageItem | TextItem], deadline: Deadline) -> list[EmbeddedItem | Exception]:
        """WrongState for each."""
        words = f"Space {self._space.id} has no model: search it with a vector, or with a picture's id."
        return [WrongState(words, field="space") for _ in items]

    async def trained_on(self) -> None:
        return None

    async def ready(self) -> bool:
        return True

    async def close(self) -> None: ...
