"""Ranks of one training run: how they start, and how each sees the embeddings of all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ranks:
    """rank: this process's, of `size`. device: where it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every rank is here. Blocks."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The ranks that torchrun has started (RANK, WORLD_SIZE, LOCAL_RANK), or this process alone.

    device: `cpu`, `cuda` (a rank takes the one of its local rank) or `auto`. CUDA talks over NCCL, a CPU over gloo.
    """
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(place)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(0, 1, place)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Ranks(dist.get_rank(), size, place)
    finally:
        dist.destroy_process_group()


def gathered(rows: Tensor, ranks: Ranks) -> Tensor:
    """The rows of every rank in rank order, [size * n, ...]; gradients flow back to the rank that they came from."""
    if ranks.size == 1:
        return rows
    made: Tensor = _Gather.apply(rows, ranks)
    return made


class _Gather(torch.autograd.Function):
    """all_gather whose backward sums what every rank's loss asks of these rows (torch's own gives no gradient)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.count = ranks, len(rows)
        parts = [torch.empty_like(rows) for _ in range(ranks.size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        summed = gradient.contiguous()
        dist.all_reduce(summed)
        first = ctx.ranks.rank * ctx.count
        return summed[first : first + ctx.count], None
