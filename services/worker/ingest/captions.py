"""Captions beside pictures: a file `captions.json` in their folder becomes tags and attributes."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from omma.description import RowLimits

CAPTIONS_FILE: Final = "captions.json"
"""`{file name: {"caption": text, "tags": [text, …], any other attribute: value}}`"""

_MAX_BYTES: Final = 64 << 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caption:
    tags: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


class Captions:
    """Looks captions up, one folder's file in memory at a time: a walk leaves a folder before it enters the next."""

    def __init__(self, row_limits: RowLimits = RowLimits()) -> None:  # noqa: B008  frozen
        self._row_limits = row_limits
        self._folder: Path | None = None
        self._entries: dict[str, Any] = {}

    def of(self, path: Path) -> Caption:
        """Empty when the folder has no captions or none for this file. Blocking."""
        if path.parent != self._folder:
            self._folder, self._entries = path.parent, _read(path.parent / CAPTIONS_FILE)
        entry = self._entries.get(path.name)
        if not isinstance(entry, dict):
            return Caption()
        attributes = {name: value for name, value in entry.items() if name != "tags"}
        said, wrong = self._row_limits.sane_part(tags=entry.get("tags"), attributes=attributes)
        for one in wrong:
            logger.warning(
                "a caption is passed over", extra={"path": str(path), "field": one.field, "reason": one.reason}
            )
        return Caption(said.tags, dict(said.attributes))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        entries = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("captions are passed over", extra={"path": str(path), "reason": str(error)})
        return {}
    return entries if isinstance(entries, dict) else {}
