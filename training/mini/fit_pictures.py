"""Fits the taught head and its anchors to cached features; training.mini.mixed makes of it what is shipped.

The head starts as the linear map that best tells what both backbones together see and take a picture for (side by
side, centred, reduced to 256 dimensions). It is then drawn towards labels a little.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.mini.colours import COLOURS
from training.mini.components import leading
from training.mini.description import described_classes
from training.mini.head import TAUGHT_DIM, Anchors, Head
from training.mini.photographs import DRAWN, SETS
from training.mini.table import Bool, Table

_SEED: Final = 7
_NEVER: Final = -1e4
_WHITENING: Final = 0.25
"""Components are divided by their spread to this power: 0 is plain PCA, 1 would whiten. Measured in ADR 0007."""
_OPINION: Final = 0.7
"""Length of both backbones' opinion beside the features of each, which are 1 long. Measured in ADR 0007."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the losses."""

    similar: float = 1.0
    classes: float = 0.3
    pairs: float = 0.3
    labels: float = 0.2
    colours: float = 0.06
    steps: int = 300
    settle: int = 60
    batch: int = 384


@dataclass(frozen=True, slots=True)
class PictureModel:
    head: Head
    anchors: Anchors

    def vectors(self, features: Tensor) -> Tensor:
        """Unit float32[n, 256]."""
        with torch.no_grad():
            made: Tensor = self.head(features)
        return made


def both_backbones(table: Table, train: Bool, dim: int = TAUGHT_DIM) -> Tensor:
    """What a head is to be like: unit float32[n, dim] from what both backbones see in a picture and take it for.

    Fitted on the rows of train.
    """
    seen = [functional.normalize(one, dim=1) for one in (table.pooled, table.teacher)]
    side_by_side = torch.cat([*seen, _OPINION * table.chances.sqrt()], dim=1)
    fitted = side_by_side[torch.tensor(train)]
    mean = fitted.mean(0)
    values, axes = leading((fitted - mean).T @ (fitted - mean) / len(fitted), dim)
    return functional.normalize((side_by_side - mean) @ axes * values ** (-_WHITENING / 2), dim=1)


def fit_pictures(table: Table, train: Bool, weights: Weights, *, report: bool = True) -> PictureModel:
    """train: bool[n], the rows that may be looked at. Deterministic on one machine. Blocks: two minutes on a core."""
    torch.manual_seed(_SEED)
    rng = np.random.default_rng(_SEED)
    target = both_backbones(table, train)
    head = alike_head(table, target, train)
    anchors = Anchors(described_classes(table.network), head, len(table.label_names), len(COLOURS))
    with torch.no_grad():
        vectors = head(table.described)
        for number in range(len(table.label_names)):
            those = torch.tensor(train) & (table.label == number)
            if those.any():
                anchors.label[number] = functional.normalize(vectors[those].mean(0), dim=0)
    fit = _Fit(table, train, head, anchors, _Losses(table, target, train), weights, rng, report)
    fit.descend(weights.steps, tune_head=True)
    fit.descend(weights.settle, tune_head=False)
    return PictureModel(head.eval(), anchors.eval())


def alike_head(table: Table, target: Tensor, train: Bool) -> Head:
    """The linear map that comes nearest to the target, of pictures and of a part of each; no label is looked at."""
    rows = torch.tensor(train)
    mean = table.described[rows].mean(0)
    given = torch.cat([table.described[rows], table.described_crop[rows]]) - mean
    wanted = torch.cat([target[rows], target[rows]])
    square = given.T @ given
    ridge = 1e-2 * square.diagonal().sum() / len(square)
    solved = torch.linalg.solve(square + ridge * torch.eye(len(square)), given.T @ wanted)
    return Head(mean, solved.T.contiguous(), torch.zeros(target.shape[1]))


class _Losses:
    """Each of a batch: rows int64[b] of the table and their unit vectors float32[b, 256]."""

    def __init__(self, table: Table, target: Tensor, train: Bool) -> None:
        self._table, self._target = table, target
        sets = [*SETS, DRAWN]
        self._set = torch.tensor([sets.index(one.set) for one in table.pictures])
        self._set_of_label = torch.tensor([sets.index(name.split("/")[0]) for name in table.label_names])
        counts = torch.bincount(table.label[torch.tensor(train) & (table.label >= 0)], minlength=len(table.label_names))
        self._absent = counts == 0

    def similar(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """Each picture's neighbours are those that both backbones together give it."""
        wanted = self._target[rows] @ self._target[rows].T
        made = vectors @ vectors.T
        itself = torch.eye(len(rows), dtype=torch.bool)
        shares = functional.softmax((wanted / 0.1).masked_fill(itself, _NEVER), dim=1)
        ranked = functional.log_softmax((made / 0.1).masked_fill(itself, _NEVER), dim=1)
        return functional.kl_div(ranked, shares, reduction="batchmean") + 5 * (made - wanted).square().mean()

    def pairs(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """Supervised contrastive loss among the pictures of one set (Khosla et al., 2020)."""
        label, own_set = self._table.label[rows], self._set[rows]
        told = label >= 0
        others = ~torch.eye(len(rows), dtype=torch.bool) & told[None]
        same = (label[:, None] == label[None]) & others & told[:, None]
        compared = (own_set[:, None] == own_set[None]) & others
        ranked = functional.log_softmax((vectors @ vectors.T / 0.1).masked_fill(~compared, _NEVER), dim=1)
        count = same.sum(1)
        found = count > 0
        return -((ranked * same).sum(1)[found] / count[found]).mean()

    def classes(self, rows: Tensor, vectors: Tensor, anchors: Anchors) -> Tensor:
        """The thousand classes are as near as both backbones take the picture for them."""
        scores = vectors @ anchors.classes().T * anchors.class_scale.exp()
        return functional.kl_div(
            functional.log_softmax(scores, dim=1), self._table.chances[rows], reduction="batchmean"
        )

    def labels(self, rows: Tensor, vectors: Tensor, anchors: Anchors) -> Tensor:
        """The picture's own label is the nearest, in its set and among all."""
        label = self._table.label[rows]
        told = label >= 0
        scores = vectors[told] @ anchors.labels().T * anchors.label_scale.exp()
        scores = scores.masked_fill(self._absent[None], _NEVER)
        elsewhere = self._set_of_label[None] != self._set[rows][told][:, None]
        within = functional.cross_entropy(scores.masked_fill(elsewhere, _NEVER), label[told])
        return within + 0.5 * functional.cross_entropy(scores, label[told])

    def colours(self, rows: Tensor, vectors: Tensor, anchors: Anchors) -> Tensor:
        """Each colour is as near as it has a share in the picture's middle."""
        scores = vectors @ anchors.colours().T * anchors.colour_scale.exp()
        return functional.kl_div(
            functional.log_softmax(scores, dim=1), self._table.colours[rows], reduction="batchmean"
        )


@dataclass(frozen=True, slots=True)
class _Fit:
    table: Table
    train: Bool
    head: Head
    anchors: Anchors
    losses: _Losses
    weights: Weights
    rng: np.random.Generator
    report: bool

    def descend(self, steps: int, *, tune_head: bool) -> None:
        self.head.requires_grad_(tune_head)
        rates = [1e-3, 5e-4, 2e-3, 3e-3]
        free = [
            self.anchors.label,
            self.anchors.colour,
            self.anchors.class_scale,
            self.anchors.label_scale,
            self.anchors.colour_scale,
        ]
        groups = [list(self.head.parameters()), [self.anchors.map], [self.anchors.own], free]
        decays = [0.0, 0.01, 0.3, 0.0]
        optimiser = torch.optim.AdamW(
            [{"params": group, "weight_decay": decay} for group, decay in zip(groups, decays, strict=True)]
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps, pct_start=0.1)
        allowed = np.flatnonzero(self.train)
        for step in range(steps):
            rows = torch.tensor(self.rng.choice(allowed, min(self.weights.batch, len(allowed)), replace=False))
            cropped = torch.tensor(self.rng.random(len(rows)) < 0.4)
            given = torch.where(cropped[:, None], self.table.described_crop[rows], self.table.described[rows])
            vectors = self.head(given)
            parts = {
                "classes": self.weights.classes * self.losses.classes(rows, vectors, self.anchors),
                "labels": self.weights.labels * self.losses.labels(rows, vectors, self.anchors),
                "colours": self.weights.colours * self.losses.colours(rows, vectors, self.anchors),
            }
            if tune_head:
                parts["similar"] = self.weights.similar * self.losses.similar(rows, vectors)
                parts["pairs"] = self.weights.pairs * self.losses.pairs(rows, vectors)
            optimiser.zero_grad()
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch's stubs
            optimiser.step()
            schedule.step()
            if self.report and (step % 100 == 0 or step == steps - 1):
                print(
                    "pictures",
                    step,
                    *(f"{name} {float(part.detach()):.3f}" for name, part in parts.items()),
                    flush=True,
                )
