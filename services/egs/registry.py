"""The model registry in a folder: `<root>/<name>/<version>/` with `manifest.json` and the files it names.

A version never changes. `<root>/<name>/current` says which version the bare name means; without it, the newest.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from pydantic import ValidationError

from omma.errors import Absent, Corrupt, InvalidQuery
from omma.trained_on import decode_middles
from omma.vectors import Float16
from services.egs.manifest import Manifest
from services.egs.versions import require_allowed

MANIFEST: Final = "manifest.json"
CURRENT: Final = "current"


@dataclass(frozen=True, slots=True)
class Model:
    """A registry entry whose every checksum fits."""

    manifest: Manifest
    folder: Path

    def path(self, file: str) -> Path:
        return self.folder / file

    def trained_on(self) -> Float16 | None:
        """As Embedder has it. Raises Corrupt for a file that is not what its manifest says. Blocks."""
        file = self.manifest.trained_on
        return None if file is None else decode_middles(self.path(file).read_bytes(), self.manifest.dim)


def list_models(root: Path, name: str = "*") -> list[Manifest]:
    """Every entry, by name and version; files are not read. Raises Corrupt for a manifest that is none. Blocks."""
    found = [_read_manifest(path.parent) for path in root.glob(f"{name}/*/{MANIFEST}")]
    return sorted(found, key=lambda one: (one.name, one.version_key))


def find_entry(root: Path, reference: str) -> Manifest:
    """What `name@version` or `name` means in this registry; files are not read. Blocks.

    Raises Absent, field `model`, with what there is.
    """
    known = list_models(root)
    current = current_version(root, reference)
    chosen = choose(reference, known, current)
    if chosen is None:
        there_is = ", ".join(one.reference for one in known) or "no model at all"
        said = f" (its current version is {current})" if current and "@" not in reference else ""
        raise Absent(f"There is no model {reference!r}{said} in {root}, which has {there_is}.", field="model")
    return chosen


def choose(reference: str, known: Iterable[Manifest], current: str | None) -> Manifest | None:
    """The one that is meant: the named version; for a bare name the current one, else the newest. Pure."""
    name, at, version = reference.partition("@")
    wanted = version if at else current
    fitting = [one for one in known if one.name == name and wanted in (None, one.version)]
    return max(fitting, key=lambda one: one.version_key, default=None)


def load_model(root: Path, reference: str) -> Model:
    """The model `name@version`; of a bare `name` its current version, else its newest. Verified. Blocks.

    Raises Absent, field `model`, with what there is; Corrupt, naming the file whose checksum or shape is wrong.
    """
    manifest = find_entry(root, reference)
    model = Model(manifest, _folder(root, manifest))
    for file, sha256 in manifest.files.items():
        verify_file(model.path(file), sha256)
    return model


def register(root: Path, manifest: Manifest, files: Mapping[str, Path]) -> Model:
    """Make the entry that the manifest describes, of copies of files by the names they have in it. Blocks.

    Appears whole or not at all; an entry that is there already, word for word, stays.
    Raises WrongState, field `version`, as services.egs.versions says; Corrupt for a file that is not its checksum's;
    InvalidQuery, field `files`, when they are not those of the manifest.
    """
    if files.keys() != manifest.files.keys():
        unlike = ", ".join(sorted(files.keys() ^ manifest.files.keys()))
        raise InvalidQuery(f"Files and manifest name different files: {unlike}.", field="files")
    with new_entry(root, manifest) as partial:
        if partial is not None:
            for name, path in files.items():
                shutil.copyfile(path, partial / name)
    return load_model(root, manifest.reference)


@contextmanager
def new_entry(root: Path, manifest: Manifest) -> Iterator[Path | None]:
    """A folder to put the entry's files into, verified and moved into place at the end; None when it is there already.

    Nothing is left after an error. Raises WrongState and Corrupt as `register`. Blocks.
    """
    if not require_allowed(manifest, list_models(root, manifest.name)):
        yield None
        return
    folder = _folder(root, manifest)
    root.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=".partial-", dir=root))
    try:
        yield partial
        for file, sha256 in manifest.files.items():
            verify_file(partial / file, sha256)
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        partial.chmod(0o755)
        folder.parent.mkdir(exist_ok=True)
        try:
            partial.rename(folder)
        except OSError:
            # Another process was faster; what it registered must be the same.
            if not (folder / MANIFEST).exists() or require_allowed(manifest, [_read_manifest(folder)]):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def current_version(root: Path, reference: str) -> str | None:
    """The version that the pointer of a name says, None without one. Blocks."""
    name = reference.partition("@")[0]
    path = root / name / CURRENT
    if not name or "/" in name or not path.is_file():
        return None
    return path.read_text().strip()


def set_current(root: Path, reference: str) -> Manifest:
    """Let the bare name mean `name@version`, from the next load on; atomic. Raises Absent, field `model`. Blocks."""
    manifest = find_entry(root, reference)
    path = root / manifest.name / CURRENT
    part = path.with_name(f".{CURRENT}.part")
    part.write_text(f"{manifest.version}\n")
    part.replace(path)
    return manifest


def verify_file(path: Path, sha256: str) -> None:
    """Raises Corrupt, naming the file, unless it is there with this checksum. Blocks: about 1 ms a MB."""
    try:
        found = sha256_of_file(path)
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing, though {MANIFEST} names it.") from None
    if found != sha256:
        raise Corrupt(f"{path} has sha256 {found}, and {MANIFEST} says {sha256}: fetch the model again.")


def sha256_of_file(path: Path) -> str:
    """Hex. Raises FileNotFoundError. Blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_manifest(content: bytes, source: str) -> Manifest:
    """Raises Corrupt, naming the source, for what is no manifest. Pure."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise Corrupt(f"{source} is no manifest of a model: {error}") from error


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    manifest = parse_manifest(path.read_bytes(), str(path))
    if (manifest.name, manifest.version) != (folder.parent.name, folder.name):
        raise Corrupt(f"{path} says that it is {manifest.reference}, which its folder does not.")
    return manifest


def _folder(root: Path, manifest: Manifest) -> Path:
    return root / manifest.name / manifest.version
