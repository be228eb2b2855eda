"""The catalogue: every kind in eight colours, as JPEG files with a captions.json beside them."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from services.standalone.sample import patterns, scenes, shapes, textures, things
from services.standalone.sample.canvas import COLOURS, Canvas, Rgb

VARIANTS: Final = 8
"""Pictures of each kind, in as many colours."""

_FAMILIES: Final[dict[str, tuple[str, dict[str, Callable[[Random, Rgb], Canvas]]]]] = {
    "shape": ("a {colour} {kind} on a pale ground", shapes.KINDS),
    "pattern": ("a pattern of {colour} {kind}", patterns.KINDS),
    "texture": ("{colour} {kind} seen close", textures.KINDS),
    "scene": ("a {colour} {kind}", scenes.KINDS),
    "thing": ("a {colour} {kind}", things.KINDS),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to be drawn. name: of its file."""

    name: str
    caption: str
    tags: tuple[str, ...]
    draw: Callable[[Random, Rgb], Canvas]
    colour: str
    seed: str


def samples(seed: int = 0) -> Iterator[Sample]:
    """The whole catalogue, not drawn yet; the same from the same seed."""
    for family, (caption, kinds) in _FAMILIES.items():
        for kind, draw in kinds.items():
            own = f"{seed}/{family}/{kind}"
            for colour in Random(own).sample(sorted(COLOURS), VARIANTS):
                yield Sample(
                    name=f"{kind.replace(' ', '-')}-{colour}.jpg",
                    caption=caption.format(colour=colour, kind=kind).replace("a orange", "an orange"),
                    tags=(family, kind, colour),
                    draw=draw,
                    colour=colour,
                    seed=f"{own}/{colour}",
                )


def draw_catalogue(folder: Path, seed: int = 0) -> int:
    """Draw what is not in the folder yet; returns the number of pictures in it. Blocking: about 20 ms a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    captions = {}
    for sample in samples(seed):
        captions[sample.name] = {"caption": sample.caption, "tags": list(sample.tags)}
        path = folder / sample.name
        if not path.exists():
            part = path.with_suffix(".part")
            sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished().save(part, "JPEG", quality=88)
            part.replace(path)
    part = folder / f"captions.{os.getpid()}.part"
    part.write_text(json.dumps(captions, indent=1, sort_keys=True))
    part.replace(folder / "captions.json")
    return len(captions)
