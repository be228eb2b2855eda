"""The steps of a run: loss, gradients, one update, the same on every rank."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from omma.errors import WrongState
from training.simclr.backbones import Backbone
from training.simclr.batches import Batch, Sampler, Views, seed_of
from training.simclr.distributed import Ranks, gathered
from training.simclr.embedder import Embedder, train_last
from training.simclr.gradients import Chunks, backward
from training.simclr.losses import contrastive_loss
from training.simclr.options import Options
from training.simclr.precision import Precision

_WARM_UP: Final = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """loss, and found: the share of views whose partner was the nearest, both over all ranks. rate: of learning."""

    loss: float
    found: float
    rate: float


class Trainer:
    """Holds what changes while a run goes on. Every rank makes one, with the same arguments but ranks."""

    def __init__(
        self,
        options: Options,
        *,
        backbone: Backbone,
        model: Embedder,
        sampler: Sampler,
        views: Views,
        ranks: Ranks,
        precision: Precision,
    ) -> None:
        self._options, self._backbone, self._model = options, backbone, model
        self._sampler, self._views, self._ranks, self._precision = sampler, views, ranks, precision
        self._optimizer = _optimizer(model, options)
        self._network: nn.Module = model
        self.total_steps: Final = options.epochs * sampler.steps

    def begin_epoch(self, epoch: int) -> None:
        """Freeze and free what this epoch trains; before its first step, and before the first step after a resume."""
        options = self._options
        stages = 0 if epoch < options.head_epochs else options.trained_stages
        train_last(self._model, self._backbone, min(stages, len(self._backbone.stages)))
        if self._ranks.size > 1:
            self._network = DistributedDataParallel(self._model)

    def step(self, number: int) -> Step:
        """Learn from the batch of this step. Raises WrongState when the loss is no longer finite."""
        rate = self._rate(number)
        batch = self._sampler.batch(number)
        local = batch.local(self._ranks)
        views = local.rows.size
        seed = seed_of(self._options.seed, 2, number, self._ranks.rank)
        chunks = Chunks(views, self._options.chunk or views, lambda *part: self._views.make(local, *part), seed)
        kin = self._kin(local, batch)
        said: list[Tensor] = []

        def loss(embedded: Tensor) -> Tensor:
            value, found = contrastive_loss(
                embedded,
                gathered(embedded, self._ranks),
                first=self._ranks.rank * views,
                temperature=self._options.temperature,
                kind=self._options.loss,
                kin=kin,
            )
            said.append(torch.stack([value.detach(), found]))
            return self._precision.scaler.scale(value)

        self._optimizer.zero_grad()
        backward(self._network, self._encode, chunks, loss)
        mean, found = self._over_ranks(said[0])
        if not math.isfinite(mean):
            raise WrongState(f"The loss is {mean} at step {number}: lower the rate.", field="learning_rate")
        self._precision.scaler.step(self._optimizer)
        self._precision.scaler.update()
        return Step(mean, found, rate)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on besides its number."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._precision.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """What `state` gave."""
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._precision.scaler.load_state_dict(state["scaler"])

    def _encode(self, network: nn.Module, pixels: Tensor) -> Tensor:
        with self._precision.autocast():
            embedded: Tensor = network(pixels)
        return embedded.float()

    def _kin(self, local: Batch, batch: Batch) -> Tensor | None:
        if self._sampler.pairs.none:
            return None  # each picture comes once: only its own views are kin
        kin = self._sampler.pairs.kin(local.rows.reshape(-1), batch.by_rank(self._ranks))
        return torch.from_numpy(kin).to(self._ranks.device)

    def _rate(self, number: int) -> float:
        """Warmed up over the first steps, then half a cosine down to 0; set in the optimiser."""
        warm = max(1, round(_WARM_UP * self.total_steps))
        share = (
            (number + 1) / warm
            if number < warm
            else 0.5 * (1 + np.cos(np.pi * (number - warm) / max(1, self.total_steps - warm)))
        )
        rate = float(share * self._options.learning_rate)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        return rate

    def _over_ranks(self, said: Tensor) -> tuple[float, float]:
        if self._ranks.size > 1:
            dist.all_reduce(said)
            said /= self._ranks.size
        return float(said[0]), float(said[1])


def _optimizer(model: Embedder, options: Options) -> torch.optim.Optimizer:
    """AdamW; biases and norms do not decay."""
    groups = []
    for part, scale in ((model.head, 1.0), (model.backbone, options.backbone_rate)):
        for decays in (True, False):
            parameters = [one for one in part.parameters() if (one.ndim > 1) == decays]
            if parameters:
                decay = options.weight_decay if decays else 0.0
                groups.append({"params": parameters, "weight_decay": decay, "scale": scale})
    return torch.optim.AdamW(groups, lr=options.learning_rate)
