"""How large a picture may be, checked from its header before anything is decoded."""

from dataclasses import dataclass

from PIL import Image

from omma.errors import InvalidPicture, TooLarge


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """max_bytes: of the encoded picture. max_pixels: width x height. max_frames: of an animation or a paged file."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_frames: int = 64

    def check_bytes(self, count: int) -> None:
        """Raises TooLarge, field `image`."""
        if count > self.max_bytes:
            raise TooLarge(
                f"The picture has {count:,} bytes, more than {self.max_bytes:,}.", field="image", limit=self.max_bytes
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raises TooLarge, field `image`; InvalidPicture for a side of zero."""
        if width < 1 or height < 1:
            raise InvalidPicture(f"The picture says that it is {width} x {height} pixels.", field="image")
        if width * height > self.max_pixels:
            raise TooLarge(
                f"The picture is {width} x {height} pixels, more than {self.max_pixels:,}.",
                field="image",
                limit=self.max_pixels,
            )

    def check_frames(self, opened: Image.Image, content: bytes) -> None:
        """Raises TooLarge, field `image`. Counts no further than the limit and decodes no frame."""
        match opened.format:
            case "GIF":
                frames = gif_frames(content, self.max_frames + 1)
            case "TIFF":
                frames = _tiff_pages(opened, self.max_frames + 1)
            case _:
                frames = getattr(opened, "n_frames", 1)
        if frames > self.max_frames:
            raise TooLarge(f"The picture has more than {self.max_frames} frames.", field="image", limit=self.max_frames)


def gif_frames(content: bytes, most: int) -> int:
    """Frames of a GIF, counted no further than `most`; what is cut off ends the count.

    Walks the blocks of GIF89a (appendix A). Pillow's n_frames parses every frame of a file and takes seconds for
    a million tiny ones.
    """

    def colours(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    frames, at, end = 0, 13 + colours(content[10]) if len(content) > 13 else len(content), len(content)
    while at < end and frames < most:
        match content[at]:
            case 0x21:  # an extension: label, then sub-blocks
                at += 2
            case 0x2C:  # an image: descriptor, colours, code size, then sub-blocks
                frames += 1
                at += 11 + (colours(content[at + 9]) if at + 9 < end else 0)
            case _:  # the trailer, or rubbish
                break
        while at < end and content[at]:
            at += 1 + content[at]
        at += 1
    return frames


def _tiff_pages(opened: Image.Image, most: int) -> int:
    for page in range(1, most):
        try:
            opened.seek(page)
        except EOFError:
            opened.seek(0)
            return page
    return most
