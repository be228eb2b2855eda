"""The head that is shipped: what the backbone sees as it is, and what labels taught, added up by one linear map.

A head that was taught four kinds of pictures tells those apart better and all others worse than its backbone does. So
it has a part of a vector's length, and two heads that no label touched have the rest (docs/adr/0007).
"""

from typing import Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from training.mini.backbone import CLASSES, FEATURES
from training.mini.components import leading
from training.mini.description import DESCRIPTION, OPINION, SHADES
from training.mini.graph import Coarse, Graph
from training.mini.head import Head

DIM: Final = 512
"""Of a vector: a set that nothing was taught of loses 0.01 more in 384 and 0.02 more in 256 (docs/benchmarks.md)."""
ALIKE_DIM: Final = 512
"""Of the head that is like both backbones, before all three are reduced to DIM."""
SEEN: Final = FEATURES + DESCRIPTION

_TAUGHT_SHARE: Final = 0.35
"""Of a vector's squared length, what is the taught head's."""
_ALIKE_SHARE: Final = 0.3
"""Of the rest, what is the head's that is like both backbones; the others' is the kept one's."""
_KEPT_DIM: Final = 1024
_KEPT_OPINION: Final = 0.5
"""Length of the opinion beside the roots of the features, which are 1 long."""
_STEADINESS: Final = 3.0
"""What is added to the spread that a crop causes, in parts of its mean: 0 would divide by it alone."""
_RIDGE: Final = 1e-3
"""In parts of the mean spread."""
_LAST_LAYERS: Final = ("project", "adjust")
"""Of a text tower: their outputs added up are its vector."""


def seen(description: Tensor) -> Tensor:
    """float32[n, SEEN] of float32[n, DESCRIPTION]: square roots of the pooled features, a row 1 long, before it.

    Roots keep one strong feature from deciding the score: small copies, turned ones and JPEG of low quality find their
    picture more often by them.
    """
    return torch.cat([functional.normalize(description[:, :FEATURES].sqrt(), dim=1), description], dim=1)


def kept_head(whole: Tensor, cropped: Tensor) -> Head:
    """Of what is `seen`: the principal components of roots and opinion, once directions that a crop changes are
    shortened; no label is looked at. whole, cropped: descriptions float32[n, DESCRIPTION] of pictures and of a part of
    each.
    """
    rows, parts = _rooted(whole), _rooted(cropped)
    mean = rows.mean(0)
    spread, axes = torch.linalg.eigh((rows - parts).T @ (rows - parts) / len(rows))
    steady = axes * (spread.clamp(min=0) + _STEADINESS * spread.mean()) ** -0.5 @ axes.T
    rows -= mean
    _, main = leading(steady @ (rows.T @ rows / len(rows)) @ steady, _KEPT_DIM)
    weight = (steady @ main).T
    of_roots, of_opinion = weight[:, :FEATURES], weight[:, FEATURES:] * (_KEPT_OPINION / OPINION)
    unread = torch.zeros(_KEPT_DIM, FEATURES + SHADES)
    wide = torch.cat([of_roots, unread[:, :FEATURES], of_opinion, unread[:, FEATURES:]], dim=1)
    return Head(torch.zeros(SEEN), wide, -weight @ mean)


def mixed_head(kept: Head, alike: Head, taught: Head, descriptions: Tensor) -> Head:
    """All three in one, of what is `seen`: each as long on average as its share says, in the DIM dimensions that hold
    most over these pictures. kept: of what is `seen`. alike, taught: of descriptions. Pure.
    """
    shares = ((1 - _ALIKE_SHARE) * (1 - _TAUGHT_SHARE), _ALIKE_SHARE * (1 - _TAUGHT_SHARE), _TAUGHT_SHARE)
    given = seen(descriptions)
    with torch.no_grad():
        weights, biases = [], []
        for head, share in zip((kept, alike, taught), shares, strict=True):
            weight = functional.pad(head.linear.weight, (SEEN - head.linear.in_features, 0))
            bias = head.linear.bias - head.linear.weight @ head.mean
            length = (share / (given @ weight.T + bias).square().sum(1).mean()).sqrt()
            weights.append(length * weight)
            biases.append(length * bias)
        weight, bias = torch.cat(weights), torch.cat(biases)
        apart = given @ weight.T + bias
        _, axes = leading(apart.T @ apart / len(apart), DIM)
        return Head(torch.zeros(SEEN), axes.T @ weight, axes.T @ bias)


def mixed_node(graph: Graph, head: Head, description: str) -> str:
    """The name of the output `vector`: a `mixed_head` of a description that `description_node` made, not normalised."""
    graph.node("LpNormalization", [graph.node("Sqrt", ["pooled"], "roots")], "roots.unit", axis=1, p=2)
    weight = head.linear.weight.detach()
    roots, described = weight[:, :FEATURES], weight[:, FEATURES:]
    nothing = torch.zeros(DESCRIPTION)
    linear_node(graph, "of.roots", Head(nothing[:FEATURES], roots, head.linear.bias), "roots.unit", "seen", coarse=True)
    linear_node(graph, "head", Head(nothing, described, torch.zeros(DIM)), description, "described", coarse=True)
    return graph.node("Add", ["seen", "described"], "vector")


def linear_node(graph: Graph, name: str, head: Head, given: str, output: str, *, coarse: bool = False) -> str:
    """`output`: a head of `given`, not normalised. name: of its weights. coarse: they are stored as int8."""
    values = np.ascontiguousarray(head.linear.weight.detach().T.numpy())
    if coarse:
        rounded = Coarse.of(values)
        stored, values = graph.coarse_weight(f"{name}.w", rounded), rounded.values()
    else:
        stored = graph.weight(f"{name}.w", values)
    bias = head.linear.bias.detach().numpy() - head.mean.numpy() @ values
    return graph.node("Gemm", [given, stored, graph.weight(f"{name}.b", bias)], output)


def answering(head: Head, taught: Head, descriptions: Tensor) -> Tensor:
    """float32[taught, DIM]: a word that was placed among the taught head's vectors, times this, scores a picture as it
    did there. head: of what is `seen`. It is the ridge regression of the taught head's vectors on the mixed one's.
    """
    with torch.no_grad():
        vectors = head(seen(descriptions))
        square = vectors.T @ vectors
        ridge = _RIDGE * square.diagonal().mean()
        return torch.linalg.solve(square + ridge * torch.eye(DIM), vectors.T @ taught(descriptions)).T.contiguous()


def joined(text: onnx.ModelProto, into: Tensor) -> onnx.ModelProto:
    """A text tower whose words were placed among the taught head's vectors, times what `answering` made."""
    made = onnx.ModelProto()
    made.CopyFrom(text)
    for stored in made.graph.initializer:
        layer, _, what = stored.name.partition(".")
        if layer in _LAST_LAYERS and what.startswith(("w", "b")):
            values = numpy_helper.to_array(stored)
            turned = (values.astype(np.float32) @ into.numpy()).astype(values.dtype)
            stored.CopyFrom(numpy_helper.from_array(turned, stored.name))
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = into.shape[1]
    onnx.checker.check_model(made)
    return made


def read_taught(image: onnx.ModelProto) -> Head:
    """The head of an image tower that `image_model` wrote of a taught head."""
    stored = {one.name: numpy_helper.to_array(one).astype(np.float32) for one in image.graph.initializer}
    weight, bias = torch.tensor(stored["head.w.half"].T.copy()), torch.tensor(stored["head.b"])
    return Head(torch.zeros(weight.shape[1]), weight, bias)


def _rooted(description: Tensor) -> Tensor:
    """float32[n, FEATURES + CLASSES]: the roots, and the opinion beside them."""
    made = seen(description)
    opinion = made[:, 2 * FEATURES : 2 * FEATURES + CLASSES]
    return torch.cat([made[:, :FEATURES], opinion * (_KEPT_OPINION / OPINION)], dim=1)
