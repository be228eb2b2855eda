"""What the measure asks of every contestant."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Peer(Protocol):
    """One index over base; ids are rows of base."""

    settings: Sequence[Any]
    """From cheap to costly; the first that reaches the recall is measured."""

    def build(self, base: npt.NDArray[np.float32], folder: Path) -> None:
        """Build in folder, or load what an earlier run left there."""

    def use(self, setting: Any) -> None: ...

    def search(self, query: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.integer] | list[int]:
        """query: float32[1, d]. The way a user of this peer asks one question and reads the ids."""

    def described(self) -> str:
        """Index and setting, in words."""
