"""A small convolutional network of ours for a random start on a CPU: residual, group-normalised.

Group norm (Wu and He 2018) and not batch norm: a row's embedding then depends on that row alone, so that a batch in
chunks or on several ranks has the gradient of the joint batch exactly.
"""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

WIDTHS: Final = (32, 64, 128, 256)
_GROUP: Final = 16


class SmallCnn(nn.Module):
    """float32[n, 3, side, side] to float32[n, 256]: four stages, each half as wide as the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False), _norm(WIDTHS[0]), nn.ReLU())
        pairs = zip((WIDTHS[0], *WIDTHS[:-1]), WIDTHS, strict=True)
        self.stages = nn.ModuleList(
            [_Block(before, after, 1 if number == 0 else 2) for number, (before, after) in enumerate(pairs)]
        )

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem(pixels)
        for stage in self.stages:
            x = stage(x)
        pooled: Tensor = x.mean(dim=(2, 3))
        return pooled


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = _norm(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.second_norm = _norm(after)
        same = before == after and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        made = functional.relu(self.first_norm(self.first(x)))
        made = self.second_norm(self.second(made))
        return functional.relu(made + self.skip(x))


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(width // _GROUP, width)
