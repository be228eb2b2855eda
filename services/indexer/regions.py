"""Which parts of a picture have vectors of their own, beside the whole."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from omma.errors import WrongState
from services.egs.client import Embedder

_SIDE: Final = 0.6
"""Of the picture's sides, so that a crop of a third to two thirds has a part of about its size."""

Fractions = tuple[float, float, float, float]
"""Left, top, right, bottom in 0 … 1 of the upright picture."""


class Regions(StrEnum):
    """none: the whole alone. crops: and its middle and four corners, each embedded. windows: and the windows of the
    feature map that the whole's one run has, of a model with such an output.
    """

    NONE = "none"
    CROPS = "crops"
    WINDOWS = "windows"


def _square(left: float, top: float) -> Fractions:
    return left, top, left + _SIDE, top + _SIDE


_REST: Final = 1 - _SIDE
FRACTIONS: Final[Mapping[Regions, tuple[Fractions, ...]]] = {
    Regions.NONE: ((0.0, 0.0, 1.0, 1.0),),
    Regions.WINDOWS: ((0.0, 0.0, 1.0, 1.0),),
    Regions.CROPS: (
        (0.0, 0.0, 1.0, 1.0),
        _square(_REST / 2, _REST / 2),
        _square(0.0, 0.0),
        _square(_REST, 0.0),
        _square(0.0, _REST),
        _square(_REST, _REST),
    ),
}
"""What each embeds, the whole first."""


def vectors_a_picture(regions: Regions, embedder: Embedder) -> int:
    """Raises WrongState, field `OMMA_INDEXER__REGIONS`, for windows of a model that has none."""
    model = embedder.space.model
    require_regions(regions, model, embedder.windows)
    return 1 + embedder.windows if regions is Regions.WINDOWS and model else len(FRACTIONS[regions])


def require_regions(regions: Regions, model: str, windows: int, *, field: str = "OMMA_INDEXER__REGIONS") -> None:
    """Raises WrongState for windows of a model that has none. model: "" of a space without one. Pure."""
    if regions is Regions.WINDOWS and model and not windows:
        raise WrongState(
            f"OMMA_INDEXER__REGIONS is windows, and {model} has none where it runs: take a model whose manifest has "
            "windows (for Triton, render it again with omma model triton-repo), or set crops or none.",
            field=field,
        )
