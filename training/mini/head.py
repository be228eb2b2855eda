"""The projection head, and what pictures are drawn towards: a vector a class, a label and a colour."""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

TAUGHT_DIM: Final = 256
"""Of the taught head, and of words as they are learnt."""


class Head(nn.Module):
    """float32[n, features] to unit float32[n, dim]: centred, then one linear map, as exported."""

    def __init__(self, mean: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.mean: Tensor
        self.linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            self.linear.weight.copy_(weight)
            self.linear.bias.copy_(bias)

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.linear(features - self.mean), dim=1)


class Anchors(nn.Module):
    """Unit vectors that pictures are drawn towards.

    The thousand classes come from the classifier's rows through one shared map, so that a class without a picture is
    placed as those with pictures are; each may move a little by itself.
    """

    def __init__(self, rows: Tensor, head: Head, labels: int, colours: int) -> None:
        """rows: float32[1000, features], the classes among what the head is given, centred."""
        super().__init__()
        self.register_buffer("rows", rows)
        self.rows: Tensor
        projection = head.linear.weight.detach()
        inverse = torch.linalg.pinv(projection.T, rtol=0.05)
        self.map = nn.Parameter(inverse.clone())
        self.own = nn.Parameter(torch.zeros(len(rows), projection.shape[0]))
        self.label = nn.Parameter(torch.zeros(labels, projection.shape[0]))
        self.colour = nn.Parameter(torch.randn(colours, projection.shape[0]) * 0.05)
        self.class_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.label_scale = nn.Parameter(torch.tensor(math.log(15.0)))
        self.colour_scale = nn.Parameter(torch.tensor(math.log(8.0)))

    def classes(self) -> Tensor:
        placed = functional.normalize(self.rows @ self.map.T, dim=1)
        return functional.normalize(placed + self.own, dim=1)

    def labels(self) -> Tensor:
        return functional.normalize(self.label, dim=1)

    def colours(self) -> Tensor:
        return functional.normalize(self.colour, dim=1)
