"""Pictures whose every pixel is arithmetic, so that they are the same on every machine: the golden pairs' queries."""

import io
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

Float64 = npt.NDArray[np.float64]

_SIZES = [(500, 333), (333, 500), (640, 427), (301, 450), (480, 480), (711, 400)]


@cache
def drawn() -> dict[str, bytes]:
    """name to PNG. Fine detail, so that a shift of half a pixel shows; colours, edges and no symmetry."""
    made = {f"drawn-{number}": _png(_pixels(number, *size)) for number, size in enumerate(_SIZES)}
    return made | {"drawn-on-its-side": _png(np.rot90(_pixels(7, 400, 300)), orientation=6)}


def _pixels(seed: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Coloured discs and bars, each with its own fine stripes, on a striped ground."""
    rng = np.random.RandomState(seed)  # legacy: its stream is promised never to change
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = _striped(rng, x, y)
    for _ in range(9):
        across, down = rng.uniform(0.1, 0.9, 2) * (width, height)
        wide, tall = rng.uniform(0.06, 0.25, 2) * min(width, height)
        far = ((x - across) / wide) ** 2 + ((y - down) / tall) ** 2
        inside = far < 1 if rng.rand() < 0.6 else (abs(x - across) < wide) & (abs(y - down) < tall)
        planes[inside] = _striped(rng, x, y)[inside]
    return np.clip(np.floor(planes), 0, 255).astype(np.uint8)


def _striped(
    rng: np.random.RandomState, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Two colours in stripes of 3 to 8 pixels; whole numbers decide, not sines, whose last bit differs by machine."""
    period, slope = rng.randint(3, 9), rng.randint(-2, 3)
    odd = ((x + slope * np.floor(y / 2)) // period % 2).astype(bool)
    return np.where(odd[..., None], rng.randint(0, 256, 3), rng.randint(0, 256, 3)).astype(float)


def _png(pixels: npt.NDArray[np.uint8], orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", exif=exif.tobytes())
    return out.getvalue()
