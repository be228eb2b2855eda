"""From words to vectors: the tokenizer and the text tower."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from omma.errors import Corrupt, InvalidQuery, TooLarge
from omma.rpc.deadline import Deadline
from omma.vectors import Int64
from services.egs.client import EmbeddedItem, TextItem
from services.egs.manifest import TextTower
from services.egs.running import RunningTower
from services.egs.signs import named


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
        confidence = float(rows[0, self._dim]) if rows.shape[1] > self._dim else 1.0
        return EmbeddedItem(
            vectors=np.ascontiguousarray(rows[:, : self._dim]),
            boxes=np.empty((0, 4), np.int32),
            confidence=confidence * self._words.known_share(item.text),
        )

    async def ready(self) -> bool:
        """As RunningTower."""
        return await self._tower.ready()

    async def close(self) -> None:
        await self._tower.close()


class Words:
    """Texts as a tower's batch: a Hugging Face tokenizer, cut and padded to its length. Threads may share it."""

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

    def __call__(self, jobs: Sequence[str]) -> Int64:
        """int64[n, max_tokens]; what is longer is cut."""
        texts = [named(job, self._is_known) for job in jobs]
        return np.array([one.ids for one in self._tokenizer.encode_batch(texts)], np.int64)

    def rows(self, job: str) -> int:
        """A text is one row."""
        return 1

    def known_share(self, text: str) -> float:
        """0 … 1: of the tokens that are words or numbers, those that stand for something; 0 where there is none.

        To a tower every unknown word is the same word, and what it says of that means nothing.
        """
        text = named(text, self._is_known)
        words = [
            token != self._unknown
            for token, (start, end), special in self._tokens(text)
            if not special and any(map(str.isalnum, text[start:end]))
        ]
        return sum(words) / len(words) if words else 0.0

    def _is_known(self, character: str) -> bool:
        tokens = [token for token, _, special in self._tokens(character) if not special]
        return bool(tokens) and self._unknown not in tokens

    def _tokens(self, text: str) -> Iterator[tuple[int, tuple[int, int], bool]]:
        """Id, place in the text, and whether it is padding or a mark of the tower's own."""
        encoded = self._tokenizer.encode(text)
        yield from zip(encoded.ids, encoded.offsets, map(bool, encoded.special_tokens_mask), strict=True)
