"""How well held-out photographs find those of their label, before and after."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from omma.evaluation import Difference, compare, leave_one_out
from omma.evaluation.metrics import Float64
from omma.vectors import Float32
from training.simclr.batches import Views
from training.simclr.embedder import Embedder
from training.simclr.pictures import UInt8

_AT_A_TIME = 32


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit rows of the same pictures: the backbone's pooled features and the head's 256 dimensions."""

    features: Float32
    embeddings: Float32


def embed(model: Embedder, views: Views, pixels: UInt8, advanced: Callable[[int], None] = lambda _: None) -> Embedded:
    """pixels: uint8[n, side, side, 3]. In evaluation mode; the model's own mode is restored. Blocks."""
    was = {module: module.training for module in model.modules()}
    model.eval()
    features, embeddings = [], []
    with torch.no_grad():
        for start in range(0, len(pixels), _AT_A_TIME):
            part = torch.from_numpy(np.array(pixels[start : start + _AT_A_TIME])).to(views.device)
            found = model.features(views.normalised(part.permute(0, 3, 1, 2).float()))
            features.append(found.cpu())
            embeddings.append(model.project(found).cpu())
            advanced(len(part))
    for module, training in was.items():
        module.training = training
    return Embedded(torch.cat(features).numpy(), torch.cat(embeddings).numpy())


def average_precisions(vectors: Float32, labels: list[int]) -> Float64:
    """Of each picture that has another of its label: mAP leave-one-out is their mean. vectors: unit float32[n, d]."""
    return leave_one_out(vectors, np.asarray(labels)).average_precision


@dataclass(frozen=True, slots=True)
class Comparison:
    """of, to: what was compared, in words. difference: in mAP, second minus first."""

    of: str
    to: str
    difference: Difference


def comparisons(before: Embedded, after: Embedded, labels: list[int]) -> list[Comparison]:
    """The trained model against its start: the same layer, and the 256 dimensions against the starting features."""
    start = average_precisions(before.features, labels)
    head = average_precisions(after.embeddings, labels)
    rows = [
        ("start, pooled features", "trained, pooled features", start, average_precisions(after.features, labels)),
        ("start, pooled features", "trained, 256-d head", start, head),
        ("start, 256-d head", "trained, 256-d head", average_precisions(before.embeddings, labels), head),
    ]
    return [Comparison(of, to, compare(first, second)) for of, to, first, second in rows]
