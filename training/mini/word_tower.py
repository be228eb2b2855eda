"""The text tower: embedded tokens, their neighbours, a weighted mean, and how far it trusts itself."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.mini.head import TAUGHT_DIM

WIDTH: Final = 256
HIDDEN: Final = 384


class WordTower(nn.Module):
    """int64[n, length] tokens, 0 where there is none, to unit float32[n, 256] and confidence float32[n], 0 … 1."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH, sparse=True)
        nn.init.normal_(self.embedding.weight, std=0.01)
        self.near = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
        self.back = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
        self.weigh = nn.Linear(WIDTH, 1)
        self.widen = nn.Linear(WIDTH, HIDDEN)
        self.project = nn.Linear(WIDTH, TAUGHT_DIM)
        self.adjust = nn.Linear(HIDDEN, TAUGHT_DIM)
        self.doubt = nn.Linear(WIDTH, HIDDEN // 4)
        self.trust = nn.Linear(HIDDEN // 4, 1)
        for layer in (self.back, self.weigh, self.adjust):
            nn.init.normal_(layer.weight, std=0.005)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # each of them has one

    def place(self, tokens: Tensor, vectors: Tensor) -> None:
        """Start at once near what single tokens should become: int64[n] and unit float32[n, 256]."""
        with torch.no_grad():
            _, axes = torch.linalg.eigh(vectors.T @ vectors)
            basis = axes[:, -WIDTH:]
            self.project.weight.copy_(basis)
            self.project.bias.zero_()
            self.embedding.weight[tokens] = vectors @ basis

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        there = (tokens > 0).to(torch.float32)[:, :, None]
        embedded = self.embedding(tokens) * there
        context = self.back(functional.relu(self.near(embedded.transpose(1, 2)))).transpose(1, 2)
        seen = embedded + context
        share = torch.softmax(self.weigh(seen) - 1e4 * (1.0 - there), dim=1)
        pooled = (share * seen).sum(1)
        vector = self.project(pooled) + self.adjust(functional.relu(self.widen(pooled)))
        trust = self.trust(functional.relu(self.doubt(pooled)))
        return functional.normalize(vector, dim=1), torch.sigmoid(trust[:, 0])
