"""A model with another head: tensors of an ONNX file overwritten in place, without the onnx package.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from services.egs.registry import Model, load_model, register

_GRAPH, _INITIALIZER, _NAME, _RAW = 7, 5, 8, 9
_WIDTHS: Final[Mapping[int, int]] = {1: 8, 5: 4}
"""Bytes of a field of wire type 1 and 5."""
_HALF: Final = "head.w.half"


def with_random_head(models: Path, model: Model, version: str, seed: int = 0) -> Model:
    """The same towers, but for the image's head: random numbers of the same spread. Registered under this version.

    For omma-mini 1.1, whose head is one matrix of float16, which is the last thing before the vector.
    """
    content = bytearray(model.path(model.manifest.image.file).read_bytes())
    start, end = _tensors(bytes(content))[_HALF]
    known = np.frombuffer(bytes(content[start:end]), np.float16)
    drawn = np.random.default_rng(seed).normal(0, known.std(dtype=np.float64), known.shape)
    content[start:end] = drawn.astype(np.float16).tobytes()
    path = models / f"{version}.onnx"
    models.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    files = {name: model.path(name) for name in model.manifest.files} | {model.manifest.image.file: path}
    sums = {**model.manifest.files, model.manifest.image.file: hashlib.sha256(content).hexdigest()}
    manifest = model.manifest.model_copy(update={"version": version, "files": sums})
    register(models, manifest, files)
    path.unlink()
    return load_model(models, manifest.reference)


def _tensors(onnx: bytes) -> dict[str, tuple[int, int]]:
    """Where the raw data of each initializer lie, by name."""
    found = {}
    for graph in _of(_GRAPH, onnx, 0, len(onnx)):
        for start, end in _of(_INITIALIZER, onnx, *graph):
            names = [onnx[at:to].decode() for at, to in _of(_NAME, onnx, start, end)]
            found |= {name: raw for name in names for raw in _of(_RAW, onnx, start, end)}
    return found


def _of(field: int, content: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the values of a length-delimited field lie, in a message from start to end."""
    at = start
    while at < end:
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == 2:
            length, at = _varint(content, at)
            if number == field:
                yield at, at + length
            at += length
        elif wire == 0:
            _, at = _varint(content, at)
        else:
            at += _WIDTHS[wire]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
