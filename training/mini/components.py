"""The axes that hold most of a set of vectors, found without all the others."""

from typing import Final

import torch
from torch import Tensor

_SEED: Final = 3
_TURNS: Final = 8
_SPARE: Final = 48
"""Axes that are carried along, so that the last ones that are asked for settle."""


def leading(square: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """float32[count], ascending, and float32[d, count]: eigenvalues and axes of a symmetric square [d, d] of no
    negative ones. By subspace iteration: of 3,560 dimensions a tenth of the time of a full decomposition. Pure.
    """
    chance = torch.Generator().manual_seed(_SEED)
    axes = torch.randn(len(square), min(count + _SPARE, len(square)), generator=chance)
    for _ in range(_TURNS):
        axes, _ = torch.linalg.qr(square @ axes)
    values, turned = torch.linalg.eigh(axes.T @ square @ axes)
    return values[-count:], (axes @ turned)[:, -count:]
