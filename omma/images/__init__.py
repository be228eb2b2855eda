"""Pictures: safe decoding, orientation, crops, pHash, thumbnails. Everything here blocks: call it on an executor."""

from omma.images.crops import Corners, PixelBox, check_corners, crop_box, fraction_box, parse_bbox
from omma.images.formats import PICTURE_SUFFIXES, media_type
from omma.images.limits import DEFAULT_LIMITS, PictureLimits
from omma.images.phash import PHash, phash
from omma.images.picture import Picture, PictureFile, Verified, verify
from omma.images.quality import quality_of
from omma.images.signature import signature
from omma.images.thumbnails import thumbnail_webp

__all__ = [
    "DEFAULT_LIMITS",
    "PICTURE_SUFFIXES",
    "Corners",
    "PHash",
    "Picture",
    "PictureFile",
    "PictureLimits",
    "PixelBox",
    "Verified",
    "check_corners",
    "crop_box",
    "fraction_box",
    "media_type",
    "parse_bbox",
    "phash",
    "quality_of",
    "signature",
    "thumbnail_webp",
    "verify",
]
