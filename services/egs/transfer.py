"""Registry entries between a folder and object storage: `<name>/<version>/…`, the same names in both.

An entry is there when its manifest is, which is written last; what a broken push leaves behind is nobody's entry.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Final

from omma.blobs.interface import Blobs
from omma.errors import Absent, Corrupt
from services.egs.manifest import Manifest
from services.egs.registry import CURRENT, MANIFEST, Model, choose, load_model, new_entry, parse_manifest, verify_file
from services.egs.versions import require_allowed

_AT_ONCE: Final = 8


async def list_remote(blobs: Blobs, name: str = "") -> list[Manifest]:
    """Every entry in the storage, or those of one name. Raises Corrupt for a manifest that is none."""
    keys = [key async for key in blobs.keys(f"{name}/" if name else "") if _is_manifest(key)]
    found = []
    for at in range(0, len(keys), _AT_ONCE):
        contents = await asyncio.gather(*(blobs.get(key) for key in keys[at : at + _AT_ONCE]))
        found += [parse_manifest(content, key) for key, content in zip(keys[at:], contents, strict=False)]
    return sorted(found, key=lambda one: (one.name, one.version_key))


async def push(root: Path, reference: str, blobs: Blobs) -> Manifest:
    """Copy a verified entry into the storage, and verify it there; one that is there already stays.

    Raises as load_model; WrongState, field `version`, as services.egs.versions says of what the storage has; Corrupt
    when what arrived is not what was sent.
    """
    model = await asyncio.to_thread(load_model, root, reference)
    manifest = model.manifest
    if not require_allowed(manifest, await list_remote(blobs, manifest.name)):
        return manifest
    with tempfile.TemporaryDirectory(prefix="omma-push-") as folder:
        for file, sha256 in manifest.files.items():
            key = _key(manifest, file)
            await blobs.put_file(key, model.path(file))
            arrived = Path(folder) / "arrived"
            await blobs.get_file(key, arrived)
            await asyncio.to_thread(verify_file, arrived, sha256)
    await blobs.put(_key(manifest, MANIFEST), f"{manifest.model_dump_json(indent=2)}\n".encode())
    return manifest


async def pull(blobs: Blobs, reference: str, root: Path) -> Model:
    """Copy an entry from the storage into the registry, verified; one that is there already stays.

    A bare name means the storage's current version, else its newest.
    Raises Absent, field `model`, with what there is; Corrupt, naming the file; WrongState as `push`, of this registry.
    """
    name = reference.partition("@")[0]
    known = [one for one in await list_remote(blobs, name) if one.name == name]
    manifest = choose(reference, known, await current_remote(blobs, name) if known else None)
    if manifest is None:
        there_is = ", ".join(one.reference for one in known) or "no version of it"
        raise Absent(f"There is no model {reference!r} in the storage, which has {there_is}.", field="model")
    with contextlib.ExitStack() as stack:
        partial = await asyncio.to_thread(stack.enter_context, new_entry(root, manifest))
        if partial is not None:
            for file in manifest.files:
                try:
                    await blobs.get_file(_key(manifest, file), partial / file)
                except Absent:
                    raise Corrupt(f"{_key(manifest, file)} is missing, though {MANIFEST} names it.") from None
        await asyncio.to_thread(stack.close)
    return await asyncio.to_thread(load_model, root, manifest.reference)


async def current_remote(blobs: Blobs, name: str) -> str | None:
    """The version that the storage's pointer says, None without one."""
    try:
        return (await blobs.get(f"{name}/{CURRENT}")).decode().strip()
    except Absent:
        return None


async def set_current_remote(blobs: Blobs, manifest: Manifest) -> None:
    """Let the bare name mean this version in the storage. The entry is there."""
    await blobs.put(f"{manifest.name}/{CURRENT}", f"{manifest.version}\n".encode())


def _key(manifest: Manifest, file: str) -> str:
    return f"{manifest.name}/{manifest.version}/{file}"


def _is_manifest(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 3 and parts[2] == MANIFEST
