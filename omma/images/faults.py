"""What decoders raise, as the two faults that a picture can have: Omma does not read its kind, or it is damaged."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from omma.errors import InvalidPicture, OmmaError, TooLarge, UnsupportedMedia

_NOT_SUPPORTED = re.compile(
    r"unsupported|not supported|not implemented|cannot handle|unknown (pixel|raw|compression|data)"
    r"|decoder .*not available|no codec available|unrecogni[sz]ed|precision",
    re.IGNORECASE,
)
_OF_PYTHON = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>|0x[0-9a-f]{6,}")
_TOO_LARGE = re.compile(r"security limit|memory limit|allocat", re.IGNORECASE)
_MOST_CHARACTERS = 200


@contextmanager
def reading() -> Iterator[None]:
    """Whatever the block raises becomes UnsupportedMedia, InvalidPicture or TooLarge, field `image`."""
    try:
        yield
    except OmmaError:
        raise
    except MemoryError as fault:
        raise _too_large() from fault
    except Exception as fault:
        # Hostile bytes make decoders raise nearly anything: OSError, SyntaxError, struct.error, IndexError, ...
        raise _said(fault) from fault


def _said(fault: Exception) -> OmmaError:
    words = _OF_PYTHON.sub("", str(fault))[:_MOST_CHARACTERS].strip(" .")
    if not any(map(str.isalpha, words)):  # a KeyError says its key
        words = "its parts do not fit together"
    if _TOO_LARGE.search(words):
        return _too_large()
    if _NOT_SUPPORTED.search(words):
        return UnsupportedMedia(f"The picture is of a kind that is not supported: {words}", field="image")
    return InvalidPicture(f"The picture is cut off or damaged: {words}", field="image")


def _too_large() -> TooLarge:
    return TooLarge("The picture says that it needs more memory than its decoder may take.", field="image")
