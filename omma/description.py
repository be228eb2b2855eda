"""What a caller says of a picture, and how much of it there may be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from omma.catalog.interface import PictureChange
from omma.errors import InvalidQuery, TooLarge

_MAX_TAG_CHARACTERS: Final = 256
_MAX_ATTRIBUTE_NAME_CHARACTERS: Final = 128
_MAX_NAME_CHARACTERS: Final = 1_024
_MAX_URL_CHARACTERS: Final = 2_048


@dataclass(frozen=True, slots=True)
class Description:
    """What a caller says of a picture it uploads. external_id: its own key; empty: the sha256 is the key.

    Other fields left empty: not said, so that uploading a picture again does not forget what is known of it.
    """

    external_id: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    source_url: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_text("external_id", self.external_id, _MAX_NAME_CHARACTERS)
        _check_text("source_url", self.source_url, _MAX_URL_CHARACTERS)


@dataclass(frozen=True, slots=True)
class RowLimits:
    """What a caller may say of a picture. attributes_bytes: as JSON."""

    tags: int = 256
    attributes_bytes: int = 16_384

    def check(self, description: Description | PictureChange) -> None:
        """Raises InvalidQuery or TooLarge, naming the field."""
        if description.tags is not None:
            self._check_tags(description.tags)
        if description.owner is not None:
            _check_text("owner", description.owner, _MAX_NAME_CHARACTERS)
        if description.attributes is not None:
            self._check_attributes(description.attributes)

    def _check_tags(self, tags: tuple[str, ...]) -> None:
        if len(tags) > self.tags:
            raise InvalidQuery(f"A picture has at most {self.tags} tags.", field="tags", limit=self.tags)
        for tag in tags:
            if not tag:
                raise InvalidQuery("A tag is empty.", field="tags")
            _check_text("tags", tag, _MAX_TAG_CHARACTERS)

    def _check_attributes(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            _check_text("attributes", name, _MAX_ATTRIBUTE_NAME_CHARACTERS)
            if not isinstance(value, str | int | float | bool):
                raise InvalidQuery(f"Attribute {name[:80]!r} is no text, number or truth value.", field="attributes")
            if isinstance(value, str):
                _check_text("attributes", value, self.attributes_bytes)
        try:
            size = len(json.dumps(attributes, allow_nan=False))
        except ValueError:
            raise InvalidQuery("Numbers among the attributes must be finite.", field="attributes") from None
        if size > self.attributes_bytes:
            limit = self.attributes_bytes
            raise TooLarge(f"The attributes have {size:,} bytes, more than {limit:,}.", field="attributes", limit=limit)


def _check_text(name: str, text: str, max_characters: int) -> None:
    if len(text) > max_characters:
        raise InvalidQuery(f"{name} has at most {max_characters} characters.", field=name, limit=max_characters)
    if any(character < " " or "\ud800" <= character <= "\udfff" for character in text):
        raise InvalidQuery(f"{name} holds a control character or half of a surrogate pair.", field=name)
