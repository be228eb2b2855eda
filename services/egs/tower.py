"""One tower of a model in ONNX Runtime: checked output, L2-normalised."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import onnxruntime as ort

from omma.errors import Corrupt, InvalidPicture, InvalidQuery
from omma.vectors import Float32

Kind: TypeAlias = Literal["image", "text"]

_NO_LENGTH: Final = 1e-12
UNSOUND: Final = ["MatmulTransposeFusion"]
"""onnxruntime 1.31 dies of it on attention in float16 (SIGSEGV while loading); ViT-B/32 in float32 takes 108 ms without
and 107 ms with it.
"""


class Tower:
    """An ONNX graph from one named input to one named output float32[n, dim], and maybe another. Any number of threads
    may run it.

    It has two sessions. The narrow one computes on the calling thread alone, so that as many threads as cores give the
    most pictures a second; the wide one spreads a lone picture over the cores and answers in 0.6 of the time
    (docs/adr/0005). Both give the same bits.
    """

    def __init__(
        self,
        path: Path,
        kind: Kind,
        *,
        input: str,
        output: str,
        dim: int,
        wide_threads: int,
        second: str | None = None,
        added: Path | None = None,
    ) -> None:
        """second: another output, a confidence float32[n] or windows float32[n, count, dim]. added: a file whose bytes
        follow the other's. Raises Corrupt for a file that is no such graph. Blocks.
        """
        self.kind: Kind = kind
        self._input, self._dim, self._path = input, dim, path
        graph = str(path) if added is None else path.read_bytes() + added.read_bytes()
        self._narrow = _session(graph, 1, path)
        self._wide = _session(graph, wide_threads, path) if wide_threads > 1 else self._narrow
        self._outputs = [output] if second is None else [output, second]
        named = [(input, self._narrow.get_inputs()), *((one, self._narrow.get_outputs()) for one in self._outputs)]
        for name, there in named:
            if name not in {one.name for one in there}:
                raise Corrupt(f"{path} has no input or output named {name!r}.")

    def run(self, batch: Any, *, wide: bool) -> list[Float32 | Exception]:
        """One unit vector float32[dim] a row of the batch; an exception for a row that has none. Blocks.

        A tower with a confidence puts it behind the vector: float32[dim + 1]; one with windows puts them below it:
        float32[1 + count, dim].
        """
        session = self._wide if wide else self._narrow
        rows, *second = session.run(self._outputs, {self._input: batch})
        if rows.ndim != 2 or rows.shape[1] != self._dim:
            raise Corrupt(f"{self._path} gives {rows.shape}, and its manifest says dim {self._dim}.")
        return stamped_rows(rows, second[0] if second else None, self.kind)


def stamped_rows(rows: Float32, second: Float32 | None, kind: Kind) -> list[Float32 | Exception]:
    """As unit_rows; of words with a confidence float32[n] behind each vector, cut to 0 … 1; of pictures with windows
    float32[n, count, dim] below it. Raises Corrupt for another shape.
    """
    if second is None:
        return unit_rows(rows, kind)
    return _with_windows(rows, second) if kind == "image" else _with_confidence(rows, second)


def _with_windows(rows: Float32, windows: Float32) -> list[Float32 | Exception]:
    count, dim = len(rows), rows.shape[1]
    if windows.ndim != 3 or (windows.shape[0], windows.shape[2]) != (count, dim):
        raise Corrupt(f"The model gives windows {windows.shape} for vectors {rows.shape}.")
    every = np.concatenate([rows[:, np.newaxis], windows], axis=1)
    each = unit_rows(every.reshape(-1, dim), "image")
    return [first_fault(each[at : at + every.shape[1]]) for at in range(0, len(each), every.shape[1])]


def _with_confidence(rows: Float32, sure: Float32) -> list[Float32 | Exception]:
    made = unit_rows(rows, "text")
    if sure.shape != rows.shape[:1]:
        raise Corrupt(f"The model gives a confidence {sure.shape} for {rows.shape[0]} rows.")
    return [
        row if isinstance(row, Exception) else np.append(row, np.float32(min(1.0, max(0.0, float(one)))))
        for row, one in zip(made, sure, strict=True)
    ]


def unit_rows(rows: Float32, kind: Kind) -> list[Float32 | Exception]:
    """Each row L2-normalised; Corrupt for one that is not finite, the input's own fault for one of no length. Pure."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    made: list[Float32 | Exception] = []
    for row, length in zip(rows, lengths, strict=True):
        if not np.isfinite(length):
            made.append(Corrupt("The model computed a vector that is not finite."))
        elif length < _NO_LENGTH:
            fault = InvalidPicture if kind == "image" else InvalidQuery
            made.append(fault("The model makes nothing of it: its vector has no length.", field=kind))
        else:
            made.append((row / length).astype(np.float32))
    return made


def first_fault(rows: Sequence[Float32 | Exception]) -> Float32 | Exception:
    """The rows of one item as float32[n, dim], or the first of them that is a fault."""
    vectors: list[Float32] = []
    for row in rows:
        if isinstance(row, Exception):
            return row
        vectors.append(row)
    return np.stack(vectors)


def _session(graph: str | bytes, threads: int, path: Path) -> Any:
    """graph: a file's name, or the bytes. path: for people."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning keeps cores hot between two runs and gained nothing: 89 pictures a second without, 73 to 88 with it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=UNSOUND)
    except Exception as error:  # onnxruntime's own classes have no common base below Exception
        raise Corrupt(f"{path} cannot be loaded as an ONNX model: {error}") from error
