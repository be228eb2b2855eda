"""Tiny ONNX models, written by hand as protobuf: the onnx package would be a dependency for two graphs.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FLOAT, INT64 = 1, 7


def image_tower(size: int, dim: int, seed: int = 0, *, blind: bool = False) -> bytes:
    """`pixels` float32[n, 3, size, size] to `vector` float32[n, dim]: flattened, times a random matrix.

    blind: a matrix of rank 1, by which any two pictures are the same or opposite.
    """
    weights = np.random.default_rng(seed).standard_normal((3 * size * size, dim)).astype(np.float32)
    if blind:
        weights = np.outer(weights[:, 0], weights[0]).astype(np.float32)
    return _model(
        [_node("Flatten", ["pixels"], ["flat"]), _node("MatMul", ["flat", "weights"], ["vector"])],
        {"weights": weights},
        ("pixels", FLOAT, ["n", 3, size, size]),
        ("vector", FLOAT, ["n", dim]),
    )


def text_tower(words: int, dim: int, seed: int = 0, *, confident: bool = False) -> bytes:
    """`tokens` int64[n, length] to `vector` float32[n, dim]: the mean of a random vector for each word.

    confident: also to `trust` float32[n], the mean of the vector.
    """
    table = np.random.default_rng(seed).standard_normal((words, dim)).astype(np.float32)
    mean = _node("ReduceMean", ["rows"], ["vector"], _ints("axes", [1]), _int("keepdims", 0))
    trust = _node("ReduceMean", ["vector"], ["trust"], _ints("axes", [1]), _int("keepdims", 0))
    return _model(
        [_node("Gather", ["table", "tokens"], ["rows"]), mean, *([trust] if confident else [])],
        {"table": table},
        ("tokens", INT64, ["n", "length"]),
        ("vector", FLOAT, ["n", dim]),
        *([("trust", FLOAT, ["n"])] if confident else []),
    )


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    body = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _bytes(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def _int(name: str, value: int) -> bytes:
    return _bytes(1, name) + _number(3, value) + _number(20, 2)


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes) -> bytes:
    named = b"".join(_bytes(1, one) for one in inputs) + b"".join(_bytes(2, one) for one in outputs)
    return named + _bytes(4, kind) + b"".join(_bytes(5, one) for one in attributes)


def _tensor(name: str, values: npt.NDArray[np.float32]) -> bytes:
    shape = b"".join(_number(1, side) for side in values.shape)
    return shape + _number(2, FLOAT) + _bytes(8, name) + _bytes(9, struct.pack(f"<{values.size}f", *values.ravel()))


def _value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side) if isinstance(side, int) else _bytes(2, side)) for side in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, sides)))


def _model(
    nodes: Sequence[bytes],
    weights: dict[str, npt.NDArray[np.float32]],
    given: tuple[str, int, Sequence[int | str]],
    *made: tuple[str, int, Sequence[int | str]],
) -> bytes:
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, "tiny")
    graph += b"".join(_bytes(5, _tensor(name, values)) for name, values in weights.items())
    graph += _bytes(11, _value(*given)) + b"".join(_bytes(12, _value(*one)) for one in made)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))
