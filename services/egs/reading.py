"""What people type, as a tower can read it that was taught whole words: no punctuation, known spellings, no fillers."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

_JOINING: Final = frozenset(
    word
    for line in (
        "a an the this that these those some any each every no all both several many few another of in on at by for",
        "from to into onto with without over under above below behind before after between among around across through",
        "along against near beside next inside outside upon within up down off out and or but while as if then so",
        "because than like during until toward towards beyond about is are was were be been being am do does did done",
        "has have had having can could will would may might must should it its he she they them his hers their theirs",
        "him we us our you your i me my mine who which what where when why how there here very quite just also only",
        "not too again still already almost more most others same such own please dont doesnt isnt cant thats theres",
        "photo photos photograph picture pictures image images",
    )
    for word in line.split()
)
"""Words that say nothing about a look, and what every picture is."""
_MAX_WORDS: Final = 24
_APOSTROPHE: Final = re.compile(r"['\u2019]s?(?!\w)|['\u2019]")
_BETWEEN: Final = re.compile(r"[\W_]+")
_APART: Final = re.compile(r"[\s_\u2010-\u2015-]+")
"""Between words that may be one."""
_PLURALS: Final = (("ies", ("y",)), ("ves", ("f", "fe")), ("men", ("man",)), ("es", ("", "e")), ("s", ("",)))
_LETTERS: Final = "tvx"
"""Which are words before another, as in t-shirt, v-neck and x-ray."""
_HALF: Final = 4
"""Letters of a word that another was written onto; shorter ones are found in words that they are no part of."""


def phrases(words: Sequence[str]) -> list[str]:
    """All words as one; then, where there are several, each of them and each two that follow each other."""
    if len(words) < 2:
        return list(words)
    return [" ".join(words), *words, *(" ".join(pair) for pair in pairwise(words))]


class Reader:
    """Reads for one vocabulary. Pure, and keeps a word that it cannot place as it is."""

    def __init__(self, is_whole: Callable[[str], bool]) -> None:
        """is_whole: whether a word is one of the vocabulary's, not cut into pieces."""
        self._is_whole = is_whole

    def read(self, text: str) -> list[str]:
        """The words that tell something, of many the first; where that is one alone, or none, all of it as one.

        Around one word a tower knows what was taught with it (`a photo of a dog`); a sentence that it was not taught is
        better understood without what joins it (docs/benchmarks.md, Words).
        """
        words = [word for chunk in text.split() for word in self._words_of(chunk)]
        telling = [word for word in words if word.lower() not in _JOINING]
        if len(telling) > 1:
            return telling[:_MAX_WORDS]
        # A joining word that was never taught is cut into pieces, which then count for words that tell something.
        kept = [word for word in words if word in telling or self._is_whole(word)]
        return [" ".join(kept or words or [text])]

    def joined(self, text: str) -> str:
        """The text with words that follow each other written together where that is a word: star fish, motor-bikes."""
        first, *rest = re.split(f"({_BETWEEN.pattern})", text)
        said = [first]
        for between, word in zip(rest[::2], rest[1::2], strict=True):
            if _APART.fullmatch(between) and self._is_one(said[-1], word):
                said[-1] += word
            else:
                said += [between, word]
        return "".join(said)

    def _is_one(self, word: str, next: str) -> bool:
        if {word.lower(), next.lower()} & {"", *_JOINING}:
            return False
        return any(map(self._is_whole, (word + next, *_singulars(word + next))))

    def _words_of(self, chunk: str) -> list[str]:
        if self._is_whole(chunk) or chunk.lower() in _JOINING:
            return [chunk]
        parts = [part for part in _BETWEEN.split(_APOSTROPHE.sub("", chunk)) if part]
        if len(parts) > 1 and not all(map(self._is_whole, parts)):
            written = self._known("".join(parts))
            if written is not None:
                return written
        return [word for part in parts for word in self._known(part) or [part]]

    def _known(self, word: str) -> list[str] | None:
        """The word, its singular, or the two words that it was made of; None where the vocabulary has none of them."""
        for form in (word, *_singulars(word)):
            if self._is_whole(form):
                return [form]
        letter = (1,) if word[0].lower() in _LETTERS and len(word) > _HALF else ()
        for at in (*letter, *range(_HALF, len(word) - _HALF + 1)):
            halves = [word[:at], word[at:]]
            if all(map(self._is_whole, halves)):
                return halves
        return None


def _singulars(word: str) -> Iterator[str]:
    for plural, endings in _PLURALS:
        if word.lower().endswith(plural):
            yield from (word[: -len(plural)] + ending for ending in endings)
