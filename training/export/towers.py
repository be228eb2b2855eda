"""The two halves of an OpenCLIP model as modules of one input and one output, and their ONNX files."""

from pathlib import Path
from typing import Any, Final

import torch
from torch.nn.functional import normalize

PIXELS: Final = "pixels"
TOKENS: Final = "tokens"
VECTOR: Final = "vector"
_OPSET: Final = 18
_ONE_FILE_BYTES: Final = 1_800_000_000
"""A protobuf ends at 2 GiB: weights beyond this lie in a file beside the graph."""


class ImageHalf(torch.nn.Module):
    """float32[n, 3, size, size] to unit float32[n, dim]; normalised before the head as after it."""

    def __init__(self, model: Any, head: torch.nn.Module | None) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return _unit(self.model.encode_image(pixels), self.head)


class TextHalf(torch.nn.Module):
    """int64[n, length] to unit float32[n, dim], through the same head."""

    def __init__(self, model: Any, head: torch.nn.Module | None) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return _unit(self.model.encode_text(tokens), self.head)


def write_onnx(half: torch.nn.Module, example: torch.Tensor, input_name: str, path: Path) -> None:
    """The batch is free, everything else as in the example. Blocks, 15 to 30 s for ViT-B/32 on one core."""
    large = sum(one.numel() * one.element_size() for one in half.parameters()) > _ONE_FILE_BYTES
    torch.onnx.export(
        half.eval(),
        (example,),
        str(path),
        dynamo=True,
        opset_version=_OPSET,
        dynamic_shapes={input_name: {0: torch.export.Dim("n", min=1, max=4096)}},
        input_names=[input_name],
        output_names=[VECTOR],
        external_data=large,
        verbose=False,
    )


def _unit(vectors: torch.Tensor, head: torch.nn.Module | None) -> torch.Tensor:
    unit = normalize(vectors, dim=-1)
    return unit if head is None else normalize(head(unit), dim=-1)
