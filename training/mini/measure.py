"""What omma-mini is worth: the shipped files on held-out photographs, beside what they came from."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image
from tokenizers import Tokenizer
from torch.nn import functional

from omma.evaluation import Interval, interval, leave_one_out, words_to_pictures, zero_shot
from training.mini.backbone import MEAN, STD
from training.mini.colours import COLOURS
from training.mini.concepts import plain
from training.mini.features import SIDE, squashed
from training.mini.photographs import SETS, Photograph
from training.mini.table import Table
from training.mini.tokens import MAX_TOKENS

Float32 = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

NONSENSE: Final = (
    "qzxv",
    "blorptang",
    "fnordle wug",
    "asdf ghjk",
    "xyzzy",
    "zzgrmph",
    "trelqui",
    "wvbnkd pqz",
    "hjklqw",
    "mrowgli",
)
FAR: Final = (
    "justice",
    "inflation rate",
    "philosophy",
    "tuesday",
    "algorithm",
    "nostalgia",
    "bureaucracy",
    "theorem",
    "sincerity",
    "tax law",
)
COVERED: Final = (
    "a red dress",
    "dog",
    "a photo of a banana",
    "umbrella",
    "two flamingos",
    "grand piano",
    "blue jeans",
    "a sports car",
    "strawberries",
    "laptop",
)


class Shipped:
    """The two towers as they lie in a folder, on one thread."""

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        self._image = ort.InferenceSession(str(folder / "image.onnx"), options, providers=providers)
        self._text = ort.InferenceSession(str(folder / "text.onnx"), options, providers=providers)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding(length=MAX_TOKENS, pad_id=0)

    def pictures(self, paths: Sequence[Path]) -> Float32:
        """Unit float32[n, dim]."""
        return np.stack([self._picture(path) for path in paths])

    def words(self, texts: Sequence[str]) -> tuple[Float32, Float32]:
        """Unit float32[n, dim] and confidence float32[n]."""
        tokens = np.array([one.ids for one in self._tokenizer.encode_batch(list(texts))], np.int64)
        vectors, confidence = self._text.run(["vector", "confidence"], {"tokens": tokens})
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), confidence

    def milliseconds(self, runs: int = 40) -> float:
        """The least processor time of a picture through the tower alone: what else runs lengthens all but that."""
        pixels = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
        taken = []
        for _ in range(runs):
            started = time.process_time()
            self._image.run(None, {"pixels": pixels})
            taken.append(time.process_time() - started)
        return min(taken) * 1000

    def _picture(self, path: Path) -> Float32:
        with Image.open(path) as file:
            pixels = squashed(file.convert("RGB")).astype(np.float32)
        planes = np.ascontiguousarray((pixels.transpose(2, 0, 1)[np.newaxis] - MEAN) / STD, np.float32)
        (row,) = self._image.run(["vector"], {"pixels": planes})[0]
        made: Float32 = row / np.linalg.norm(row)
        return made


@dataclass(frozen=True, slots=True)
class Words:
    """Names as queries on one set: share of pictures whose nearest name is their own, and precision@10."""

    set: str
    classes: int
    accuracy: Interval
    precision: Interval
    best_precision: float


def retrieval(table: Table, vectors: Float32) -> dict[str, Interval]:
    """mAP of each set's held-out pictures among themselves. vectors: unit, a row a picture of the table."""
    found = {}
    for name in SETS:
        rows = table.measured(name)
        measured = leave_one_out(np.ascontiguousarray(vectors[rows]), table.label.numpy()[rows])
        found[name] = interval(measured.average_precision)
    return found


def references(table: Table) -> dict[str, Float32]:
    """What the model is held against: unit vectors of the untouched backbone and of the teacher."""
    return {
        "backbone, 1280-d": functional.normalize(table.pooled, dim=1).numpy(),
        "teacher, 1280-d": functional.normalize(table.teacher, dim=1).numpy(),
    }


def words(table: Table, vectors: Float32, shipped: Shipped, name: str, template: str = "{}") -> Words:
    """The names of a set's labels, as its folders have them, as queries on its held-out pictures."""
    rows = np.flatnonzero(table.measured(name))
    chosen: list[Photograph] = [table.pictures[row] for row in rows]
    names = sorted({plain(one.words[0]) for one in chosen})
    label = np.array([names.index(plain(one.words[0])) for one in chosen])
    return _asked(name, vectors[rows], label, shipped, [template.format(one) for one in names])


def colour_words(table: Table, vectors: Float32, shipped: Shipped, name: str) -> Words:
    """The names of colours as queries; a picture is of the colour that has the largest share of its middle.

    Of colours that at least ten held-out pictures of the set have.
    """
    rows = np.flatnonzero(table.measured(name))
    most = table.colours[rows].argmax(dim=1).numpy()
    often = np.flatnonzero(np.bincount(most, minlength=len(COLOURS)) >= 10)
    kept = np.isin(most, often)
    label = np.searchsorted(often, most[kept])
    return _asked(name, vectors[rows[kept]], label, shipped, [COLOURS[one] for one in often])


def _asked(name: str, vectors: Float32, label: Labels, shipped: Shipped, queries: list[str]) -> Words:
    texts, _ = shipped.words(queries)
    right = zero_shot(vectors, label, texts)
    precision = words_to_pictures(vectors, label, texts).precision
    best = np.minimum(np.bincount(label), 10) / 10
    return Words(name, len(queries), interval(right), interval(precision), float(best.mean()))
