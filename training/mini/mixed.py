"""The head that is shipped: what backbones see as it is, and what labels taught where they taught the kind.

A head that was taught four kinds of pictures tells those apart better and all others worse than its backbone does. How
near a picture lies to a kind that was taught decides how much of its vector is whose (docs/adr/0007).
"""

from typing import Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from training.mini.backbone import CLASSES, FEATURES
from training.mini.components import leading
from training.mini.description import OPINION
from training.mini.graph import Coarse, Graph
from training.mini.head import DIM, Head

LEAST_TAUGHT: Final = 0.2
MOST_TAUGHT: Final = 0.9
"""Of a picture's squared length, what is the taught head's: of a kind that it never saw, and of one that it knows."""
ALIKE_SHARE: Final = 0.4
"""Of the rest, what is the head's that is like both backbones; the others' is the kept one's."""
_NEAR: Final = 0.4
_WIDTH: Final = 0.03
"""Cosine to the nearest taught kind at which both are half way. Photographs of known kinds have 0.43 and more in three
of four (clothing) or nearly all; of a set that the heads never saw 0.36 and less in three of four (docs/benchmarks.md).
"""
_DRAWN_LENGTH: Final = 0.6
"""Of the middle of a drawn kind: of drawings 99 % have a cosine of 0.82 with their own, of photographs 0.1 % 0.66."""

_KEPT_OPINION: Final = 0.5
"""Length of the opinion beside the roots of the features, which are 1 long."""
_STEADINESS: Final = 3.0
"""What is added to the spread that a crop causes, in parts of its mean: 0 would divide by it alone."""
_OTHER_SHARES: Final = (LEAST_TAUGHT, 0.5, MOST_TAUGHT)
_OTHER_SHARES_TELL: Final = 0.15
"""Beside a picture with its own share."""
_RIDGE: Final = 1e-3
"""In parts of the mean spread."""
_LAST_LAYERS: Final = ("project", "adjust")
"""Of a text tower: their outputs added up are its vector."""


class MixedHead(nn.Module):
    """float32[n, DESCRIPTION] to unit float32[n, 256].

    kept: of `rooted` descriptions. alike, taught: of descriptions. kinds: float32[k, 256], the middles of the kinds
    that were taught, among the kept head's vectors: 1 long, drawn ones shorter. join: float32[256, 768], of the three
    vectors side by side.
    """

    def __init__(self, kept: Head, alike: Head, taught: Head, kinds: Tensor, join: Tensor) -> None:
        super().__init__()
        self.kept, self.alike, self.taught = kept, alike, taught
        self.register_buffer("kinds", kinds)
        self.register_buffer("join", join)
        self.kinds: Tensor
        self.join: Tensor

    def forward(self, description: Tensor) -> Tensor:
        return functional.normalize(self.side_by_side(description) @ self.join.T, dim=1)

    def side_by_side(self, description: Tensor, share: float | None = None) -> Tensor:
        """Unit float32[n, 768]: kept, alike, taught. share: of the taught one, instead of each picture's own."""
        kept = self.kept(rooted(description))
        near = (kept @ self.kinds.T).max(dim=1, keepdim=True).values
        taught = LEAST_TAUGHT + (MOST_TAUGHT - LEAST_TAUGHT) * torch.sigmoid((near - _NEAR) / _WIDTH)
        if share is not None:
            taught = torch.full_like(taught, share)
        shares = ((1 - ALIKE_SHARE) * (1 - taught), ALIKE_SHARE * (1 - taught), taught)
        vectors = (kept, self.alike(description), self.taught(description))
        return torch.cat([share.sqrt() * one for share, one in zip(shares, vectors, strict=True)], dim=1)


def rooted(description: Tensor) -> Tensor:
    """float32[n, 2280]: square roots of the pooled features, a row 1 long, and the opinion.

    Roots keep one strong feature from deciding the score: small copies, turned ones and JPEG of low quality find their
    picture more often by them.
    """
    roots = functional.normalize(description[:, :FEATURES].sqrt(), dim=1)
    opinion = description[:, FEATURES : FEATURES + CLASSES] * (_KEPT_OPINION / OPINION)
    return torch.cat([roots, opinion], dim=1)


def kept_head(whole: Tensor, cropped: Tensor) -> Head:
    """The principal components of what is rooted, once directions that a crop changes are shortened; no label is looked
    at. whole, cropped: descriptions float32[n, DESCRIPTION] of pictures and of a part of each.
    """
    rows, parts = rooted(whole), rooted(cropped)
    mean = rows.mean(0)
    spread, axes = torch.linalg.eigh((rows - parts).T @ (rows - parts) / len(rows))
    steady = axes * (spread.clamp(min=0) + _STEADINESS * spread.mean()) ** -0.5 @ axes.T
    rows -= mean
    _, main = leading(steady @ (rows.T @ rows / len(rows)) @ steady, DIM)
    return Head(mean, (steady @ main).T.contiguous(), torch.zeros(DIM))


def mixed_head(
    kept: Head, alike: Head, taught: Head, descriptions: Tensor, label: Tensor, *, drawn: Tensor
) -> MixedHead:
    """All three, in the 256 dimensions that hold most over these pictures. label: int64[n], -1: nobody said. drawn:
    bool[n], of no photograph.
    """
    with torch.no_grad():
        vectors = kept(rooted(descriptions))
        told = sorted({one for one in label.tolist() if one >= 0})
        kinds = torch.stack([vectors[label == one].mean(0) for one in told])
        length = torch.tensor([_DRAWN_LENGTH if drawn[label == one].all() else 1.0 for one in told])
        kinds = functional.normalize(kinds, dim=1) * length[:, None]
        apart = MixedHead(kept, alike, taught, kinds, torch.empty(0)).side_by_side(descriptions)
        _, axes = leading(apart.T @ apart / len(apart), DIM)
        return MixedHead(kept, alike, taught, kinds, axes.T.contiguous())


def mixed_node(graph: Graph, head: MixedHead, description: str) -> str:
    """The name of the output `vector`: `MixedHead` of a description that `description_node` made, not normalised."""
    graph.node("Sqrt", ["pooled"], "roots")
    graph.node("LpNormalization", ["roots"], "roots.unit", axis=1, p=2)
    graph.node("Mul", ["opinion", _number(graph, "kept.opinion", _KEPT_OPINION)], "said")
    graph.node("Concat", ["roots.unit", "said"], "rooted", axis=1)
    heads = {"kept": (head.kept, "rooted"), "alike": (head.alike, description), "taught": (head.taught, description)}
    for name, (one, given) in heads.items():
        linear_node(graph, name, one, given, name, coarse=name != "taught")
        graph.node("LpNormalization", [name], f"{name}.unit", axis=1, p=2)
    kinds = graph.weight("kinds", np.ascontiguousarray(head.kinds.T.numpy()))
    graph.node("ReduceMax", [graph.node("MatMul", ["kept.unit", kinds], "kinship")], "near", axes=[1], keepdims=1)
    graph.node("Sub", ["near", _number(graph, "half.way", _NEAR)], "beyond")
    graph.node("Sigmoid", [graph.node("Div", ["beyond", _number(graph, "width", _WIDTH)], "steps")], "known")
    graph.node("Mul", ["known", _number(graph, "range", MOST_TAUGHT - LEAST_TAUGHT)], "more")
    graph.node("Add", ["more", _number(graph, "least", LEAST_TAUGHT)], "taught.share")
    graph.node("Sub", [_number(graph, "all", 1.0), "taught.share"], "rest")
    for name, share in (("kept", 1 - ALIKE_SHARE), ("alike", ALIKE_SHARE)):
        graph.node("Mul", ["rest", _number(graph, f"{name}.of.it", share)], f"{name}.share")
    for name in heads:
        graph.node("Mul", [f"{name}.unit", graph.node("Sqrt", [f"{name}.share"], f"{name}.length")], f"{name}.part")
    graph.node("Concat", [f"{name}.part" for name in heads], "side.by.side", axis=1)
    return graph.node(
        "MatMul", ["side.by.side", graph.weight("join.w", np.ascontiguousarray(head.join.T.numpy()))], "vector"
    )


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


def answering(head: MixedHead, descriptions: Tensor) -> Tensor:
    """float32[256, 256]: a word that was placed among the taught head's vectors, times this, scores a picture as it did
    there, whatever share of the picture is taught.

    It is the ridge regression of the taught head's vectors on the mixed one's. Each picture is looked at with other
    shares too, so that what is alike in the other parts stands for the taught one where that is short.
    """
    square, wanted = torch.zeros(DIM, DIM), torch.zeros(DIM, DIM)
    with torch.no_grad():
        taught = head.taught(descriptions)
        for share, told in ((None, 1.0), *((one, _OTHER_SHARES_TELL) for one in _OTHER_SHARES)):
            vectors = functional.normalize(head.side_by_side(descriptions, share) @ head.join.T, dim=1)
            square += told * vectors.T @ vectors
            wanted += told * vectors.T @ taught
        ridge = _RIDGE * square.diagonal().mean()
        return torch.linalg.solve(square + ridge * torch.eye(DIM), wanted).T.contiguous()


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
    onnx.checker.check_model(made)
    return made


def read_taught(image: onnx.ModelProto) -> Head:
    """The head of an image tower that `image_model` wrote of a taught head."""
    stored = {one.name: numpy_helper.to_array(one).astype(np.float32) for one in image.graph.initializer}
    weight, bias = torch.tensor(stored["head.w.half"].T.copy()), torch.tensor(stored["head.b"])
    return Head(torch.zeros(weight.shape[1]), weight, bias)


def _number(graph: Graph, name: str, value: float) -> str:
    return graph.constant(name, np.array(value, np.float32))
