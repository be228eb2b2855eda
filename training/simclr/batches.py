"""What each step trains on, decided by seed and step alone: a resumed run and any number of ranks see the same."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from omma.vectors import Int64
from training.simclr.augment import UNIFORMS, Augmentation
from training.simclr.distributed import Ranks
from training.simclr.pairs import Pairs
from training.simclr.pictures import UInt8


def seed_of(*words: int) -> int:
    """One seed out of several numbers, 0 ... 2^63 - 1. Pure."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(frozen=True, slots=True)
class Batch:
    """rows: int64[2, batch], the pictures of both sides, of all ranks. uniforms: float32[2, batch, UNIFORMS]."""

    rows: Int64
    uniforms: Tensor

    def local(self, ranks: Ranks) -> "Batch":
        """This rank's share."""
        each = self.rows.shape[1] // ranks.size
        part = slice(ranks.rank * each, (ranks.rank + 1) * each)
        return Batch(self.rows[:, part], self.uniforms[:, part])

    def by_rank(self, ranks: Ranks) -> Int64:
        """Pictures in the order in which embeddings are gathered: a rank's first side, its second, the next rank."""
        return self.rows.reshape(2, ranks.size, -1).transpose(1, 0, 2).reshape(-1)


@dataclass(frozen=True, slots=True)
class Sampler:
    """count: pictures to train on. size: of a batch over all ranks. pair_share: of the pictures that have partners,
    how many meet one instead of themselves."""

    count: int
    size: int
    seed: int
    pairs: Pairs
    pair_share: float = 0.0

    @property
    def steps(self) -> int:
        """Of an epoch; the last pictures that fill no batch wait for the next epoch's order."""
        return self.count // self.size

    def batch(self, step: int) -> Batch:
        """The batch of a step counted over all epochs."""
        epoch, place = divmod(step, self.steps)
        order = np.random.default_rng(seed_of(self.seed, 0, epoch)).permutation(self.count)
        first = self._told_apart(order[place * self.size : (place + 1) * self.size].astype(np.int64), step)
        rng = np.random.default_rng(seed_of(self.seed, 1, step))
        second = first.copy()
        for number, (chance, which) in enumerate(rng.random((self.size, 2))):
            if chance < self.pair_share:
                partner = self.pairs.partner(int(first[number]), float(which))
                second[number] = first[number] if partner is None else partner
        uniforms = rng.random((2, self.size, UNIFORMS), np.float32)
        return Batch(np.stack([first, second]), torch.from_numpy(uniforms))

    def _told_apart(self, rows: Int64, step: int) -> Int64:
        """The batch with hard negatives: of pictures that must be told from others, pair_share meet one of those, which
        takes the next place. An epoch shows what had that place to no one else: it comes again in the next.
        """
        if not self.pairs.apart:
            return rows
        rng = np.random.default_rng(seed_of(self.seed, 3, step))
        met = rows.copy()
        taken = np.zeros(self.size, bool)
        for number, (chance, which) in enumerate(rng.random((self.size, 2))):
            opposite = self.pairs.opposite(int(rows[number]), float(which))
            if taken[number] or opposite is None or chance >= self.pair_share:
                continue
            place = (number + 1) % self.size
            met[place] = opposite
            taken[[number, place]] = True
        return met


@dataclass(frozen=True, slots=True)
class Views:
    """Augmented pictures as the network takes them. pixels: uint8[n, side, side, 3]. mean, std: of 0 ... 255."""

    pixels: UInt8
    augmentation: Augmentation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    device: torch.device

    def make(self, batch: Batch, start: int, stop: int) -> Tensor:
        """Views start ... stop of a local batch, first sides before second: float32[stop - start, 3, size, size]."""
        rows = batch.rows.reshape(-1)[start:stop]
        uniforms = batch.uniforms.reshape(-1, UNIFORMS)[start:stop]
        pictures = torch.from_numpy(self.pixels[rows]).to(self.device)
        views = self.augmentation.views(pictures, uniforms.to(self.device))
        return self.normalised(views * 255)

    def normalised(self, planes: Tensor) -> Tensor:
        """float[n, 3, side, side], 0 ... 255, as the network takes it."""
        mean = torch.tensor(self.mean, device=planes.device)[:, None, None]
        std = torch.tensor(self.std, device=planes.device)[:, None, None]
        return ((planes - mean) / std).contiguous(memory_format=torch.channels_last)
