"""`python -m training.export.check ARCHITECTURE/TAG --model NAME@VERSION --photographs DIR`: an entry beside torch.

Prints cosines over --count photographs: the tower alone (the same tensor for both), the whole way from the bytes, and,
for scale, torch's vectors of different photographs with each other.
"""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from omma.errors import OmmaError
from services.egs.registry import load_model
from services.standalone.output import fail, print_json
from training.export.drift import Cosines, image_cosines, text_cosines
from training.export.entry import Halves, Wish
from training.export.samples import photographs, sentences
from training.export.source import Source


def main(
    open_clip: Annotated[str, typer.Argument(metavar="ARCHITECTURE/TAG")],
    *,
    model: Annotated[str, typer.Option(metavar="NAME[@VERSION]")],
    pictures: Annotated[Path, typer.Option("--photographs")],
    registry: Annotated[Path, typer.Option()] = Path("models"),
    count: Annotated[int, typer.Option(min=1, max=100_000)] = 1_000,
    weights: Annotated[Path | None, typer.Option()] = None,
    random_weights: Annotated[int | None, typer.Option(metavar="SEED")] = None,
    projection: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """The worst cosine, and how it is spread, as JSON."""
    logging.getLogger().setLevel(logging.CRITICAL)
    try:
        entry = load_model(registry, model)
        source = Source.parse(open_clip, weights=weights, random_seed=random_weights)
        halves = Halves.load(Wish(source, projection=projection, image_only=entry.manifest.text is None))
        said = {
            "image": _said(
                image_cosines(halves.model, halves.image, entry.folder, entry.manifest, photographs(pictures, count))
            )
        }
        if halves.text is not None:
            texts = sentences(count)
            words = text_cosines(source.architecture, halves.text, entry.folder, entry.manifest, texts)
            said["text"] = _said(words)
    except OmmaError as error:
        fail(error)
    print_json({"model": entry.manifest.reference, **said})


def _said(cosines: Cosines) -> dict[str, object]:
    return {
        "items": len(cosines.tower),
        "tower": _spread(cosines.tower),
        "whole": _spread(cosines.whole),
        "apart": _spread(cosines.apart),
    }


def _spread(values: npt.NDArray[np.float64]) -> dict[str, float]:
    at = {"worst": 0.0, "p01": 0.01, "median": 0.5, "best": 1.0}
    return {name: round(float(np.quantile(values, share)), 7) for name, share in at.items()}


if __name__ == "__main__":
    typer.run(main)
