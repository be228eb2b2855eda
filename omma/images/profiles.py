"""Colour profiles: what a picture's numbers mean, made sRGB, which is what viewers show and models were trained on."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE_BYTES: Final = 4 << 20
"""Printers' profiles have up to 3 MB; what is longer is ignored."""
_MODES: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SAME: Final = 2
"""Levels of 255 that two profiles of the same space differ by: the sRGB of HP, of littleCMS, of phones."""


@dataclass(frozen=True, slots=True)
class Profile:
    """mode: of the pictures that it describes, RGB, L or CMYK."""

    mode: str
    transform: ImageCms.ImageCmsTransform

    def to_srgb(self, image: Image.Image) -> Image.Image:
        """An image of the mode in sRGB, mode RGB. Any number of threads. Blocks."""
        made = ImageCms.applyTransform(image, self.transform)
        if made is None:
            raise ValueError("littleCMS returned no picture")
        return made


def profile_of(content: bytes | None) -> Profile | None:
    """What to do to a picture that carries this ICC profile; None: nothing, it is sRGB, broken, too long or absent."""
    return _profile(content) if content and len(content) <= MAX_PROFILE_BYTES else None


@lru_cache(maxsize=16)
def _profile(content: bytes) -> Profile | None:
    # Building a transform takes 1 ms, of a printer's profile 30; a camera's pictures share theirs.
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(content))
        mode = _MODES.get(opened.profile.xcolor_space)
        if mode is None:
            return None
        transform = ImageCms.buildTransform(
            opened, ImageCms.createProfile("sRGB"), mode, "RGB", flags=ImageCms.Flags.NOCACHE
        )
        found = Profile(mode, transform)
        return None if _is_srgb(found) else found
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _is_srgb(profile: Profile) -> bool:
    """Whether it changes no colour that anyone would see, tried on 729 of them."""
    if profile.mode == "CMYK":
        return False
    levels = np.linspace(0, 255, 9 if profile.mode == "RGB" else 256).astype(np.uint8)
    if profile.mode == "L":
        colours = levels[None]
        plain = np.repeat(colours[..., None], 3, axis=-1)
    else:
        plain = colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    shown = np.asarray(profile.to_srgb(Image.fromarray(colours)), np.int16)
    return int(np.abs(shown - plain.astype(np.int16)).max()) <= _SAME
