"""From words to vectors: the tokenizer and the text tower."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from omma.errors import Corrupt, InvalidQuery, TooLarge
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import EMBED_BATCH_ITEMS, EMBED_SECONDS
from omma.vectors import Float32, Int64
from services.egs.client import EmbeddedItem, TextItem
from services.egs.manifest import TextTower
from services.egs.registry import Model
from services.egs.settings import EgsSettings
from services.egs.tower import Tower
from services.egs.workers import Workers


class TextSide:
    """The text half of an embedder: one thread, earliest deadline first. Pictures never wait for words."""

    def __init__(self, model: Model, tower: TextTower, settings: EgsSettings) -> None:
        """Raises Corrupt for a tower or tokenizer that is none. Blocks."""
        self._max_characters = settings.max_text_characters
        self._words = Words(model.path(tower.tokenizer), tower)
        self._tower = Tower(
            model.path(tower.file),
            "text",
            input=tower.input,
            output=tower.output,
            dim=model.manifest.dim,
            wide_threads=settings.wide_threads,
        )
        # The first run allocates and shows a graph that is not its manifest's.
        self._tower.run(self._words.tokens(["a"]), wide=True)
        self._workers = Workers("egs-text", self._run, threads=1, max_batch=settings.max_batch)

    async def embed(self, item: TextItem, deadline: Deadline) -> EmbeddedItem:
        """Raises InvalidQuery for no words, TooLarge for too many, both with field `text`; OutOfTime."""
        if not item.text.strip():
            raise InvalidQuery("There are no words to search for.", field="text")
        if len(item.text) > self._max_characters:
            raise TooLarge(f"At most {self._max_characters:,} characters.", field="text", limit=self._max_characters)
        vector = await asyncio.wrap_future(self._workers.submit(item.text, deadline))
        return EmbeddedItem(vectors=vector[np.newaxis], boxes=np.empty((0, 4), np.int32))

    def close(self) -> None:
        """Blocks until the thread has ended."""
        self._workers.close()

    def _run(self, texts: Sequence[str]) -> list[Float32 | Exception]:
        started = time.perf_counter()
        rows = self._tower.run(self._words.tokens(texts), wide=len(texts) == 1)
        EMBED_BATCH_ITEMS.labels("text").observe(len(texts))
        EMBED_SECONDS.labels("text").observe(time.perf_counter() - started)
        return rows


class Words:
    """A Hugging Face tokenizer, cut and padded to the tower's length. Any number of threads may use it."""

    def __init__(self, path: Path, tower: TextTower) -> None:
        """Raises Corrupt for a file that is no tokenizer. Blocks."""
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises Exception itself
            raise Corrupt(f"{path} is no tokenizer: {error}") from error
        self._tokenizer.enable_truncation(tower.max_tokens)
        self._tokenizer.enable_padding(length=tower.max_tokens, pad_id=tower.pad_id)

    def tokens(self, texts: Sequence[str]) -> Int64:
        """int64[n, max_tokens]; what is longer is cut."""
        return np.array([one.ids for one in self._tokenizer.encode_batch(list(texts))], np.int64)
