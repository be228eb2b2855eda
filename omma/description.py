"""What is said of a picture, and how much of it there may be: one rule for every entrance, held by the catalog.

A caller is told what it said wrongly (`RowLimits.check`). A source that cannot be asked (captions.json, an object's
metadata) is taken at what it said rightly, and the rest is named (`RowLimits.sane_part`).
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from pydantic import Field

from omma.errors import InvalidQuery, OmmaError, TooLarge
from omma.settings import Section

_MAX_TAG_CHARACTERS: Final = 256
_MAX_ATTRIBUTE_NAME_CHARACTERS: Final = 128
_MAX_NAME_CHARACTERS: Final = 1_024
_MAX_URL_CHARACTERS: Final = 2_048
MAX_KEY_BYTES: Final = 2_480
"""Of a row's key in UTF-8: PostgreSQL indexes tenant and key together in at most 2,704."""
_INT64: Final = 2**63
_LAYOUT: Final = "\t\n\r"
"""What a text of several lines is laid out with: in an attribute, such as a caption, and nowhere else."""

AttributeValue: TypeAlias = str | int | float | bool


class Said(Protocol):
    """A new picture, or a change of one. None: not said."""

    @property
    def owner(self) -> str | None: ...
    @property
    def tags(self) -> tuple[str, ...] | None: ...
    @property
    def attributes(self) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class Description:
    """What a caller says of a picture it uploads. external_id: its own key; empty: the sha256 is the key.

    Other fields left empty: not said, so that uploading a picture again does not forget what is known of it. private:
    only its owner and administrators see it.
    """

    external_id: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    source_url: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    private: bool | None = None

    def __post_init__(self) -> None:
        _check_external_id(self.external_id)
        _check_source_url(self.source_url)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that a source said wrongly. field: as a caller would name it. reason: one sentence."""

    field: str
    reason: str


class RowLimits(Section):
    """Of what is said of one picture: OMMA_DESCRIPTION__…, the same for every process that writes rows."""

    tags: int = Field(default=256, ge=0, le=1_000, description="of a picture")
    attributes_bytes: int = Field(default=16_384, ge=2, le=1 << 18, description="attributes of a picture, as JSON")

    def check(self, said: Said) -> None:
        """Raises InvalidQuery or TooLarge, naming the field."""
        if said.tags is not None:
            self._check_tag_count(len(set(said.tags)))
            for tag in said.tags:
                _check_tag(tag)
        if said.owner is not None:
            _check_owner(said.owner)
        if said.attributes is not None:
            for name, value in said.attributes.items():
                self._check_attribute(name, value)
            self._check_attributes_size(_json_bytes(said.attributes))

    def sane_part(
        self,
        *,
        external_id: object = "",
        owner: object = "",
        tags: object = (),
        source_url: object = "",
        attributes: object = None,
        private: object = None,
    ) -> tuple[Description, tuple[PassedOver, ...]]:
        """Any values at all, as parsed from JSON or read from headers: what is right of them, and what was passed over.

        A tag or an attribute falls alone; too many tags, each counted once, fall together. None is nothing said.
        """
        wrong: list[PassedOver] = []

        def text(field: str, value: object, check: Callable[[str], str]) -> str:
            try:
                return check(_text(field, value))
            except OmmaError as error:
                wrong.append(PassedOver(field, error.detail))
                return ""

        description = Description(
            external_id=text("external_id", external_id, _check_external_id),
            owner=text("owner", owner, _check_owner),
            tags=tuple(self._sane_tags(tags, wrong)),
            source_url=text("source_url", source_url, _check_source_url),
            attributes=self._sane_attributes(attributes, wrong),
            private=private if isinstance(private, bool) else None,
        )
        if private is not None and not isinstance(private, bool):
            wrong.append(PassedOver("private", "private must be true or false."))
        return description, tuple(wrong)

    def _sane_tags(self, tags: object, wrong: list[PassedOver]) -> Iterator[str]:
        given = tags if tags is not None else ()
        try:
            if not isinstance(given, list | tuple):
                raise InvalidQuery("tags must be a list of texts.", field="tags")
            # Years and numbers of things are words, however JSON's author wrote them.
            words = [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in given]
            distinct = dict.fromkeys(one for one in words if isinstance(one, str))
            others = [one for one in words if not isinstance(one, str)]
            self._check_tag_count(len(distinct) + len(others))
        except OmmaError as error:
            wrong.append(PassedOver("tags", error.detail))
            return
        for tag in (*distinct, *others):
            try:
                yield _check_tag(_text("tags", tag))
            except OmmaError as error:
                wrong.append(PassedOver("tags", error.detail))

    def _sane_attributes(self, attributes: object, wrong: list[PassedOver]) -> dict[str, AttributeValue]:
        sane: dict[str, AttributeValue] = {}
        if attributes is not None and not isinstance(attributes, Mapping):
            wrong.append(PassedOver("attributes", "attributes must be an object."))
            return sane
        size = _json_bytes({})
        for name, value in (attributes or {}).items():
            if value is None:
                continue
            try:
                self._check_attribute(name, value)
                self._check_attributes_size(size + _json_bytes({name: value}))
            except OmmaError as error:
                shown = readable(str(name))[:80]
                wrong.append(PassedOver(f"attributes.{shown}" if shown else "attributes", error.detail))
            else:
                sane[name] = value
                size += _json_bytes({name: value})  # its braces are as long as the comma between two
        return sane

    def _check_tag_count(self, count: int) -> None:
        if count > self.tags:
            raise InvalidQuery(f"A picture has at most {self.tags} tags.", field="tags", limit=self.tags)

    def _check_attribute(self, name: object, value: object) -> None:
        if not _check_text("attributes", _text("attributes", name), _MAX_ATTRIBUTE_NAME_CHARACTERS):
            raise InvalidQuery("The name of an attribute is empty.", field="attributes")
        shown = repr(str(name)[:80])
        match value:
            case bool():
                pass
            case str():
                _check_text("attributes", value, self.attributes_bytes, allowed=_LAYOUT)
            case int():
                if not -_INT64 <= value < _INT64:
                    raise InvalidQuery(f"Attribute {shown} is no 64-bit number.", field="attributes")
            case float():
                if not math.isfinite(value):
                    raise InvalidQuery("Numbers among the attributes must be finite.", field="attributes")
            case _:
                raise InvalidQuery(f"Attribute {shown} is no text, number or truth value.", field="attributes")

    def _check_attributes_size(self, size: int) -> None:
        limit = self.attributes_bytes
        if size > limit:
            raise TooLarge(f"The attributes have {size:,} bytes, more than {limit:,}.", field="attributes", limit=limit)


def check_place(key: str, source_url: str) -> None:
    """What a row has beside its description. Raises InvalidQuery, field `external_id` or `source_url`."""
    _check_key(key, MAX_KEY_BYTES)
    _check_source_url(source_url)


def check_uri(uri: str) -> None:
    """Where a row's picture lies, as a caller says. Raises InvalidQuery, field `uri`."""
    _check_text("uri", uri, _MAX_URL_CHARACTERS)


def readable(text: str) -> str:
    """The text as any storage takes it: no half of a surrogate pair, no NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _json_bytes(attributes: Mapping[str, Any]) -> int:
    return len(json.dumps(attributes))


def _check_external_id(external_id: str) -> str:
    return _check_key(external_id, _MAX_NAME_CHARACTERS)


def _check_key(key: str, max_characters: int) -> str:
    _check_text("external_id", key, max_characters)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidQuery(
            f"external_id has at most {MAX_KEY_BYTES:,} bytes as UTF-8.", field="external_id", limit=MAX_KEY_BYTES
        )
    return key


def _check_owner(owner: str) -> str:
    return _check_text("owner", owner, _MAX_NAME_CHARACTERS)


def _check_source_url(source_url: str) -> str:
    return _check_text("source_url", source_url, _MAX_URL_CHARACTERS)


def _check_tag(tag: str) -> str:
    if not tag:
        raise InvalidQuery("A tag is empty.", field="tags")
    return _check_text("tags", tag, _MAX_TAG_CHARACTERS)


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidQuery(f"{name} must be text.", field=name)
    return value


def _check_text(name: str, text: str, max_characters: int, *, allowed: str = "") -> str:
    if len(text) > max_characters:
        raise InvalidQuery(f"{name} has at most {max_characters} characters.", field=name, limit=max_characters)
    if any((one < " " and one not in allowed) or "\ud800" <= one <= "\udfff" for one in text):
        raise InvalidQuery(f"{name} holds a control character or half of a surrogate pair.", field=name)
    return text
