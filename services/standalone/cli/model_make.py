"""`omma model export | triton-repo`: entries from OpenCLIP, and from entries what Triton serves."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from omma.errors import InvalidQuery, OmmaError
from services.egs.registry import load_model
from services.egs.triton.repository import Platform, Serving, write_repository
from services.standalone.files import writing
from services.standalone.models import find_model
from services.standalone.numbers import whole
from services.standalone.output import Json, console, fail, print_json, shown
from services.standalone.settings import StandaloneSettings

_CHECKOUT: Final = Path(__file__).parents[3]


def export_model(
    open_clip: Annotated[str, typer.Option("--open-clip", metavar="ARCHITECTURE/TAG", help="As OpenCLIP names them.")],
    *,
    name: Annotated[str, typer.Option(help="The source's own unless told.")] = "",
    version: Annotated[str, typer.Option()] = "1.0.0",
    weights: Annotated[Path | None, typer.Option(help="A checkpoint file instead of the hub's.")] = None,
    random_weights: Annotated[
        int | None, typer.Option(parser=whole(), metavar="SEED", help="No weights: to test the way.")
    ] = None,
    projection: Annotated[Path | None, typer.Option(help="A Linear for both towers, .npz or .pt.")] = None,
    variant: Annotated[Literal["fp32", "fp16", "int8"], typer.Option(help="Smaller weights.")] = "fp32",
    image_only: Annotated[bool, typer.Option("--image-only", help="Leave the text tower out.")] = False,
    licence: Annotated[str, typer.Option(help="Of the weights, for people.")] = "",
    photographs: Annotated[Path | None, typer.Option(help="Measure the drift on these.")] = None,
    count: Annotated[int, typer.Option(parser=whole(1), help="So many pictures and texts.")] = 64,
    registry: Annotated[Path | None, typer.Option(help="OMMA_EGS__MODELS_DIR unless told.")] = None,
    json: Json = False,
) -> None:
    """Write an OpenCLIP model into the registry: ONNX towers, tokenizer, preprocessing, measured drift."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("open_clip") is None:
        fail(InvalidQuery("Exporting needs torch and open_clip: install Omma's extra `train`.", field="open-clip"))
    if not (_CHECKOUT / "training" / "export").is_dir():
        fail(InvalidQuery("Exporting runs from a checkout of Omma: training/ is not installed.", field="open-clip"))
    options = {
        "--registry": registry or StandaloneSettings().egs.models_dir,
        "--name": name,
        "--version": version,
        "--weights": weights,
        "--random-weights": random_weights,
        "--projection": projection,
        "--variant": variant,
        "--licence": licence,
        "--photographs": photographs,
        "--count": count,
    }
    said = [word for key, value in options.items() if value not in (None, "") for word in (key, str(value))]
    flags = [flag for flag, on in (("--image-only", image_only), ("--json", json)) if on]
    # A process of its own: services import nothing of training, and torch goes when it is done.
    paths = [str(_CHECKOUT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "training.export", open_clip, *said, *flags],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=False,
    )
    raise typer.Exit(done.returncode)


def triton_repository(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Triton's --model-repository.")],
    *,
    platform: Annotated[Platform, typer.Option(help="python: where there is no GPU.")] = "onnxruntime",
    instances: Annotated[
        int, typer.Option(parser=whole(1, 64), help="Of each tower, 1 to 64; a core each on a CPU.")
    ] = 1,
    max_batch: Annotated[int, typer.Option(parser=whole(1, 1024), help="1 to 1024.")] = 32,
    delay_microseconds: Annotated[
        int, typer.Option(parser=whole(0, 1_000_000), help="To wait for more of a batch.")
    ] = 500,
    json: Json = False,
) -> None:
    """Render what Triton serves of a model: dynamic batching, instances, and the signature that EGS checks."""
    serving = Serving(platform, instances, max_batch, delay_microseconds)
    try:
        model = load_model(find_model(StandaloneSettings(), reference), reference)
        with writing(folder, "DIR"):
            made = write_repository(model, folder, serving)
    except OmmaError as error:
        fail(error)
    if json:
        print_json({"models": [path.name for path in made], "folder": str(folder)})
    else:
        console.print(f"{shown(folder)} has {' and '.join(path.name for path in made)}.", markup=False)
