"""The gradient of a contrastive loss over a batch that does not fit memory: cached gradients.

A contrastive loss does not split into the losses of small batches: every row needs every other as a negative. So the
embeddings of all chunks are computed without a graph, the loss gives the gradient of each embedding, and each chunk is
computed again to carry its part through the network (Gao et al. 2021, "GradCache", arXiv:2101.06983). Memory is that
of a chunk; the price is one more forward pass.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

Encoder: TypeAlias = Callable[[nn.Module, Tensor], Tensor]
"""How the network is called: a hook for autocast."""
Loss: TypeAlias = Callable[[Tensor], Tensor]
"""Embeddings of the whole local batch, float32[rows, d], to the scalar to differentiate."""


def backward(network: nn.Module, encode: Encoder, chunks: "Chunks", loss: Loss) -> None:
    """Add the gradient of loss(embeddings of all chunks) to the parameters of the network.

    Exact for a network that treats rows one by one; batch statistics are those of a chunk. Under
    DistributedDataParallel the ranks talk once, with the last chunk.
    """
    if len(chunks) == 1:
        torch.autograd.backward(loss(encode(network, chunks.rows(0))))
        return
    plain = network.module if isinstance(network, DistributedDataParallel) else network
    with torch.no_grad(), _statistics_held(plain):
        embedded = torch.cat([encode(plain, chunks.rows(number)) for number in range(len(chunks))])
    embedded.requires_grad_()
    torch.autograd.backward(loss(embedded))
    if embedded.grad is None:
        raise RuntimeError("the loss does not depend on the embeddings")
    parts = torch.split(embedded.grad, chunks.sizes)
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        quiet = network.no_sync() if isinstance(network, DistributedDataParallel) and not last else nullcontext()
        with quiet:
            torch.autograd.backward((encode(network, chunks.rows(number)) * part).sum())


class Chunks:
    """A batch in pieces, each made when it is asked for, twice the same.

    make: rows start ... stop of the batch, on the device. seed: of torch's own random numbers (dropout) in a chunk.
    """

    def __init__(self, count: int, chunk: int, make: Callable[[int, int], Tensor], seed: int) -> None:
        self._bounds = [(start, min(start + chunk, count)) for start in range(0, count, chunk)]
        self._make = make
        self._seed = seed

    def __len__(self) -> int:
        return len(self._bounds)

    @property
    def sizes(self) -> list[int]:
        return [stop - start for start, stop in self._bounds]

    def rows(self, number: int) -> Tensor:
        """The rows of a chunk; torch's generators stand where they stood the last time."""
        made = self._make(*self._bounds[number])
        torch.manual_seed(self._seed + number)
        return made


@contextmanager
def _statistics_held(network: nn.Module) -> Iterator[None]:
    """Running statistics must not see a batch twice."""
    held = [(one, one.momentum) for one in network.modules() if isinstance(one, _BatchNorm)]
    for one, _ in held:
        one.momentum = 0.0
    try:
        yield
    finally:
        for one, momentum in held:
            one.momentum = momentum
