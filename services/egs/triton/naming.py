"""What a registry entry is called on Triton, and what its configuration says of it."""

from typing import Final, Literal

from services.egs.manifest import Manifest

SIGNATURE: Final = "omma_signature"
"""Parameter of a model's configuration: the entry's whole signature."""
VERSION: Final = "1"
"""Of every Triton model: another entry is another name."""


def triton_name(manifest: Manifest, kind: Literal["image", "text"]) -> str:
    return f"{manifest.space().id}-{kind}"
