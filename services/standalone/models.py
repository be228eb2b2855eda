"""Which model a data folder is embedded with, and where it lies."""

from pathlib import Path
from typing import Final

from omma.errors import Absent
from omma.space import Space
from services.egs.registry import Model, list_models, load_model
from services.standalone.data_dir import DataDir
from services.standalone.settings import StandaloneSettings

_CHECKOUT: Final = Path(__file__).parents[2]
_SHIPPED: Final = Path(__file__).parent / "shipped"
"""In a wheel, which has no checkout around it."""
_OURS: Final = "omma-mini"


def registries(settings: StandaloneSettings) -> list[Path]:
    """Folders that are looked through, first found wins: the one that is set, ours, the data folder's."""
    ours = _SHIPPED if _SHIPPED.is_dir() else _CHECKOUT / "models"
    roots = [settings.egs.models_dir.absolute(), ours, DataDir(settings.data_dir).models.absolute()]
    return list(dict.fromkeys(roots))


def find_model(settings: StandaloneSettings, reference: str) -> Path:
    """The registry that has `name[@version]`. Raises Absent, field `OMMA_MODEL`, with what there is. Blocks."""
    known = []
    for root in registries(settings):
        for manifest in list_models(root):
            if reference in (manifest.name, manifest.reference):
                return root
            known.append(manifest.reference)
    there_are = ", ".join(known) or "none"
    raise Absent(f"There is no model {reference!r}; there are: {there_are}.", field="OMMA_MODEL")


def stored_with(settings: StandaloneSettings, space: Space) -> Model:
    """The model that stored vectors are of, or its newest patch: any that makes vectors of their space. Verified.

    Raises Absent, field `OMMA_MODEL`, saying what to do; Corrupt. Blocks.
    """
    reference = space.model
    try:
        patches = [
            (manifest.version_key, -at, root)
            for at, root in enumerate(registries(settings))
            for manifest in list_models(root, reference.partition("@")[0])
            if manifest.space(space.buckets).id == space.id
        ]
        if patches:
            newest, _, root = max(patches)
            return load_model(root, f"{reference.partition('@')[0]}@{'.'.join(map(str, newest))}")
        return load_model(find_model(settings, reference), reference)
    except Absent as error:
        name, _, version = reference.partition("@")
        raise Absent(
            f"What is stored is embedded with {reference}, which is in no registry. Put it back, as {name}/{version} "
            f"below one of {', '.join(map(str, registries(settings)))}; to change the model, start with this one "
            f"and roll the other out. {error.detail}",
            field="OMMA_MODEL",
        ) from None


def choose_model(settings: StandaloneSettings) -> Model:
    """Of a new folder. Verified. Blocks.

    OMMA_MODEL decides; else our own model, or the only one there is. Raises Absent, field `OMMA_MODEL`, when there is
    none; Corrupt.
    """
    wanted = settings.model or _first_choice(settings)
    return load_model(find_model(settings, wanted), wanted)


def _first_choice(settings: StandaloneSettings) -> str:
    known = [manifest for root in registries(settings) for manifest in list_models(root)]
    if any(manifest.name == _OURS for manifest in known):
        return _OURS
    if len(known) == 1:
        return known[0].reference
    if known:
        choice = ", ".join(manifest.reference for manifest in known)
        raise Absent(f"Say which model to use: OMMA_MODEL is one of {choice}.", field="OMMA_MODEL")
    looked = ", ".join(map(str, registries(settings)))
    raise Absent(f"There is no model in {looked}. Put one there: <name>/<version>/manifest.json.", field="OMMA_MODEL")
