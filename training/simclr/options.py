"""What `train_simclr.py` can be told, and what each backbone is trained with unless told otherwise."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from omma.cores import cores
from omma.errors import InvalidQuery
from training.simclr.backbones import BackboneName, Weights
from training.simclr.embedder import Head
from training.simclr.export import Layer
from training.simclr.losses import Negatives
from training.simclr.precision import PrecisionName

_ROOT: Final = Path(__file__).parents[2]
_BACKBONE: Final = "lite0"
_OF_THE_MACHINE: Final = {
    "data_root", "run_dir", "registry", "name", "version", "chunk", "device", "threads", "checkpoint_seconds",
}  # fmt: skip


class Options(BaseModel):
    """One run. A field is the option of its name; one without a default has the backbone's own, in DEFAULTS."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data_root: Path = Field(description="folder of photographs, searched to its depths")
    epochs: int = Field(default=5, ge=1, le=10_000)
    backbone: BackboneName = Field(default=_BACKBONE, description="small-cnn, lite0, resnet50, vit-b-32")
    weights: Weights = Field(description="what to start from: pretrained, random")
    head: Head = Field(description="mlp, or linear: starts as principal components")
    loss: Negatives = Field(default="nt-xent", description="nt-xent, info-nce")
    temperature: float = Field(gt=0, le=10, description="0.07; 0.2 from pretrained weights")
    batch_size: int = Field(ge=2, le=1_000_000, description="pictures a step, over all ranks")
    chunk: int = Field(default=0, ge=0, description="views in memory at a time, by cached gradients; 0: all of them")
    size: int = Field(ge=16, le=1024, description="side in pixels of what the model is served")
    train_size: int = Field(ge=16, le=1024, description="side in pixels of a training view")
    least_area: float = Field(gt=0, le=1, description="of a crop, as a share of the picture")
    learning_rate: float = Field(gt=0, le=10, description="of the head, at its highest")
    backbone_rate: float = Field(ge=0, le=10, description="of the backbone, times learning_rate")
    weight_decay: float = Field(default=1e-4, ge=0, le=10)
    trained_stages: int = Field(ge=0, le=1000, description="last stages that learn; others freeze")
    head_epochs: int = Field(ge=0, description="first epochs in which the head alone learns")
    pairs: Path | None = Field(default=None, description="CSV first,second,source[,weight] of pictures that match")
    pair_share: float = Field(default=0.5, ge=0, le=1, description="of pictures with partners: how many meet one")
    labels: Path | None = Field(default=None, description="CSV with label and picture, to measure by; unset: folders")
    held_out: float = Field(default=0.2, gt=0, lt=1, description="share of photographs to measure on, by file name")
    precision: PrecisionName = Field(default="auto", description="auto, fp32, bf16, fp16")
    device: str = Field(default="auto", pattern="^(auto|cpu|cuda)$")
    threads: int = Field(default=cores(), ge=1, le=1024)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    export_layer: Layer = Field(default="head", description="whose vectors are served: head, backbone")
    checkpoint_seconds: float = Field(default=60.0, ge=0, description="between two checkpoints inside an epoch")
    run_dir: Path = Field(description="the run goes on from what is there (out/simclr-BACKBONE)")
    registry: Path = Field(default=_ROOT / "models", description="where the model is registered")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="of the model (simclr-BACKBONE)")
    version: str | None = Field(default=None, pattern=r"^\d+\.\d+\.\d+$", description="unset: the next minor")

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        backbone = given.get("backbone", _BACKBONE)
        weights = given.get("weights", "random" if backbone == "small-cnn" else "pretrained")
        name = f"simclr-{backbone}"
        own = DEFAULTS.get((backbone, weights), DEFAULTS["small-cnn", "random"])
        return {**own, "weights": weights, "name": name, "run_dir": Path("out") / name, **given}

    def deciding(self) -> dict[str, Any]:
        """The options that decide what comes out, as JSON values: equal ones, equal weights."""
        return self.model_dump(mode="json", exclude=_OF_THE_MACHINE)


DEFAULTS: Final[dict[tuple[BackboneName, Weights], dict[str, Any]]] = {
    ("small-cnn", "random"): {
        "temperature": 0.07, "head": "mlp", "batch_size": 128, "size": 32, "train_size": 32, "least_area": 0.3,
        "learning_rate": 5e-4, "backbone_rate": 1.0, "trained_stages": 1000, "head_epochs": 0,
    },
    ("lite0", "pretrained"): {
        "temperature": 0.2, "head": "linear", "batch_size": 128, "size": 224, "train_size": 96, "least_area": 0.2,
        "learning_rate": 1e-4, "backbone_rate": 0.2, "trained_stages": 6, "head_epochs": 0,
    },
    ("resnet50", "pretrained"): {
        "temperature": 0.2, "head": "linear", "batch_size": 128, "size": 224, "train_size": 128, "least_area": 0.2,
        "learning_rate": 1e-4, "backbone_rate": 0.2, "trained_stages": 1, "head_epochs": 0,
    },
    ("vit-b-32", "pretrained"): {
        "temperature": 0.2, "head": "linear", "batch_size": 128, "size": 224, "train_size": 224, "least_area": 0.2,
        "learning_rate": 1e-4, "backbone_rate": 0.1, "trained_stages": 2, "head_epochs": 0,
    },
    ("lite0", "random"): {
        "temperature": 0.07, "head": "mlp", "batch_size": 128, "size": 96, "train_size": 96, "least_area": 0.2,
        "learning_rate": 1e-3, "backbone_rate": 1.0, "trained_stages": 1000, "head_epochs": 0,
    },
    ("resnet50", "random"): {
        "temperature": 0.07, "head": "mlp", "batch_size": 128, "size": 96, "train_size": 96, "least_area": 0.2,
        "learning_rate": 5e-4, "backbone_rate": 1.0, "trained_stages": 1000, "head_epochs": 0,
    },
    ("vit-b-32", "random"): {
        "temperature": 0.07, "head": "mlp", "batch_size": 128, "size": 224, "train_size": 224, "least_area": 0.2,
        "learning_rate": 3e-4, "backbone_rate": 1.0, "trained_stages": 1000, "head_epochs": 0,
    },
}  # fmt: skip


def parsed(arguments: Sequence[str]) -> Options:
    """Command-line arguments as options. Exits with 2 and a usage line for an unknown one.

    Raises InvalidQuery, naming the option whose value is out of bounds.
    """
    parser = argparse.ArgumentParser(
        prog="train_simclr.py", description="Train an image tower on photographs alone, export and register it."
    )
    for name, field in Options.model_fields.items():
        said = field.description or ""
        default = "" if field.default is None or field.is_required() else f" ({field.default})"
        parser.add_argument(
            f"--{name}", required=name == "data_root", default=argparse.SUPPRESS, help=f"{said}{default}".strip()
        )
    try:
        return Options(**vars(parser.parse_args(arguments)))
    except ValidationError as error:
        first = error.errors()[0]
        field_name = str(first["loc"][0]) if first["loc"] else None
        raise InvalidQuery(f"--{field_name}: {first['msg']}, not {first['input']!r}.", field=field_name) from error
