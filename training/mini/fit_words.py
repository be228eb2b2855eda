"""Fits the text tower to the vectors that concepts should have."""

from collections.abc import Mapping
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.mini.concepts import Concept, Float32
from training.mini.phrases import Phrases, plural
from training.mini.word_tower import WordTower

_SEED = 11
_RATES = (3e-3, 1.5e-3)
_MEANT = 0.15
"""Phrases below this confidence have no vector to learn."""


def fit_words(
    known: Mapping[str, Concept],
    colours: Mapping[str, Float32],
    abstract: list[str],
    tokenizers: tuple[Tokenizer, Tokenizer],
    *,
    steps: int = 2_400,
    batch: int = 192,
) -> WordTower:
    """tokenizers: as build_tokenizers makes them. Deterministic on one machine. Blocks: five minutes on a core."""
    torch.manual_seed(_SEED)
    chance = Random(_SEED)
    whole, pieces = tokenizers
    phrases = Phrases(known, colours, abstract, _SEED)
    tower = WordTower(whole.get_vocab_size())
    _place(tower, whole, known)
    rest = [value for name, value in tower.named_parameters() if not name.startswith("embedding")]
    optimisers = [torch.optim.SparseAdam([tower.embedding.weight]), torch.optim.Adam(rest)]
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(one, rate, total_steps=steps, pct_start=0.05, cycle_momentum=False)
        for one, rate in zip(optimisers, _RATES, strict=True)
    ]
    for step in range(steps):
        drawn = [phrases.draw() for _ in range(batch)]
        # What is cut into pieces may be guessed, and should be doubted.
        cut = [chance.random() < 0.12 for _ in drawn]
        tokens = torch.tensor(
            [(pieces if small else whole).encode(one.text).ids for one, small in zip(drawn, cut, strict=True)]
        )
        tokens = tokens[:, : int((tokens > 0).sum(1).max())]  # what is padding in every row costs time
        wanted = torch.tensor(np.stack([one.vector for one in drawn]))
        sure = torch.tensor(
            [min(0.3, 0.4 * one.confidence) if small else one.confidence for one, small in zip(drawn, cut, strict=True)]
        )
        loss, near, doubt = _loss(tower, tokens, wanted, torch.tensor([one.confidence for one in drawn]), sure)
        tower.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stubs
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"words {step} near {near:.3f} doubt {doubt:.3f}", flush=True)
    return tower.eval()


def _place(tower: WordTower, whole: Tokenizer, known: Mapping[str, Concept]) -> None:
    vocabulary = whole.get_vocab()
    placed: dict[int, Float32] = {}
    for word, concept in known.items():
        for form in (plural(word), word):
            if form in vocabulary:
                placed[vocabulary[form]] = concept.vector
    tower.place(torch.tensor(list(placed)), torch.tensor(np.stack(list(placed.values()))))


def _loss(
    tower: WordTower, tokens: Tensor, wanted: Tensor, weight: Tensor, sure: Tensor
) -> tuple[Tensor, float, float]:
    vectors, trust = tower(tokens)
    meant = weight >= _MEANT
    share = weight[meant] / weight[meant].sum()
    away = ((1 - (vectors[meant] * wanted[meant]).sum(1)) * share).sum()
    scores = vectors[meant] @ wanted[meant].T * 20.0
    told_apart = (
        functional.cross_entropy(
            scores, functional.softmax(wanted[meant] @ wanted[meant].T * 20.0, dim=1), reduction="none"
        )
        * share
    ).sum()
    doubt = functional.binary_cross_entropy(trust, sure)
    return away + 0.1 * told_apart + 0.5 * doubt, float(away.detach()), float(doubt.detach())
