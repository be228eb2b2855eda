"""The photographs of training and measuring: where each lies, what it shows, and on which side it is."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from omma.evaluation import held_out
from services.standalone.sample.catalogue import samples

SETS: Final = ("clothing", "caltech-101", "grocery")
"""Each is measured by itself."""
DRAWN: Final = "drawn"
"""Pictures of the sample catalogue's kinds, drawn from other seeds than the demo's."""

_DRAWN_SEEDS: Final = (101, 102)
_UNTOLD_GARMENTS: Final = frozenset({"Not sure", "Other", "Skip"})


@dataclass(frozen=True, slots=True)
class Photograph:
    """label: what equal pictures share, unique over the sets; empty where nobody said. name: that label as words.

    words: further words for it, the most fitting first.
    """

    path: Path
    set: str
    label: str
    words: tuple[str, ...]
    held_out: bool


def photographs(data: Path, drawn: Path) -> list[Photograph]:
    """Every picture in an order that mixes the sets, the same on every machine. Raises FileNotFoundError. Blocks.

    data: the folder with clothing-cc0, caltech-101 and grocery. drawn: a folder that draw_pictures has filled.
    """
    found = [*_clothing(data / "clothing-cc0"), *_caltech(data / "caltech-101"), *_grocery(data / "grocery")]
    found += _drawn(drawn)
    Random(0).shuffle(found)
    return found


def draw_pictures(folder: Path) -> None:
    """Draw what is not there yet. Blocks: about 20 ms a picture."""
    from services.standalone.sample.catalogue import draw_catalogue

    for seed in _DRAWN_SEEDS:
        draw_catalogue(folder / str(seed), seed)


def _clothing(folder: Path) -> Iterator[Photograph]:
    with (folder / "labels.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image"])
    for row in rows:
        path = folder / "images" / f"{row['image']}.jpg"
        if path.exists():
            told = row["label"] not in _UNTOLD_GARMENTS
            label = row["label"] if told else ""
            yield Photograph(
                path, "clothing", label and f"clothing/{label}", (label,) if told else (), held_out(path.name)
            )


def _caltech(folder: Path) -> Iterator[Photograph]:
    for path in sorted(folder.glob("*/*.jpg")):
        name = path.parent.name
        yield Photograph(path, "caltech-101", f"caltech-101/{name}", (name,), held_out(path.name))


def _grocery(folder: Path) -> Iterator[Photograph]:
    with (folder / "classes.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    words = {int(number): (fine, coarse) for fine, number, coarse, _ in rows}
    for part in ("train.txt", "val.txt"):
        for line in (folder / part).read_text().splitlines():
            name, number, _ = (one.strip() for one in line.split(","))
            fine, coarse = words[int(number)]
            yield Photograph(folder / name, "grocery", f"grocery/{fine}", (fine, coarse), held_out(name))


def _drawn(folder: Path) -> Iterator[Photograph]:
    for seed in _DRAWN_SEEDS:
        for sample in samples(seed):
            _, kind, _ = sample.tags
            path = folder / str(seed) / sample.name
            yield Photograph(path, DRAWN, f"{DRAWN}/{kind}", (sample.caption, kind), held_out=False)
