"""An OpenCLIP model in torch: which one, its weights, and how it wants its pictures."""

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import huggingface_hub.constants
import open_clip
import torch

from omma.errors import Absent, InvalidQuery
from services.egs.manifest import Preprocessing

_PREPROCESSING: Final = ("mean", "std", "interpolation", "resize_mode", "size")
_HOW: Final[dict[str, Literal["centre_crop", "squash"]]] = {"shortest": "centre_crop", "squash": "squash"}
_REACH_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Source:
    """architecture, tag: as OpenCLIP names them; the tag also says the preprocessing.

    weights: a checkpoint file instead of the hub's. random_seed: no weights at all, for a test of the way.
    """

    architecture: str
    tag: str
    weights: Path | None = None
    random_seed: int | None = None

    @classmethod
    def parse(cls, text: str, *, weights: Path | None = None, random_seed: int | None = None) -> "Source":
        """Of `ARCHITECTURE/TAG`. Raises InvalidQuery, field `open-clip`, for one that OpenCLIP does not know."""
        architecture, _, tag = text.partition("/")
        if open_clip.get_model_config(architecture) is None:
            raise InvalidQuery(
                f"OpenCLIP knows no {architecture!r}; it has {', '.join(open_clip.list_models())}.", field="open-clip"
            )
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if tag not in tags and not (tag == "" and random_seed is not None):
            known = ", ".join(tags) or "no weights at all"
            raise InvalidQuery(f"{architecture} has {known}, and not {tag!r}.", field="open-clip")
        return cls(architecture, tag, weights, random_seed)

    @property
    def name(self) -> str:
        """A name for the registry; of random weights it says so."""
        parts = [self.architecture, self.tag if self.random_seed is None else f"random-weights-{self.random_seed}"]
        return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")[:64]

    @property
    def origin(self) -> str:
        """For people: where the weights come from."""
        if self.random_seed is not None:
            return (
                f"OpenCLIP {self.architecture} with random weights, seed {self.random_seed}: for tests, finds nothing"
            )
        where = f"https://huggingface.co/{self._hub}" if self.weights is None else f"file {self.weights.name}"
        return f"OpenCLIP {self.architecture}, {self.tag}, {where}"

    @property
    def _hub(self) -> str:
        return str(self.pretrained.get("hf_hub", "")).rstrip("/")

    @property
    def pretrained(self) -> dict[str, Any]:
        """OpenCLIP's record of the tag; empty without one."""
        return open_clip.get_pretrained_cfg(self.architecture, self.tag) if self.tag else {}

    def load(self) -> torch.nn.Module:
        """The model on the CPU, in evaluation mode. Blocks; downloads when there is no file.

        Raises Absent, field `open-clip`, saying what to do when the weights cannot be had; OSError for the file.
        """
        said = self.pretrained
        options: dict[str, Any] = {
            "force_quick_gelu": bool(said.get("quick_gelu", False)),
            "force_preprocess_cfg": {key: said[key] for key in _PREPROCESSING if key in said},
        }
        if self.random_seed is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.random_seed)
                model = open_clip.create_model(self.architecture, pretrained_image=False, **options)
        elif self.weights is not None:
            model = open_clip.create_model(self.architecture, pretrained=str(self.weights), **options)
        else:
            model = self._downloaded(options)
        return cast(torch.nn.Module, model.eval())

    def _downloaded(self, options: dict[str, Any]) -> torch.nn.Module:
        endpoint = huggingface_hub.constants.ENDPOINT
        if not _reachable(endpoint):
            # What was fetched before is still used; without it the hub's client would try again for half a minute.
            huggingface_hub.constants.HF_HUB_OFFLINE = True
        try:
            return cast(torch.nn.Module, open_clip.create_model(self.architecture, pretrained=self.tag, **options))
        except (RuntimeError, OSError) as error:
            why = str(error).rstrip(".")
            raise Absent(
                f"The weights of {self.architecture}/{self.tag} cannot be had from {endpoint}: {why}. Where there is a "
                f"network, fetch the checkpoint of {self._hub or self.tag} and give it with --weights FILE; to "
                "test the way without it, --random-weights 0.",
                field="open-clip",
            ) from error


def preprocessing_of(model: torch.nn.Module) -> Preprocessing:
    """What the model's own transform does, in the registry's words. Raises InvalidQuery for what Omma cannot do."""
    said = open_clip.get_model_preprocess_cfg(model)
    size = said["size"]
    sides = set(size) if isinstance(size, tuple | list) else {size}
    if len(sides) != 1 or said["resize_mode"] not in _HOW or said.get("mode", "RGB") != "RGB":
        raise InvalidQuery(
            f"Omma makes square RGB pictures, squashed or cut from the middle; this model wants {said}.",
            field="open-clip",
        )
    return Preprocessing(
        size=sides.pop(),
        how=_HOW[said["resize_mode"]],
        resample="bilinear" if said["interpolation"] == "bilinear" else "bicubic",
        mean=_of_bytes(said["mean"]),
        std=_of_bytes(said["std"]),
    )


def _of_bytes(channels: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = (255.0 * value for value in channels)
    return red, green, blue


def _reachable(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_REACH_SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
