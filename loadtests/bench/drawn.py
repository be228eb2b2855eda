"""Some pictures of the catalogue that `omma demo` draws: all of it takes a minute."""

from pathlib import Path
from random import Random

from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import samples


def drawn(folder: Path, count: int) -> list[Path]:
    """So many JPEGs of every family, the same each time, made in the folder; about 20 ms each."""
    folder.mkdir(parents=True)
    every = list(samples())
    made = []
    for sample in every[:: max(1, len(every) // count)][:count]:
        path = folder / sample.name
        sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished().save(path, "JPEG", quality=88)
        made.append(path)
    return made
