"""What a registry entry is called on Triton, and what its configuration says of it."""

from typing import Final, Literal, TypeAlias

from services.egs.manifest import Manifest

Kind: TypeAlias = Literal["image", "text", "windows"]
"""windows: the image tower with its second output, a model of its own, so that searches do not pay for it."""

SIGNATURE: Final = "omma_signature"
"""Parameter of a model's configuration: what signature_of says."""
VERSION: Final = "1"
"""Of every Triton model: another entry is another name."""


def kinds_of(manifest: Manifest) -> tuple[Kind, ...]:
    """What Triton serves of it, the image tower first."""
    text: tuple[Kind, ...] = () if manifest.text is None else ("text",)
    windows: tuple[Kind, ...] = () if manifest.windows is None else ("windows",)
    return ("image", *text, *windows)


def triton_name(manifest: Manifest, kind: Kind) -> str:
    return f"{manifest.space().id}-{kind}"


def signature_of(manifest: Manifest, kind: Kind) -> str:
    """The entry's whole signature; of windows, which are no part of it, their file's checksum too."""
    if kind == "windows" and manifest.windows is not None:
        return f"{manifest.signature()}-{manifest.files[manifest.windows.file]}"
    return manifest.signature()


def outputs_of(manifest: Manifest, kind: Kind) -> dict[str, tuple[int, ...]]:
    """Shape of a row of each output: the vector's first, then the confidence, a number, of words, or windows."""
    tower = manifest.text if kind == "text" else manifest.image
    if tower is None:
        raise ValueError(f"{manifest.reference} has no {kind} tower")
    outputs: dict[str, tuple[int, ...]] = {tower.output: (manifest.dim,)}
    if kind == "text" and manifest.text is not None and manifest.text.confidence is not None:
        outputs[manifest.text.confidence] = ()
    if kind == "windows":
        if manifest.windows is None:
            raise ValueError(f"{manifest.reference} has no windows")
        outputs[manifest.windows.output] = (manifest.windows.count, manifest.dim)
    return outputs
