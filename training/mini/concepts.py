"""Which vector each word should have: from the anchors of what was seen, by name, by kinship and by WordNet's tree."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from training.mini.colours import COLOURS
from training.mini.photographs import DRAWN, Photograph
from training.mini.wordnet import VISIBLE, Neighbourhood, SynsetId, WordNet

Float32 = npt.NDArray[np.float32]

OTHER_COLOURS: Final = {
    "gray": {"grey": 1.0},
    "crimson": {"red": 1.0},
    "scarlet": {"red": 1.0},
    "maroon": {"red": 1.0, "brown": 0.7},
    "burgundy": {"red": 1.0, "purple": 0.5},
    "navy": {"blue": 1.0, "black": 0.5},
    "dark blue": {"blue": 1.0, "black": 0.5},
    "light blue": {"blue": 1.0, "white": 0.5},
    "turquoise": {"blue": 1.0, "green": 1.0},
    "teal": {"blue": 1.0, "green": 1.0},
    "cyan": {"blue": 1.0, "green": 0.5},
    "violet": {"purple": 1.0},
    "lilac": {"purple": 1.0, "pink": 0.5},
    "magenta": {"pink": 1.0, "purple": 0.7},
    "beige": {"brown": 0.6, "white": 0.8},
    "cream coloured": {"white": 1.0, "yellow": 0.4},
    "khaki": {"brown": 0.7, "green": 0.5},
    "olive green": {"green": 1.0, "brown": 0.5},
    "golden": {"yellow": 1.0, "orange": 0.6},
    "silver": {"grey": 1.0, "white": 0.5},
}

_SPELT: Final = {
    "water lilly": "water lily",
    "yin yang": "yin and yang",
    "car side": "car",
    "outwear": "outerwear",
    "longsleeve": "long sleeve shirt",
    "satsumas": "satsuma",
    "carrots": "carrot",
    "leopards": "leopard",
    "motorbikes": "motorbike",
}


@dataclass(frozen=True, slots=True)
class Concept:
    """vector: unit float32[256]. confidence: 0 … 1. core: what a user is likely to type; trained on more often."""

    vector: Float32
    confidence: float
    core: bool = False


@dataclass(slots=True)
class Anchored:
    """The anchors as numbers. classes: float32[1000, d]; class_names: of each, the usual name first; labels by name."""

    classes: Float32
    class_names: list[list[str]]
    labels: dict[str, Float32]
    colours: Float32
    by_name: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for row, names in enumerate(self.class_names):
            for name in names:
                self.by_name[plain(name)].append(row)


def read_class_names(path: Path) -> list[list[str]]:
    """The thousand classes' synonyms, in the classifier's order. path: 1,001 lines, `background` first."""
    _, *lines = path.read_text().splitlines()
    return [[name.strip() for name in line.split(",")] for line in lines]


def plain(text: str) -> str:
    """Lower case, words apart: `Car_side` is `car side`."""
    return re.sub(r"[\s_-]+", " ", text.lower()).strip()


def concepts(anchored: Anchored, net: WordNet, kin: Path, pictures: list[Photograph]) -> dict[str, Concept]:
    """Every phrase that is taught, later rules over earlier ones: tree, classes, kin, labels, colours."""
    made: dict[str, Concept] = _from_tree(anchored, net)
    for name, rows in anchored.by_name.items():
        made[name] = Concept(_unit(anchored.classes[rows].sum(0)), 1.0, core=True)
    made |= _from_kin(anchored, kin)
    _add_labels(made, anchored, pictures)
    _add_drawn(made, anchored, pictures)
    for row, colour in enumerate(COLOURS):
        made[colour] = Concept(anchored.colours[row], 0.9, core=True)
    for name, mix in OTHER_COLOURS.items():
        made[name] = Concept(_mixed_colour(anchored, mix), 0.7, core=True)
    made["orange"] = Concept(_unit(made["orange"].vector + made["oranges"].vector), 0.9, core=True)
    return made


def colour_vectors(anchored: Anchored) -> dict[str, Float32]:
    """Unit vectors by name, mixed ones among them."""
    known = {colour: anchored.colours[row] for row, colour in enumerate(COLOURS)}
    return known | {name: _mixed_colour(anchored, mix) for name, mix in OTHER_COLOURS.items()}


def _from_tree(anchored: Anchored, net: WordNet) -> dict[str, Concept]:
    vector_of: dict[SynsetId, Float32] = {}
    for row, names in enumerate(anchored.class_names):
        found = net.named(names, animal=row <= 397)  # the classes' own order: animals first
        if found is not None:
            vector_of.setdefault(found, anchored.classes[row])
    near = Neighbourhood(net, frozenset(vector_of))
    made = {}
    for lemma, senses in net.senses.items():
        if len(lemma.split()) > 3 or len(lemma) < 3 or any(one.isdigit() for one in lemma):
            continue
        total, shares, sure = np.zeros(anchored.classes.shape[1], np.float32), 0.0, 0.0
        for rank, sense in enumerate(senses[:4]):
            share = 1.0 / (rank + 1) ** 1.5
            shares += share
            if net.synsets[sense].file not in VISIBLE:
                continue
            found_near = near.near(sense)
            mean = sum((weight * vector_of[one] for one, weight in found_near.weights.items()), np.zeros_like(total))
            # Kinds that look alike agree, and their mean is long; those of an artefact cancel out.
            agreement = min(1.0, float(np.linalg.norm(mean)) / 0.7)
            total += share * found_near.closeness * mean
            sure += share * found_near.closeness * agreement
        confidence = 0.85 * sure / shares
        if float(np.linalg.norm(total)) > 1e-6 and (confidence >= 0.25 or lemma in net.frequent):
            made[plain(lemma)] = Concept(_unit(total), confidence)
    return made


def _from_kin(anchored: Anchored, kin: Path) -> dict[str, Concept]:
    made: dict[str, Concept] = {}
    confidence = 1.0
    for line in kin.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            confidence = float(line.strip("[]"))
            continue
        words, _, listed = line.partition(":")
        total = np.zeros(anchored.classes.shape[1], np.float32)
        for one in listed.split(","):
            name, _, weight = one.strip().partition("*")
            total += float(weight or 1) * _kin_vector(anchored, name)
        for word in words.split(","):
            made[plain(word)] = Concept(_unit(total), confidence, core=True)
    return made


def _kin_vector(anchored: Anchored, name: str) -> Float32:
    if "/" in name:
        return anchored.labels[name]
    rows = anchored.by_name[plain(name)]
    if not rows:
        raise KeyError(f"{name!r} is no name of a class")
    return _unit(anchored.classes[rows].sum(0))


def _add_labels(made: dict[str, Concept], anchored: Anchored, pictures: list[Photograph]) -> None:
    """The labels' own names, as they are and well spelt; a name that several labels share (`apple`) is their mean."""
    named: dict[str, set[str]] = defaultdict(set)
    for one in pictures:
        if one.label and one.set != DRAWN:
            for words in one.words:
                named[plain(words)].add(one.label)
    for name, labels in named.items():
        vector = _unit(np.sum([anchored.labels[label] for label in sorted(labels)], axis=0))
        rows = anchored.by_name.get(name)
        if rows:
            vector = _unit(vector + 0.5 * _unit(anchored.classes[rows].sum(0)))
        for spelt in {name, _SPELT.get(name, name)}:
            if spelt == "car":  # `car side` is one look of a car
                continue
            made[spelt] = Concept(vector, 1.0, core=True)


def _add_drawn(made: dict[str, Concept], anchored: Anchored, pictures: list[Photograph]) -> None:
    """Kinds of the drawn pictures: alone where the word is for a shape or pattern, beside the photographs' else."""
    for kind in sorted({one.words[1] for one in pictures if one.set == DRAWN}):
        vector = anchored.labels[f"{DRAWN}/{kind}"]
        known = made.get(plain(kind))
        if known is not None and known.core:
            vector = _unit(known.vector + 0.5 * vector)
        made[plain(kind)] = Concept(vector, 0.85, core=True)


def _mixed_colour(anchored: Anchored, mix: dict[str, float]) -> Float32:
    return _unit(np.sum([weight * anchored.colours[COLOURS.index(one)] for one, weight in mix.items()], axis=0))


def _unit(vector: Float32) -> Float32:
    made: Float32 = (vector / np.linalg.norm(vector)).astype(np.float32)
    return made
