"""What a registry entry says of a model: `manifest.json`, closed, and the space that it makes."""

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omma.space import Space, SpaceId

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""A plain name in the entry's own folder."""
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Channel3 = tuple[float, float, float]
_MAX_WINDOWS: Final = 63
"""With the whole as many vectors as a picture may have."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Preprocessing(_Closed):
    """From an upright RGB picture to the model's input, float32 NCHW: (value - mean) / std, value 0 ... 255.

    squash: the whole box to size x size. centre_crop: the shorter side of the box to size, then the middle square, as
    torchvision's Resize and CenterCrop.
    """

    size: int = Field(ge=8, le=2048)
    how: Literal["squash", "centre_crop"] = "squash"
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: Channel3
    std: Channel3
    layout: Literal["NCHW"] = "NCHW"

    @model_validator(mode="after")
    def _std_divides(self) -> "Preprocessing":
        if min(self.std) <= 0:
            raise ValueError("std must be above 0")
        return self


class ImageTower(_Closed):
    """An ONNX file: input float32[n, 3, size, size] to output float32[n, dim]."""

    file: FileName
    input: str = Field(min_length=1)
    output: str = Field(min_length=1)


class WindowsOutput(_Closed):
    """Vectors of a picture's parts by the image tower's one run: float32[n, count, dim] beside its own output.

    file: ONNX nodes that follow the image tower's own, in bytes: the two files one after the other are a graph with
    both outputs (training/mini/windows.py). grid: places a side of the tower's feature map. window: of them, a part's
    side.
    """

    file: FileName
    output: str = Field(min_length=1)
    grid: int = Field(ge=2, le=64)
    window: int = Field(ge=1, le=64)

    @model_validator(mode="after")
    def _fits_and_is_bounded(self) -> "WindowsOutput":
        if self.window >= self.grid:
            raise ValueError("window must be below grid: another window is the whole picture")
        if self.count > _MAX_WINDOWS:
            raise ValueError(f"at most {_MAX_WINDOWS} windows a picture, and not {self.count}")
        return self

    @property
    def count(self) -> int:
        return (self.grid - self.window + 1) ** 2

    @property
    def fractions(self) -> tuple[tuple[float, float, float, float], ...]:
        """Left, top, right, bottom of each in 0 … 1 of the picture, in the order of the output: row by row."""
        steps = range(self.grid - self.window + 1)
        return tuple(
            (
                left / self.grid,
                top / self.grid,
                (left + self.window) / self.grid,
                (top + self.window) / self.grid,
            )
            for top in steps
            for left in steps
        )


class TextTower(_Closed):
    """An ONNX file: input int64[n, max_tokens] to output float32[n, dim]; tokenizer: a Hugging Face tokenizer.json.

    confidence: another output, float32[n], 0 … 1: how far the tower trusts itself on these words.
    """

    file: FileName
    tokenizer: FileName
    input: str = Field(min_length=1)
    output: str = Field(min_length=1)
    max_tokens: int = Field(ge=1, le=8192)
    pad_id: int = Field(default=0, ge=0)
    confidence: str | None = Field(default=None, min_length=1)


class Drift(_Closed):
    """How far a tower's vectors lie from those it was made from, measured when it was made, over so many items."""

    tower: Literal["image", "text"]
    against: str = Field(min_length=1, description="`torch`, or the `name@version` that this one is a variant of.")
    items: int = Field(ge=1)
    mean_cosine: float = Field(ge=-1, le=1)
    worst_cosine: float = Field(ge=-1, le=1)


class Manifest(_Closed):
    """files: every file of the entry and its checksum; documents: those of them that decide no vector, as a model card.
    trained_on: another that decides none: a .npy file, float16[n, dim], of middles of the pictures that it learnt from.
    windows: the picture's parts; they are no part of the signature, since the whole's vector is the same without them.

    licence, origin: words for people. precision: of the towers' weights. drift: what that and the export cost.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")
    dim: int = Field(ge=1, le=65_536)
    image: ImageTower
    preprocessing: Preprocessing
    windows: WindowsOutput | None = None
    text: TextTower | None = None
    files: dict[FileName, Sha256Hex]
    documents: tuple[FileName, ...] = ()
    trained_on: FileName | None = None
    licence: str = ""
    origin: str = ""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    drift: tuple[Drift, ...] = ()

    @model_validator(mode="after")
    def _every_file_has_a_checksum(self) -> "Manifest":
        used = {self.image.file} if self.text is None else {self.image.file, self.text.file, self.text.tokenizer}
        missing = (used | self._beside()) - self.files.keys()
        if missing:
            raise ValueError(f"no checksum of {', '.join(sorted(missing))}")
        if used & self._beside():
            raise ValueError("a tower or a tokenizer is no document")
        if self.windows is not None and self.preprocessing.how != "squash":
            raise ValueError("windows need a tower that sees the whole picture: preprocessing.how squash")
        return self

    def _beside(self) -> set[str]:
        """Files that decide no vector of a whole picture."""
        windows = {self.windows.file} if self.windows else set()
        return {*self.documents} | ({self.trained_on} if self.trained_on else set()) | windows

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def version_key(self) -> tuple[int, int, int]:
        major, minor, patch = map(int, self.version.split("."))
        return major, minor, patch

    def signature(self) -> str:
        """sha256 hex over what decides a vector: towers, preprocessing, dim and metric; not over names and words.

        A setting that a manifest leaves out is not part of it, so that a new optional one changes no old signature.
        """
        said = self.model_dump(mode="json", include={"image", "preprocessing", "text", "dim"}, exclude_none=True)
        said["files"] = {file: sha256 for file, sha256 in self.files.items() if file not in self._beside()}
        canonical = json.dumps({**said, "metric": "ip"}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def space(self, buckets: int = 256) -> Space:
        """The space of this model's vectors; a patch has those of its minor, so it answers from the same space."""
        signature = self.signature()
        major, minor, _ = self.version_key
        space_id = SpaceId(f"{self.name}-{major}.{minor}.0-{signature[:8]}")
        return Space(space_id, self.reference, signature, self.dim, buckets)
