"""Cached gradients: a batch in chunks has the loss and the gradients of the batch at once."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from training.simclr.gradients import Chunks, backward  # noqa: E402
from training.simclr.losses import contrastive_loss  # noqa: E402
from training.simclr.small_cnn import SmallCnn  # noqa: E402

PIXELS = 12
"""Views: both sides of six pictures."""


class Tower(nn.Module):
    def __init__(self, *extra: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(SmallCnn(), *extra, nn.Linear(256, 16)).double()

    def forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
        return functional.normalize(self.body(pixels), dim=1)


def gradients(network: nn.Module, chunk: int) -> tuple[float, list["torch.Tensor"], int]:
    """The loss, every gradient, and the most rows that the network was given at a time."""
    pixels = torch.randn(PIXELS, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    said: list[float] = []
    most = 0

    def encode(network: nn.Module, rows: "torch.Tensor") -> "torch.Tensor":
        nonlocal most
        most = max(most, len(rows))
        return network(rows)

    def loss(views: "torch.Tensor") -> "torch.Tensor":
        value, _ = contrastive_loss(views, views, first=0, temperature=0.07, kind="nt-xent")
        said.append(float(value.detach()))
        return value

    chunks = Chunks(PIXELS, chunk, lambda start, stop: pixels[start:stop], seed=5)
    backward(network, encode, chunks, loss)
    return said[0], [one.grad for one in network.parameters()], most


@pytest.mark.parametrize("chunk", [1, 5, 6, 11])
def test_chunks_have_the_gradients_of_the_joint_batch(chunk: int):
    joint_loss, joint, _ = gradients(Tower(), PIXELS)
    loss, chunked, most = gradients(Tower(), chunk)
    assert most == chunk
    assert loss == pytest.approx(joint_loss, rel=1e-10)
    for one, other in zip(chunked, joint, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_chance_is_the_same_in_both_passes():
    """With dropout, one chunk a picture: the gradient must be that of the embeddings which the loss saw."""
    network = Tower(nn.Dropout(0.5))
    seen: list[torch.Tensor] = []
    network.register_forward_hook(lambda _module, _given, made: seen.append(made.detach().clone()))
    gradients(network, 4)
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert torch.equal(first, second)
    gradients(network, PIXELS)
    assert not torch.equal(seen[-1], first)


def test_running_statistics_see_a_batch_once():
    network = Tower(nn.BatchNorm1d(256))
    norm = network.body[1]
    means: list[torch.Tensor] = []
    norm.register_forward_hook(lambda _module, given, _made: means.append(given[0].detach().mean(dim=0)))
    gradients(network, 6)
    expected = torch.zeros(256, dtype=torch.float64)
    for mean in means[2:]:
        expected = 0.9 * expected + 0.1 * mean
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.momentum == 0.1
