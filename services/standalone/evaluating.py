"""Embeds a folder for an evaluation, in process, and evaluates models on it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from omma.errors import Absent, InvalidQuery, OmmaError
from omma.evaluation import Evaluation, Judged, Judgments, PictureNames, evaluate, held_out
from omma.images import DEFAULT_LIMITS, PictureLimits
from omma.rpc.deadline import Deadline
from omma.vectors import Float32, Int64, normalise
from services.egs.client import EmbeddedItem, Embedder, ImageItem, TextItem
from services.egs.embedder import OnnxEmbedder
from services.egs.registry import Model
from services.egs.settings import EgsSettings
from services.worker.ingest.walk import walk

_BATCH: Final = 32
_BATCH_SECONDS: Final = 300.0

Progress = Callable[[int, int], None]
"""Called with pictures embedded and pictures in all."""


@dataclass(frozen=True, slots=True)
class EvaluatedFolder:
    """What was measured. rows: int64[n], the pictures of `names` in the corpus; unreadable: those that could not be.

    share: as evaluate_models was given it.
    """

    folder: Path
    names: PictureNames
    judged: Judged
    judgments: Judgments
    rows: Int64
    unreadable: tuple[str, ...]
    share: float
    evaluations: tuple[Evaluation, ...]

    def path(self, row: int) -> Path:
        """The file of a row of the corpus."""
        return self.folder.joinpath(self.names.paths[int(self.rows[row])])


def pictures_in(folder: Path) -> PictureNames:
    """The pictures below a folder, in the order of their paths. Raises Absent, InvalidQuery, field `DIR`. Blocks."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise Absent(f"There is no folder {folder}.", field="DIR")
    names = sorted(found.path.relative_to(folder).as_posix() for found in walk(folder) if found.is_picture)
    if not names:
        raise InvalidQuery(f"There is no picture in {folder}.", field="DIR")
    return PictureNames(names, str(folder))


async def evaluate_models(
    models: Sequence[Model],
    folder: Path,
    names: PictureNames,
    judged: Judged,
    settings: EgsSettings,
    *,
    limits: PictureLimits = DEFAULT_LIMITS,
    k: int = 10,
    share: float = 0.0,
    prompts: Sequence[str] = ("{}",),
    progress: Callable[[str], Progress],
) -> EvaluatedFolder:
    """Embed the folder with each model and measure them on the same queries.

    share: above 0, only pictures that omma.evaluation.held_out keeps from training take part, as queries and as what
    is found. prompts: sentences with {} for a label or a query in words; their vectors are averaged.
    Raises InvalidQuery: `judgments`, `held-out`, `k`; NoTextTower; Corrupt.
    """
    wanted = judged.wanted()
    if share:
        wanted = wanted[[held_out(names.paths[row], share) for row in wanted]]
    if not len(wanted):
        raise InvalidQuery("No picture of the folder takes part.", field="held-out" if share else "judgments")
    made = []
    for model in models:
        embedder = await asyncio.to_thread(OnnxEmbedder, model, settings, limits=limits)
        try:
            reference = model.manifest.reference
            rows, vectors = await _embed_pictures(embedder, folder, names, wanted, progress(reference))
            judgments = judged.among(rows)
            words = await _embed_words(embedder, judgments.words, prompts)
            made.append(await asyncio.to_thread(evaluate, reference, vectors, judgments, words, k=k))
        finally:
            await embedder.close()
    gone = np.setdiff1d(wanted, rows)
    return EvaluatedFolder(
        folder, names, judged, judgments, rows, tuple(names.paths[row] for row in gone), share, tuple(made)
    )


async def _embed_pictures(
    embedder: Embedder, folder: Path, names: PictureNames, wanted: Int64, progress: Progress
) -> tuple[Int64, Float32]:
    """The rows that could be read and their vectors, float32[rows, dim]."""
    rows: list[int] = []
    vectors: list[Float32] = []
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        contents = await asyncio.to_thread(_contents, [folder / names.paths[row] for row in batch])
        items = [ImageItem(content) for content in contents]
        for row, answer in zip(batch, await embedder.embed(items, Deadline.after(_BATCH_SECONDS)), strict=True):
            if isinstance(answer, EmbeddedItem):
                rows.append(int(row))
                vectors.append(answer.vectors[0])
            elif not isinstance(answer, OmmaError):
                raise answer
        progress(start + len(batch), len(wanted))
    if not rows:
        raise InvalidQuery(f"None of the {len(wanted)} pictures can be read.", field="DIR")
    return np.array(rows, np.int64), np.stack(vectors)


async def _embed_words(embedder: Embedder, words: Sequence[str], prompts: Sequence[str]) -> Float32 | None:
    """float32[words, dim], the normalised mean over the prompts; None when there are no words or no text tower."""
    if not words or not embedder.has_text_tower:
        return None
    rows = []
    for word in words:
        items = [TextItem(prompt.replace("{}", word)) for prompt in prompts]
        answers = await embedder.embed(items, Deadline.after(_BATCH_SECONDS))
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        rows.append(np.mean([answer.vectors[0] for answer in answers if isinstance(answer, EmbeddedItem)], axis=0))
    return normalise(np.stack(rows))


def _contents(files: Sequence[Path]) -> list[bytes]:
    """A file that cannot be opened counts as one that holds no picture."""
    return [_content(file) for file in files]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
