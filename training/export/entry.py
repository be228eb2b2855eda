"""One registry entry of one OpenCLIP model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from omma.errors import Corrupt, InvalidQuery
from services.egs.manifest import Drift, ImageTower, Manifest, TextTower
from services.egs.registry import Model, register, sha256_of_file
from training.export.clip_tokenizer import clip_tokenizer, uses_clip_words
from training.export.drift import Cosines, image_cosines, text_cosines
from training.export.projection import load_projection
from training.export.source import Source, preprocessing_of
from training.export.towers import PIXELS, TOKENS, VECTOR, ImageHalf, TextHalf, write_onnx
from training.export.variants import Precision, write_variant

LEAST_COSINE: Final = 0.999
"""Of a float32 tower against torch on the same input; less is a broken export and is not registered."""

_IMAGE, _TEXT, _TOKENIZER = "image.onnx", "text.onnx", "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make of a source. name: empty for the source's own. image_only: no text tower."""

    source: Source
    name: str = ""
    version: str = "1.0.0"
    projection: Path | None = None
    precision: Precision = "fp32"
    image_only: bool = False
    licence: str = ""

    @property
    def entry_name(self) -> str:
        """A variant has other vectors, so it is another model."""
        suffix = "" if self.precision == "fp32" else f"-{self.precision}"
        return self.name or f"{self.source.name[: 64 - len(suffix)]}{suffix}"


@dataclass(frozen=True, slots=True)
class Halves:
    """The torch side: the whole model and its two towers with the head on top. text: None when it is left out."""

    model: torch.nn.Module
    image: ImageHalf
    text: TextHalf | None
    dim: int

    @classmethod
    def load(cls, wish: Wish) -> "Halves":
        """Blocks. Raises as Source.load; InvalidQuery for words that are not CLIP's, or a head that does not fit."""
        architecture = wish.source.architecture
        if not wish.image_only and not uses_clip_words(architecture):
            raise InvalidQuery(
                f"{architecture} does not read text with CLIP's vocabulary; export its pictures: --image-only.",
                field="open-clip",
            )
        model: Any = wish.source.load()
        size = preprocessing_of(model).size
        with torch.inference_mode():
            dim = int(model.encode_image(torch.zeros(1, 3, size, size)).shape[1])
        head = None if wish.projection is None else load_projection(wish.projection, dim)
        return cls(
            model=model,
            image=ImageHalf(model, head).eval(),
            text=None if wish.image_only else TextHalf(model, head).eval(),
            dim=dim if head is None else head.out_features,
        )


def export(
    wish: Wish, registry: Path, *, pictures: Sequence[bytes], texts: Sequence[str], say: Callable[[str], None]
) -> Model:
    """Write, measure on the pictures and texts, register. say: told what is going on. Blocks, a minute for ViT-B/32.

    Raises as Halves.load and services.egs.registry.register; Corrupt when the float32 tower is not torch's.
    """
    say(f"loading {wish.source.architecture}")
    halves = Halves.load(wish)
    with TemporaryDirectory(prefix="omma-export-") as temporary:
        folder = Path(temporary)
        _write(wish, halves, folder, say)
        manifest = _manifest(wish, halves, folder, ())
        say(f"measuring on {len(pictures)} pictures")
        measured = [image_cosines(halves.model, halves.image, folder, manifest, pictures)]
        _require(wish, "image", measured[0])
        drift = [measured[0].drift("image")]
        if halves.text is not None:
            say(f"measuring on {len(texts)} texts")
            words = text_cosines(wish.source.architecture, halves.text, folder, manifest, texts)
            _require(wish, "text", words)
            drift.append(words.drift("text"))
        manifest = _manifest(wish, halves, folder, tuple(drift))
        return register(registry, manifest, {file: folder / file for file in manifest.files})


def _write(wish: Wish, halves: Halves, folder: Path, say: Callable[[str], None]) -> None:
    size = preprocessing_of(halves.model).size
    say("writing the image tower")
    write_onnx(halves.image, torch.zeros(2, 3, size, size), PIXELS, folder / _IMAGE)
    write_variant(folder / _IMAGE, wish.precision)
    if halves.text is not None:
        say("writing the text tower")
        length = _context_length(halves.model)
        write_onnx(halves.text, torch.zeros(2, length, dtype=torch.int64), TOKENS, folder / _TEXT)
        write_variant(folder / _TEXT, wish.precision)
        clip_tokenizer().save(str(folder / _TOKENIZER))


def _manifest(wish: Wish, halves: Halves, folder: Path, drift: tuple[Drift, ...]) -> Manifest:
    text = None
    if halves.text is not None:
        text = TextTower(
            file=_TEXT, tokenizer=_TOKENIZER, input=TOKENS, output=VECTOR, max_tokens=_context_length(halves.model)
        )
    return Manifest(
        name=wish.entry_name,
        version=wish.version,
        dim=halves.dim,
        image=ImageTower(file=_IMAGE, input=PIXELS, output=VECTOR),
        preprocessing=preprocessing_of(halves.model),
        text=text,
        files={path.name: sha256_of_file(path) for path in sorted(folder.iterdir())},
        licence=wish.licence,
        origin=wish.source.origin + ("" if wish.projection is None else f", projection {wish.projection.name}"),
        precision=wish.precision,
        drift=drift,
    )


def _require(wish: Wish, kind: str, cosines: Cosines) -> None:
    if wish.precision == "fp32" and cosines.tower.min() < LEAST_COSINE:
        raise Corrupt(f"The exported {kind} tower is not torch's: worst cosine {cosines.tower.min():.6f}.")


def _context_length(model: Any) -> int:
    text = model if hasattr(model, "context_length") else model.text
    return int(text.context_length)
