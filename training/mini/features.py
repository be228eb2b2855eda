"""What the two backbones see in every picture, computed once and kept in files: training then never opens a picture.

Resumable: a file `done` beside the arrays counts the finished rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image, ImageEnhance

from training.mini.backbone import FEATURES, MEAN, STD, pretrained
from training.mini.description import SHADES, feature_model

SIDE: Final = 224
_CHUNK: Final = 64
_TEACHER_MEAN: Final = 128.0

Float16 = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class View:
    """One way of looking at every picture. augmented: a random crop, mirrored half of the time, in another light."""

    name: str
    augmented: bool
    seed: int = 0


CLEAN: Final = View("clean", augmented=False)
CROPPED: Final = View("crops-1", augmented=True, seed=1)


@dataclass(frozen=True, slots=True)
class Features:
    """Memory-mapped, a row a picture. pooled: float16[n, 1280]. palette: float16[n, 64].

    teacher: float16[n, 1280] and logits: float16[n, 1001], of the clean view only, else empty.
    """

    pooled: Float16
    palette: Float16
    teacher: Float16
    logits: Float16


class FeatureReader:
    """Reads features with ONNX Runtime on one thread."""

    def __init__(self, teacher: Path, threads: int = 1) -> None:
        """teacher: the ONNX file of MobileNetEdgeTPU, with outputs `embedding` and `logits`. Blocks."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._student = ort.InferenceSession(
            feature_model(pretrained(), SIDE), options, providers=["CPUExecutionProvider"]
        )
        self._teacher = ort.InferenceSession(str(teacher), options, providers=["CPUExecutionProvider"])

    def read(self, paths: Sequence[Path], view: View, folder: Path) -> Features:
        """Features of these pictures in `folder`, computed where they are not there yet. Blocks: 20 ms a picture.

        A folder that lacks one of the arrays, as an earlier design left it, is filled anew.
        """
        folder.mkdir(parents=True, exist_ok=True)
        count = len(paths)
        widths = {"pooled": FEATURES, "palette": SHADES, "teacher": FEATURES, "logits": 1001}
        rows = {name: 0 if view.augmented and name in ("teacher", "logits") else count for name in widths}
        done = folder / "done"
        whole = done.exists() and all((folder / f"{name}.npy").exists() for name in widths if rows[name])
        start = int(done.read_text()) if whole else 0
        made = Features(**{name: _array(folder / f"{name}.npy", (rows[name], width)) for name, width in widths.items()})
        for at in range(start, count, _CHUNK):
            end = min(at + _CHUNK, count)
            for row in range(at, end):
                self._read_one(paths[row], view, row, made)
            part = done.with_suffix(".part")
            part.write_text(str(end))
            part.replace(done)
            if at // _CHUNK % 10 == 0:
                print(f"features {view.name}: {end:,} of {count:,}", flush=True)
        return made

    def _read_one(self, path: Path, view: View, row: int, made: Features) -> None:
        with Image.open(path) as file:
            picture = file.convert("RGB")
        pixels = augmented(picture, np.random.default_rng((view.seed, row))) if view.augmented else squashed(picture)
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis], np.float32)
        made.pooled[row], made.palette[row] = (
            one[0] for one in self._student.run(["pooled", "palette"], {"pixels": (planes - MEAN) / STD})
        )
        if not view.augmented:
            outputs = self._teacher.run(["embedding", "logits"], {"input": (planes - _TEACHER_MEAN) / STD})
            made.teacher[row], made.logits[row] = (one.reshape(-1) for one in outputs)


def squashed(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """uint8[SIDE, SIDE, 3] as services.egs.preprocess makes it."""
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def augmented(picture: Image.Image, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A crop of 25 to 100 % of the area, distorted, mirrored, lighter or darker: uint8[SIDE, SIDE, 3].

    Hues stay: words for colours are learned from them.
    """
    width, height = picture.size
    area, shape = rng.uniform(0.25, 1.0), np.exp(rng.uniform(-1, 1) * np.log(4 / 3) / 2)
    w, h = min(1.0, np.sqrt(area) * shape), min(1.0, np.sqrt(area) / shape)
    left, top = rng.uniform(0, 1 - w) * width, rng.uniform(0, 1 - h) * height
    box = (left, top, left + w * width, top + h * height)
    made = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
    if rng.random() < 0.5:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    made = ImageEnhance.Brightness(made).enhance(rng.uniform(0.75, 1.25))
    made = ImageEnhance.Contrast(made).enhance(rng.uniform(0.75, 1.25))
    return np.asarray(ImageEnhance.Color(made).enhance(rng.uniform(0.8, 1.2)))


def _array(path: Path, shape: tuple[int, ...]) -> Float16:
    if 0 in shape:
        return np.empty(shape, np.float16)
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode, np.float16, shape)
