"""Everything that fitting needs, in memory: a row a picture."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.mini.backbone import Lite0, pretrained
from training.mini.colours import colour_shares
from training.mini.description import described
from training.mini.features import CLEAN, CROPPED, FeatureReader
from training.mini.photographs import Photograph, draw_pictures, photographs

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """pooled, teacher: float32[n, 1280], of the whole picture. described, described_crop: float32[n, 2344], what a head
    is given of the picture and of a random crop of it; of a held-out picture, the whole one's twice.
    chances: float32[n, 1000], what both backbones take it for; rows sum to 1.
    colours: float32[n, 11]. label: int64[n], a row of label_names or -1.
    """

    pictures: list[Photograph]
    network: Lite0
    pooled: Tensor
    teacher: Tensor
    described: Tensor
    described_crop: Tensor
    chances: Tensor
    colours: Tensor

    @cached_property
    def label_names(self) -> list[str]:
        return sorted({one.label for one in self.pictures if one.label})

    @cached_property
    def label(self) -> Tensor:
        at = {name: row for row, name in enumerate(self.label_names)}
        return torch.tensor([at.get(one.label, -1) for one in self.pictures])

    @cached_property
    def set(self) -> npt.NDArray[np.str_]:
        return np.array([one.set for one in self.pictures])

    @cached_property
    def held_out(self) -> Bool:
        return np.array([one.held_out for one in self.pictures])

    def measured(self, name: str) -> Bool:
        """Held-out pictures of this set that have a label: bool[n]."""
        chosen: Bool = self.held_out & (self.set == name) & (self.label.numpy() >= 0)
        return chosen


def read_table(data: Path, teacher: Path, cache: Path, threads: int = 1) -> Table:
    """Reads what is cached and computes the rest: some 8 minutes on two. Blocks."""
    draw_pictures(cache / "drawn")
    pictures = photographs(data, cache / "drawn")
    paths = [one.path for one in pictures]
    reader = FeatureReader(teacher, threads)
    whole = reader.read(paths, CLEAN, cache / "features" / CLEAN.name)
    trained = np.array([not one.held_out for one in pictures])
    crops = reader.read([one.path for one in pictures if not one.held_out], CROPPED, cache / "features" / CROPPED.name)
    kept = cache / "colours.npy"
    if not kept.exists():
        np.save(kept, colour_shares(paths))
    pooled = torch.tensor(np.asarray(whole.pooled, np.float32))
    network = pretrained()
    description = described(network, pooled, torch.tensor(np.asarray(whole.palette, np.float32)))
    description_crop = description.clone()
    description_crop[torch.tensor(trained)] = described(
        network,
        torch.tensor(np.asarray(crops.pooled, np.float32)),
        torch.tensor(np.asarray(crops.palette, np.float32)),
    )
    ours = functional.log_softmax(pooled @ network.classifier_weight.T + network.classifier_bias, dim=1)
    theirs = functional.log_softmax(torch.tensor(np.asarray(whole.logits[:, 1:], np.float32)), dim=1)
    return Table(
        pictures=pictures,
        network=network,
        pooled=pooled,
        described=description,
        described_crop=description_crop,
        teacher=torch.tensor(np.asarray(whole.teacher, np.float32)),
        chances=functional.softmax((ours + theirs) / 2, dim=1),
        colours=torch.tensor(np.load(kept)),
    )
