"""Sentences that people say of a photograph, and how soon each finds its own, by the code that answers searches."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from omma.evaluation import Interval, interval
from training.mini.measure import Float32
from training.mini.typed import Speaker

_WRITTEN: Final = Path(__file__).with_name("captions.csv")


@dataclass(frozen=True, slots=True)
class Caption:
    """What somebody who looked at a held-out photograph wrote of it, without its label in mind."""

    path: Path
    set: str
    text: str


def captions(data: Path) -> list[Caption]:
    """The hundred that were written for this, in the order of their sets. data: the folder that the sets lie in."""
    with _WRITTEN.open(newline="") as file:
        return [
            Caption(data / row["photograph"], row["photograph"].partition("/")[0].removesuffix("-cc0"), row["caption"])
            for row in csv.DictReader(file)
        ]


def found_within(speaker: Speaker, texts: list[str], pictures: Float32, firsts: tuple[int, ...]) -> dict[int, Interval]:
    """For each n of firsts how often a text finds its own picture among the first n.

    pictures: unit float32[m, dim], the texts' own first, in their order, then others that are sought among.
    """
    vectors = np.stack([speaker.said(text)[0] for text in texts])
    scores = vectors @ pictures.T
    before = (scores > np.diagonal(scores)[:, np.newaxis]).sum(axis=1)
    return {n: interval((before < n).astype(np.float64)) for n in firsts}
