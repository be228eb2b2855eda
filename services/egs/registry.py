"""The model registry: a folder `<root>/<name>/<version>/` with `manifest.json` and the files it names."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from pydantic import ValidationError

from omma.errors import Absent, Corrupt
from services.egs.manifest import ImageTower, Manifest, Preprocessing

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Model:
    """A registry entry whose every checksum fits."""

    manifest: Manifest
    folder: Path

    def path(self, file: str) -> Path:
        return self.folder / file


def list_models(root: Path) -> list[Manifest]:
    """Every entry, by name and version; files are not read. Raises Corrupt for a manifest that is none. Blocks."""
    found = [_read_manifest(path.parent) for path in root.glob(f"*/*/{MANIFEST}")]
    return sorted(found, key=lambda one: (one.name, one.version_key))


def load_model(root: Path, reference: str) -> Model:
    """The model `name@version`, or the newest version of `name`, verified. Blocks.

    Raises Absent, field `model`, with what there is; Corrupt, naming the file whose checksum or shape is wrong.
    """
    name, at, version = reference.partition("@")
    fitting = [one for one in list_models(root) if one.name == name and (not at or one.version == version)]
    if not fitting:
        known = ", ".join(one.reference for one in list_models(root)) or "no model at all"
        raise Absent(f"There is no model {reference!r} in {root}, which has {known}.", field="model")
    manifest = fitting[-1]
    folder = root / manifest.name / manifest.version
    for file, sha256 in manifest.files.items():
        _verify(folder / file, sha256)
    return Model(manifest, folder)


def register_onnx(
    root: Path,
    onnx: Path,
    *,
    name: str,
    version: str,
    dim: int,
    image_input: str,
    image_output: str,
    preprocessing: Preprocessing,
    licence: str = "",
    origin: str = "",
) -> Model:
    """Make a registry entry of an ONNX image tower, which is copied; an entry that is there already stays. Blocks.

    Appears whole or not at all. Raises pydantic.ValidationError for arguments that make no manifest.
    """
    manifest = Manifest(
        name=name,
        version=version,
        dim=dim,
        image=ImageTower(file=onnx.name, input=image_input, output=image_output),
        preprocessing=preprocessing,
        files={onnx.name: _sha256(onnx)},
        licence=licence,
        origin=origin,
    )
    folder = root / name / version
    if not (folder / MANIFEST).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=".partial-", dir=root))
        try:
            shutil.copyfile(onnx, partial / onnx.name)
            (partial / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
            partial.chmod(0o755)
            partial.rename(folder)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            if not (folder / MANIFEST).exists():  # else another process was faster
                raise
    return load_model(root, manifest.reference)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise Corrupt(f"{path} is no manifest of a model: {error}") from error
    if (manifest.name, manifest.version) != (folder.parent.name, folder.name):
        raise Corrupt(f"{path} says that it is {manifest.reference}, which its folder does not.")
    return manifest


def _verify(path: Path, sha256: str) -> None:
    try:
        found = _sha256(path)
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing, though {MANIFEST} names it.") from None
    if found != sha256:
        raise Corrupt(f"{path} has sha256 {found}, and {MANIFEST} says {sha256}: fetch the model again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
