"""From words to vectors: the tokenizer and the text tower."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from omma.errors import Corrupt, InvalidQuery, TooLarge
from omma.rpc.deadline import Deadline
from omma.vectors import Float32, Int64
from services.egs.client import EmbeddedItem, TextItem
from services.egs.manifest import TextTower
from services.egs.reading import Reader, phrases
from services.egs.running import RunningTower
from services.egs.signs import named

_FEW: Final = 3
_WHOLE_OF_FEW: Final = 0.7
_WHOLE_OF_MANY: Final = 0.5
"""What the whole counts beside its words: a tower that was taught phrases knows names, and sentences less."""
_SURER: Final = 0.08
"""By which words written together have to be better understood than apart: star fish by 0.25, basket ball by 0.41; but
green house by 0.07, and black bird, blue bell, red wood are better understood apart.
"""
_NO_LENGTH: Final = 1e-6


class TextSide:
    """The text half of an embedder. Pictures never wait for words."""

    def __init__(self, tower: RunningTower[str], words: "Words", *, dim: int, max_characters: int) -> None:
        """words: what the tower eats. dim: of a vector; what a row has beyond it is the tower's confidence, 1 where it
        has none.
        """
        self._tower, self._words, self._dim = tower, words, dim
        self._max_characters = max_characters

    async def embed(self, item: TextItem, deadline: Deadline) -> EmbeddedItem:
        """Raises InvalidQuery for no words, TooLarge for too many, both with field `text`; as RunningTower."""
        if not item.text.strip():
            raise InvalidQuery("There are no words to search for.", field="text")
        if len(item.text) > self._max_characters:
            raise TooLarge(f"At most {self._max_characters:,} characters.", field="text", limit=self._max_characters)
        rows = await self._tower.run(item.text, deadline)
        vectors = np.ascontiguousarray(rows[:, : self._dim])
        sure = rows[:, self._dim] if rows.shape[1] > self._dim else np.ones(len(rows), np.float32)
        vector, confidence = understood(vectors, sure, self._words.readings(item.text))
        return EmbeddedItem(
            vectors=vector[np.newaxis],
            boxes=np.empty((0, 4), np.int32),
            confidence=confidence * self._words.known_share(item.text),
        )

    async def ready(self) -> bool:
        """As RunningTower."""
        return await self._tower.ready()

    async def close(self) -> None:
        await self._tower.close()


def understood(vectors: Float32, sure: Float32, readings: Sequence[Sequence[str]]) -> tuple[Float32, float]:
    """What is meant by the reading that the tower is surest of, the first unless another is clearly better understood.

    vectors, sure: of the phrases of each reading, one after the other. Pure.
    """
    told, at = [], 0
    for words in readings:
        rows = slice(at, at := at + len(phrases(words)))
        told.append(meant(vectors[rows], sure[rows], len(words)))
    return next((one for one in told[1:] if one[1] > told[0][1] + _SURER), told[0])


def meant(vectors: Float32, sure: Float32, words: int) -> tuple[Float32, float]:
    """A text's unit vector float32[dim] and confidence, from unit rows float32[n, dim] of its phrases and theirs.

    The whole text, and the mean of its words and pairs by their confidence: what the tower does not know has no say.
    The confidence is that of the whole, or its words' mean where that is more. words: how many follow the whole. Pure.
    """
    if len(vectors) == 1:
        return vectors[0], float(sure[0])
    share = _WHOLE_OF_FEW if words <= _FEW else _WHOLE_OF_MANY
    parts = sure[1:] @ vectors[1:]
    mixed = share * vectors[0] + (1 - share) * parts / max(float(np.linalg.norm(parts)), _NO_LENGTH)
    length = float(np.linalg.norm(mixed))
    vector = vectors[0] if length < _NO_LENGTH else (mixed / length).astype(np.float32)
    return vector, max(float(sure[0]), float(np.mean(sure[1 : 1 + words])))


class Words:
    """Texts as a tower's batch: a Hugging Face tokenizer, cut and padded to its length. Threads may share it.

    To a tower that was taught whole words a text is read out (services.egs.reading), and one that says how sure it is
    is asked for the words of a text as well, a row each.
    """

    def __init__(self, path: Path, tower: TextTower) -> None:
        """Raises Corrupt for a file that is no tokenizer. Blocks."""
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises Exception itself
            raise Corrupt(f"{path} is no tokenizer: {error}") from error
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        self._unknown = None if unknown is None else self._tokenizer.token_to_id(unknown)
        self._tokenizer.enable_truncation(tower.max_tokens)
        self._tokenizer.enable_padding(length=tower.max_tokens, pad_id=tower.pad_id)
        self._reader = Reader(self._is_whole) if isinstance(self._tokenizer.model, WordPiece) else None
        self._by_words = tower.confidence is not None

    def __call__(self, jobs: Sequence[str]) -> Int64:
        """int64[n, max_tokens]; what is longer is cut."""
        texts = [phrase for job in jobs for words in self.readings(job) for phrase in self._phrases(words)]
        return np.array([one.ids for one in self._tokenizer.encode_batch(texts)], np.int64)

    def rows(self, job: str) -> int:
        """Of each reading one of the whole, and of its words as far as they are asked for."""
        return sum(len(self._phrases(words)) for words in self.readings(job))

    def readings(self, text: str) -> list[list[str]]:
        """The words that the tower is asked for; the text as one where the tower reads for itself. Of one that says how
        sure it is also as it reads where words that were written apart are one.
        """
        text = self._plain(text)
        if self._reader is None:
            return [[text]]
        joined = self._reader.joined(text) if self._by_words else text
        return [self._reader.read(one) for one in dict.fromkeys((text, joined))]

    def known_share(self, text: str) -> float:
        """0 … 1: of the tokens that are words or numbers, those that stand for something; 0 where there is none.

        To a tower every unknown word is the same word, and what it says of that means nothing.
        """
        text = self._plain(text)
        words = [
            token != self._unknown
            for token, (start, end), special in self._tokens(text)
            if not special and any(map(str.isalnum, text[start:end]))
        ]
        return sum(words) / len(words) if words else 0.0

    def _phrases(self, words: Sequence[str]) -> list[str]:
        return phrases(words) if self._by_words else [" ".join(words)]

    def _plain(self, text: str) -> str:
        """Signs by their names; to a reader of whole words letters of any width and shape are the same letters."""
        text = named(text, self._is_known)
        return text if self._reader is None else unicodedata.normalize("NFKC", text)

    def _is_whole(self, word: str) -> bool:
        normalizer = self._tokenizer.normalizer
        even = word if normalizer is None else normalizer.normalize_str(word)
        return self._tokenizer.token_to_id(even) not in (None, self._unknown)

    def _is_known(self, character: str) -> bool:
        tokens = [token for token, _, special in self._tokens(character) if not special]
        return bool(tokens) and self._unknown not in tokens

    def _tokens(self, text: str) -> Iterator[tuple[int, tuple[int, int], bool]]:
        """Id, place in the text, and whether it is padding or a mark of the tower's own."""
        encoded = self._tokenizer.encode(text)
        yield from zip(encoded.ids, encoded.offsets, map(bool, encoded.special_tokens_mask), strict=True)
