"""What the server acknowledged."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """One picture and the last thing that was acknowledged of it."""

    key: str
    image_id: int
    content: bytes
    deleted: bool = False


class Ledger:
    """Safe for several threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._written: dict[str, Written] = {}
        self.acknowledged = 0
        self.refused = 0
        """Attempts; each was made again until it was acknowledged."""

    def write(self, one: Written) -> None:
        with self._turn:
            self._written[one.key] = one
            self.acknowledged += 1

    def refuse(self) -> None:
        with self._turn:
            self.refused += 1

    def living(self) -> list[Written]:
        with self._turn:
            return [one for one in self._written.values() if not one.deleted]

    def deleted(self) -> list[Written]:
        with self._turn:
            return [one for one in self._written.values() if one.deleted]
