"""What people type: concepts in sentences, with colours, in the plural, in pairs, and what is no word at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from training.mini.concepts import Concept, Float32

_COLOUR_SHARE: Final = 0.5
"""Of a colour beside its noun: a red dress is a dress first."""

_ABOUT: Final = (
    "a photo of {a}",
    "a photo of {a}",
    "a photo of the {n}",
    "photo of {a}",
    "a picture of {a}",
    "picture of {n}",
    "an image of {a}",
    "image of {n}",
    "a photograph of {a}",
    "{a}",
    "{a}",
    "the {n}",
    "my {n}",
    "this is {a}",
    "some {p}",
    "two {p}",
    "many {p}",
    "{p}",
    "{p}",
    "a photo of {p}",
    "pictures of {p}",
    "a close-up of {a}",
    "close up photo of {a}",
    "a bad photo of {a}",
    "a good photo of {a}",
    "a drawing of {a}",
    "a cropped photo of {a}",
    "a blurry photo of {a}",
    "a black and white photo of {a}",
    "a {s} {n}",
    "a {s} {n}",
    "a photo of a {s} {n}",
    "{s} {p}",
    "{a} on a table",
    "{a} on a white background",
    "{a} in the background",
    "{a} outdoors",
    "{a} in a room",
    "{a} on the floor",
    "{a}, isolated",
    "there is {a} here",
    "show me {p}",
    "find {a}",
    "i am looking for {a}",
    "a photo of one {n}",
    "a type of {n}",
    "a photo of {a}, a type of thing",
    "{a} for sale",
    "{a} seen from the side",
    "{n} photo",
    "{n} picture",
    "a photo of someone's {n}",
)
_COLOURED: Final = (
    "{c} {n}",
    "{c} {n}",
    "a {c} {n}",
    "a {c} {n}",
    "a photo of a {c} {n}",
    "{c} {p}",
    "a {n} in {c}",
    "a {n} that is {c}",
    "{c} coloured {n}",
    "a picture of a {c} {n}",
    "the {c} {n}",
    "a {c} {n} on a pale ground",
    "a pattern of {c} {p}",
    "{c} {n} seen close",
    "a {s} {c} {n}",
)
_BOTH: Final = (
    "{a} and {b}",
    "{a} with {b}",
    "{a} next to {b}",
    "{a} beside {b}",
    "{n} {m}",
    "{a} on {b}",
    "{a} near {b}",
)
_SUCH: Final = (
    "big",
    "small",
    "large",
    "little",
    "old",
    "new",
    "beautiful",
    "nice",
    "cute",
    "young",
    "clean",
    "dirty",
    "pretty",
    "tiny",
    "single",
    "simple",
    "modern",
    "vintage",
    "cheap",
    "good",
    "lovely",
    "plain",
    "fresh",
    "real",
    "typical",
)
_IRREGULAR: Final = {
    "man": "men",
    "woman": "women",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "foot": "feet",
    "person": "people",
    "tooth": "teeth",
    "knife": "knives",
    "wolf": "wolves",
    "leaf": "leaves",
    "loaf": "loaves",
    "scarf": "scarves",
}
TEMPLATES: Final = (*_ABOUT, *_COLOURED, *_BOTH, *_SUCH)
"""Whatever a phrase has around its concepts."""
_LETTERS: Final = "aaabcddeeeefghiijklmnnooopqrrssttuuvwxyz"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text with what it should become. vector: unit float32[256]; meaningless where confidence is below 0.15."""

    text: str
    vector: Float32
    confidence: float


def plural(noun: str) -> str:
    """As most nouns have it; the last word changes."""
    head, blank, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        made = _IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        made = f"{last}es" if not last.endswith("s") or last.endswith("ss") else last
    elif re.search(r"[^aeiou]y$", last):
        made = f"{last[:-1]}ies"
    else:
        made = f"{last}s"
    return head + blank + made


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


class Phrases:
    """Draws phrases; the same ones from the same seed."""

    def __init__(
        self, known: Mapping[str, Concept], colours: Mapping[str, Float32], abstract: list[str], seed: int
    ) -> None:
        """abstract: words for what cannot be photographed; they teach doubt."""
        self._known = known
        self._colours, self._colour_names = colours, sorted(colours)
        self._abstract = abstract
        self._words = sorted(known)
        self._core = [word for word in self._words if known[word].core]
        self._core_nouns = [word for word in self._core if word not in colours]
        self._random = Random(seed)
        zero = np.zeros_like(next(iter(colours.values())))
        self._nothing = zero

    def draw(self) -> Phrase:
        kind = self._random.random()
        if kind < 0.16:
            return self._doubtful()
        if kind < 0.38:
            return self._coloured()
        if kind < 0.45:
            return self._pair()
        return self._plain()

    def _word(self, core_share: float = 0.6) -> str:
        return self._random.choice(self._core if self._random.random() < core_share else self._words)

    def _plain(self) -> Phrase:
        word = self._word()
        known = self._known[word]
        if word in self._colours or self._random.random() < 0.3:
            return Phrase(word, known.vector, known.confidence)
        return Phrase(self._said(self._random.choice(_ABOUT), word), known.vector, known.confidence)

    def _coloured(self) -> Phrase:
        word = self._random.choice(self._core_nouns if self._random.random() < 0.8 else self._words)
        colour = self._random.choice(self._colour_names[:])
        known = self._known[word]
        vector = known.vector + _COLOUR_SHARE * self._colours[colour]
        text = self._said(self._random.choice(_COLOURED), word).replace("{c}", colour)
        return Phrase(text, vector / np.linalg.norm(vector), min(1.0, 0.3 + 0.7 * known.confidence))

    def _pair(self) -> Phrase:
        word, other = self._word(0.9), self._word(0.9)
        first, second = self._known[word], self._known[other]
        text = self._said(self._random.choice(_BOTH), word).replace("{b}", with_article(other)).replace("{m}", other)
        vector = first.vector + second.vector
        return Phrase(
            text, vector / max(1e-6, float(np.linalg.norm(vector))), (first.confidence + second.confidence) / 2
        )

    def _doubtful(self) -> Phrase:
        if self._random.random() < 0.5:
            words = [self._random.choice(self._abstract) for _ in range(self._random.randint(1, 2))]
            text, confidence = " ".join(words), 0.06
        else:
            count = self._random.choice((1, 1, 1, 2, 3))
            words = ["".join(self._random.choices(_LETTERS, k=self._random.randint(2, 11))) for _ in range(count)]
            text, confidence = " ".join(words), 0.02
        if self._random.random() < 0.3:
            text = self._said(self._random.choice(_ABOUT), text)
        return Phrase(text, self._nothing, confidence)

    def _said(self, template: str, noun: str) -> str:
        made = template.replace("{a}", with_article(noun)).replace("{n}", noun).replace("{p}", plural(noun))
        return made.replace("{s}", self._random.choice(_SUCH))
