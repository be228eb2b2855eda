"""`omma model push | pull`: entries between the registry and object storage."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import Field

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import Blobs
from omma.errors import InvalidQuery
from omma.settings import Settings
from services.egs.registry import set_current
from services.egs.transfer import pull, push, set_current_remote
from services.standalone.models import find_model
from services.standalone.output import Json, console, print_json, run
from services.standalone.settings import StandaloneSettings


class _Access(Settings):
    """OMMA_S3__…, of which the address decides bucket and prefix."""

    s3: dict[str, Any] = Field(default_factory=dict)


Place = Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX|FOLDER", help="Endpoint and keys: OMMA_S3__…")]
Current = Annotated[bool, typer.Option("--current", help="Let the bare name mean this version there.")]


def push_model(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    to: Place,
    current: Current = False,
    json: Json = False,
) -> None:
    """Copy a model into object storage, verified; what is there already stays."""
    settings = StandaloneSettings()

    async def work() -> str:
        async with _storage(to) as blobs:
            manifest = await push(find_model(settings, reference), reference, blobs)
            if current:
                await set_current_remote(blobs, manifest)
            return manifest.reference

    _say(run(work()), to, json)


def pull_model(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The storage's current one unless told.")],
    source: Place,
    registry: Annotated[Path | None, typer.Option(help="Where to; OMMA_EGS__MODELS_DIR unless told.")] = None,
    current: Current = False,
    json: Json = False,
) -> None:
    """Copy a model from object storage into the registry, verified; what is there already stays."""
    root = registry or StandaloneSettings().egs.models_dir

    async def work() -> str:
        async with _storage(source) as blobs:
            model = await pull(blobs, reference, root)
            if current:
                set_current(root, model.manifest.reference)
            return model.manifest.reference

    _say(run(work()), str(root), json)


@asynccontextmanager
async def _storage(place: str) -> AsyncIterator[Blobs]:
    blobs = await _open(place)
    try:
        yield blobs
    finally:
        await blobs.close()


async def _open(place: str) -> Blobs:
    """Raises InvalidQuery for an address that is neither a folder nor s3://; as S3Blobs.open."""
    parts = urlsplit(place)
    if not parts.scheme:
        return FolderBlobs(Path(place))  # another command may be at work there
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise InvalidQuery(f"{place!r} is no folder and no s3://BUCKET/PREFIX.", field="place")
    try:
        from omma.blobs.s3 import S3Blobs
        from omma.blobs.s3_settings import S3Settings
    except ImportError as error:
        raise InvalidQuery(f"{place} needs boto3: install Omma's extra `cluster`.", field="place") from error

    said = _Access().s3 | {"bucket": parts.netloc, "prefix": parts.path.strip("/"), "inbox": ""}
    return await S3Blobs.open(S3Settings.model_validate(said))


def _say(reference: str, place: str, json: bool) -> None:
    if json:
        print_json({"model": reference, "place": place})
    else:
        console.print(f"{reference} is in {place}.", markup=False)
