"""The contrastive loss says what the papers say."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from training.simclr.losses import contrastive_loss  # noqa: E402


def unit(rows: int, seed: int = 0) -> "torch.Tensor":
    made = torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return functional.normalize(made, dim=1)


def plain_nt_xent(views: "torch.Tensor", temperature: float) -> float:
    """SimCLR's algorithm 1, term by term."""
    n = len(views) // 2
    total = 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [math.exp(float(views[i] @ views[k]) / temperature) for k in range(2 * n) if k != i]
        total -= math.log(math.exp(float(views[i] @ views[partner]) / temperature) / sum(others))
    return total / (2 * n)


def plain_info_nce(views: "torch.Tensor", temperature: float) -> float:
    n = len(views) // 2
    total = 0.0
    for i in range(2 * n):
        other_side = range(n, 2 * n) if i < n else range(n)
        terms = {k: math.exp(float(views[i] @ views[k]) / temperature) for k in other_side}
        total -= math.log(terms[(i + n) % (2 * n)] / sum(terms.values()))
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_it_is_the_papers_sum(temperature: float):
    views = unit(10)
    loss, _ = contrastive_loss(views, views, first=0, temperature=temperature, kind="nt-xent")
    assert float(loss) == pytest.approx(plain_nt_xent(views, temperature), rel=1e-9)
    loss, _ = contrastive_loss(views, views, first=0, temperature=temperature, kind="info-nce")
    assert float(loss) == pytest.approx(plain_info_nce(views, temperature), rel=1e-9)


@pytest.mark.parametrize("kind", ["nt-xent", "info-nce"])
def test_the_mean_over_ranks_is_the_joint_batch(kind: str):
    sides = unit(12).reshape(2, 6, 8)
    joint, joint_found = contrastive_loss(sides.flatten(0, 1), sides.flatten(0, 1), first=0, temperature=0.1, kind=kind)
    # As ranks gather them: both sides of a rank's three pictures, then the next rank's.
    ranks = [sides[:, start : start + 3].flatten(0, 1) for start in (0, 3)]
    everything = torch.cat(ranks)
    parts = [
        contrastive_loss(own, everything, first=6 * rank, temperature=0.1, kind=kind) for rank, own in enumerate(ranks)
    ]
    assert float(sum(loss for loss, _ in parts)) / 2 == pytest.approx(float(joint), rel=1e-9)
    assert float(sum(found for _, found in parts)) / 2 == pytest.approx(float(joint_found))


def test_kin_are_no_negatives():
    """Two pictures that match: as if the other had not been in the batch."""
    views = unit(8)
    kin = torch.zeros(8, 8, dtype=torch.bool)
    for one, other in ((0, 1), (1, 0), (0, 5), (5, 0), (4, 1), (1, 4), (4, 5), (5, 4)):
        kin[one, other] = True
    terms = []
    for i in range(8):
        partner = (i + 4) % 8
        negatives = [k for k in range(8) if k not in (i, partner) and not kin[i, k]]
        there = [math.exp(float(views[i] @ views[k]) / 0.2) for k in (partner, *negatives)]
        terms.append(-math.log(there[0] / sum(there)))
    loss, _ = contrastive_loss(views, views, first=0, temperature=0.2, kind="nt-xent", kin=kin)
    assert float(loss) == pytest.approx(sum(terms) / 8, rel=1e-9)


def test_a_partner_is_found_however_kin_it_is():
    rows = unit(4)
    views = torch.cat([rows, rows])
    everyone = torch.ones(8, 8, dtype=torch.bool)
    loss, found = contrastive_loss(views, views, first=0, temperature=0.07, kind="nt-xent", kin=everyone)
    assert float(loss) == 0 and float(found) == 1
