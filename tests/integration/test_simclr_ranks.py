"""Two real processes over gloo: the loss and the gradients of one process with the joint batch."""

import os
import socket
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import multiprocessing, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

from training.simclr.distributed import Ranks, gathered, joined  # noqa: E402
from training.simclr.gradients import Chunks, backward  # noqa: E402
from training.simclr.losses import contrastive_loss  # noqa: E402
from training.simclr.small_cnn import SmallCnn  # noqa: E402

PICTURES, SIDE, RANKS = 8, 16, 2


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(SmallCnn(), nn.Linear(256, 16)).double()

    def forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
        return functional.normalize(self.body(pixels), dim=1)


def learned(ranks: Ranks, chunk: int) -> tuple[float, list["torch.Tensor"]]:
    """The local loss and every gradient after this rank's share of one batch."""
    sides = torch.randn(2, PICTURES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    each = PICTURES // ranks.size
    local = sides[:, ranks.rank * each : (ranks.rank + 1) * each].flatten(0, 1)
    network = Tower()
    said: list[float] = []

    def loss(views: "torch.Tensor") -> "torch.Tensor":
        value, _ = contrastive_loss(
            views, gathered(views, ranks), first=ranks.rank * len(local), temperature=0.07, kind="nt-xent"
        )
        said.append(float(value.detach()))
        return value

    spread = DistributedDataParallel(network) if ranks.size > 1 else network
    chunks = Chunks(len(local), chunk, lambda start, stop: local[start:stop], seed=0)
    backward(spread, lambda module, rows: module(rows), chunks, loss)
    return said[0], [one.grad for one in network.parameters()]


def one_rank(rank: int, port: int, folder: str) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    with joined("cpu") as ranks:
        made = {chunk: learned(ranks, chunk) for chunk in (PICTURES, 3)}
    torch.save(made, Path(folder) / f"{rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[int, tuple[float, list["torch.Tensor"]]]]:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    multiprocessing.spawn(one_rank, (port, str(folder)), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


@pytest.mark.parametrize("chunk", [PICTURES, 3], ids=["at once", "in chunks"])
def test_loss_and_gradients_are_those_of_the_joint_batch(
    ranks: list[dict[int, tuple[float, list["torch.Tensor"]]]], chunk: int
):
    loss, gradients = learned(Ranks(0, 1, torch.device("cpu")), 2 * PICTURES)
    assert sum(rank[chunk][0] for rank in ranks) / RANKS == pytest.approx(loss, rel=1e-10)
    assert ranks[0][chunk][0] != pytest.approx(loss, rel=1e-6)
    for rank in ranks:
        for one, joint in zip(rank[chunk][1], gradients, strict=True):
            assert joint.abs().max() > 0
            torch.testing.assert_close(one, joint, rtol=1e-8, atol=1e-10)
