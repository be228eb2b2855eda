"""A linear head on top of both towers, as training leaves it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from omma.errors import InvalidQuery


def load_projection(path: Path, dim: int) -> torch.nn.Linear:
    """From `.npz` (weight float[out, dim], bias float[out] or none) or a `.pt` state dict of one Linear.

    Raises InvalidQuery, field `projection`, for what does not fit a model of dim; OSError.
    """
    weight, bias = _pick(_arrays(path), path)
    if weight.ndim != 2 or weight.shape[1] != dim or (bias is not None and bias.shape != weight.shape[:1]):
        raise InvalidQuery(f"{path} has a weight of {tuple(weight.shape)}; this model has {dim}.", field="projection")
    head = torch.nn.Linear(dim, weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        head.weight.copy_(weight)
        if bias is not None:
            head.bias.copy_(bias)
    return head.eval().requires_grad_(False)


def _arrays(path: Path) -> Mapping[str, torch.Tensor]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: torch.from_numpy(np.asarray(file[name], np.float32)) for name in file.files}
    said = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.float() for name, value in said.items() if isinstance(value, torch.Tensor)}


def _pick(arrays: Mapping[str, torch.Tensor], path: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    weights = [name for name in arrays if name.rpartition(".")[2] == "weight"]
    if len(weights) != 1:
        raise InvalidQuery(f"{path} is not one Linear: it has {', '.join(arrays) or 'nothing'}.", field="projection")
    return arrays[weights[0]], arrays.get(f"{weights[0].removesuffix('weight')}bias")
