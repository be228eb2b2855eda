"""What a registry entry is called on Triton, and what its configuration says of it."""

from typing import Final, Literal

from services.egs.manifest import Manifest

SIGNATURE: Final = "omma_signature"
"""Parameter of a model's configuration: the entry's whole signature."""
VERSION: Final = "1"
"""Of every Triton model: another entry is another name."""


def triton_name(manifest: Manifest, kind: Literal["image", "text"]) -> str:
    return f"{manifest.space().id}-{kind}"


def outputs_of(manifest: Manifest, kind: Literal["image", "text"]) -> dict[str, int]:
    """Numbers a row of each output: the vector's first, then one for the confidence of a text tower that has it."""
    if kind == "image":
        return {manifest.image.output: manifest.dim}
    if manifest.text is None:
        raise ValueError(f"{manifest.reference} has no text tower")
    sure = {} if manifest.text.confidence is None else {manifest.text.confidence: 1}
    return {manifest.text.output: manifest.dim} | sure
