"""What the head is given of a picture: features, what the classifier takes it for, and its palette.

Each part that goes into a file of ONNX stands beside the same in torch. Why these three: docs/adr/0007.
"""

from typing import Final

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from training.mini.backbone import CLASSES, FEATURES, Lite0
from training.mini.graph import Graph

SHADES: Final = 64
"""The colours of a palette: four levels each of red, green and blue."""
DESCRIPTION: Final = FEATURES + CLASSES + SHADES

OPINION: Final = 15.0
"""Length of the opinion's vector beside pooled features, which are 15.6 long on average over the photographs."""
_PALETTE: Final = 8.0
_SOFTENED: Final = 1.5
_SHARPNESS: Final = 10.0
_POOLED_SIDE: Final = 8
"""A colour is that of so many pixels squared."""


def described(network: Lite0, pooled: Tensor, palette: Tensor) -> Tensor:
    """float32[n, DESCRIPTION] of float32[n, FEATURES] and float32[n, SHADES].

    The opinion is the square root of the classes' chances, whose inner products are Hellinger's: two pictures of one
    unseen thing are mistaken for the same classes. Chances are softened, so that second thoughts count too.
    """
    weight, bias = _softened(network)
    opinion = functional.softmax(pooled @ weight.T + bias, dim=1).sqrt()
    return torch.cat([pooled, OPINION * opinion, _PALETTE * palette], dim=1)


def described_classes(network: Lite0) -> Tensor:
    """Where the classifier's own classes lie among descriptions, centred: float32[CLASSES, DESCRIPTION]."""
    rows = network.classifier_weight - network.classifier_weight.mean(0)
    itself = rows.norm(dim=1).mean() * torch.eye(CLASSES)
    return torch.cat([rows, itself, torch.zeros(CLASSES, SHADES)], dim=1)


def description_node(graph: Graph, network: Lite0, pixels: str) -> str:
    """The name of the output that is `described` of these pixels."""
    pooled = graph.backbone(pixels, network)
    weight, bias = (one.numpy() for one in _softened(network))
    names = [graph.weight("classes.w", np.ascontiguousarray(weight.T)), graph.weight("classes.b", bias)]
    graph.node("Softmax", [graph.node("Gemm", [pooled, *names], "classes")], "chances", axis=1)
    graph.node("Sqrt", ["chances"], "opinion")
    graph.node("Mul", ["opinion", graph.constant("opinion.length", np.array(OPINION, np.float32))], "opinion.long")
    palette = palette_node(graph, pixels)
    graph.node("Mul", [palette, graph.constant("palette.length", np.array(_PALETTE, np.float32))], "palette.long")
    return graph.node("Concat", [pooled, "opinion.long", "palette.long"], "description", axis=1)


def palette_node(graph: Graph, pixels: str) -> str:
    """The name of the output with the square roots of the colours' shares: float32[n, SHADES], rows of length 1.

    A patch belongs to the colours near it: the softmax of its squared distances, whose constant part cancels out.
    """
    levels = np.linspace(-0.8, 0.8, 4, dtype=np.float32)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(SHADES, 3)
    weight = graph.constant("palette.w", 2 * _SHARPNESS * colours[:, :, np.newaxis, np.newaxis])
    bias = graph.constant("palette.b", -_SHARPNESS * np.square(colours).sum(axis=1))
    side = [_POOLED_SIDE, _POOLED_SIDE]
    graph.node("AveragePool", [pixels], "patches", kernel_shape=side, strides=side)
    graph.node("Conv", ["patches", weight, bias], "nearness")
    graph.node("Softmax", ["nearness"], "belonging", axis=1)
    graph.node("GlobalAveragePool", ["belonging"], "shares4")
    graph.node("Flatten", ["shares4"], "shares")
    return graph.node("Sqrt", ["shares"], "palette")


def feature_model(network: Lite0, side: int) -> bytes:
    """`pixels` to `pooled` and `palette`: what is read once of every picture."""
    graph = Graph(half=False)
    graph.backbone("pixels", network)
    palette_node(graph, "pixels")
    return graph.model(
        "features",
        {"pixels": (TensorProto.FLOAT, ["n", 3, side, side])},
        {"pooled": ["n", FEATURES], "palette": ["n", SHADES]},
    ).SerializeToString()


def _softened(network: Lite0) -> tuple[Tensor, Tensor]:
    return network.classifier_weight / _SOFTENED, network.classifier_bias / _SOFTENED
