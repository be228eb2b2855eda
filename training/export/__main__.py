"""`python -m training.export ARCHITECTURE/TAG`: what `omma model export --open-clip` starts."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from omma.errors import OmmaError
from services.standalone.output import errors, fail, print_json
from training.export.entry import Wish, export
from training.export.samples import drawn, photographs, sentences
from training.export.source import Source
from training.export.variants import Precision


def main(
    open_clip: Annotated[str, typer.Argument(metavar="ARCHITECTURE/TAG")],
    *,
    registry: Annotated[Path, typer.Option()] = Path("models"),
    name: Annotated[str, typer.Option()] = "",
    version: Annotated[str, typer.Option()] = "1.0.0",
    weights: Annotated[Path | None, typer.Option()] = None,
    random_weights: Annotated[int | None, typer.Option(metavar="SEED")] = None,
    projection: Annotated[Path | None, typer.Option()] = None,
    variant: Annotated[Precision, typer.Option()] = "fp32",
    image_only: Annotated[bool, typer.Option("--image-only")] = False,
    licence: Annotated[str, typer.Option()] = "",
    pictures: Annotated[Path | None, typer.Option("--photographs")] = None,
    count: Annotated[int, typer.Option(min=1, max=100_000)] = 64,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Write, measure and register; the last line says what was made."""
    logging.getLogger().setLevel(logging.CRITICAL)
    try:
        wish = Wish(
            source=Source.parse(open_clip, weights=weights, random_seed=random_weights),
            name=name,
            version=version,
            projection=projection,
            precision=variant,
            image_only=image_only,
            licence=licence,
        )
        measured_on = drawn(count) if pictures is None else photographs(pictures, count)
        model = export(wish, registry, pictures=measured_on, texts=sentences(count), say=errors.print)
    except OmmaError as error:
        fail(error)
    said = [one.model_dump(mode="json") for one in model.manifest.drift]
    if json:
        print_json({"model": model.manifest.reference, "folder": str(model.folder), "drift": said})
        return
    for one in model.manifest.drift:
        print(f"{one.tower}: cosine to torch, worst of {one.items}: {one.worst_cosine:.6f}, mean {one.mean_cosine:.6f}")
    print(f"{model.manifest.reference} is in {model.folder}")


if __name__ == "__main__":
    typer.run(main)
