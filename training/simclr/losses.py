"""InfoNCE and NT-Xent over embeddings of pairs: row i and row i + n are two views that belong together."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Negatives: TypeAlias = Literal["nt-xent", "info-nce"]
"""nt-xent: every other view of the batch (SimCLR). info-nce: views of the other side alone (van den Oord 2018)."""


def contrastive_loss(
    anchors: Tensor, candidates: Tensor, *, first: int, temperature: float, kind: Negatives, kin: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of finding each anchor's partner among the candidates, and the share that found it first.

    anchors: float32[2n, d], unit rows; they are rows first ... first + 2n of candidates float32[2N, d], which are
    blocks [n first views, n second views], one a rank. kin: bool[2n, 2N], candidates known to belong to an anchor:
    neither they nor an anchor itself are negatives. The mean over all ranks is the loss of their joint batch.
    """
    count = len(anchors)
    rows = torch.arange(count, device=anchors.device)
    partner = first + (rows + count // 2) % count
    left_out = torch.zeros(count, len(candidates), dtype=torch.bool, device=anchors.device)
    if kin is not None:
        left_out |= kin
    left_out[rows, first + rows] = True
    if kind == "info-nce":
        side = torch.arange(len(candidates), device=anchors.device) % count >= count // 2
        left_out |= side[first : first + count, None] == side[None, :]
    left_out[rows, partner] = False
    logits = (anchors @ candidates.T / temperature).masked_fill(left_out, -torch.inf)
    found = (logits.detach().argmax(dim=1) == partner).float().mean()
    return functional.cross_entropy(logits, partner), found
