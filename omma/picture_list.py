"""A list of pictures as people write it: an address a line, or a JSON object a line that also says what is known.

`{"url" | "path" | "uri": text, "external_id", "owner", "tags", "source_url", "attributes", "caption" | "captions"}`.
Empty lines, and those that begin with #, say nothing.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from omma import sent_json
from omma.description import Description, RowLimits
from omma.errors import InvalidQuery, OmmaError
from omma.identity import Tenant
from omma.uploads import SCHEME, upload_of

LISTS: Final = "lists/"
"""What the keys of blobs of lists begin with."""
MAX_PLACE_BYTES: Final = 2_048
MAX_LINE_BYTES: Final = 1 << 20
_PLACES: Final = ("url", "path", "uri")
_CAPTIONS: Final = ("caption", "captions")
_SAID: Final = ("external_id", "owner", "tags", "source_url", "attributes", "private")
_SCHEMES: Final = ("http", "https", "s3", "file", SCHEME)
_KNOWN: Final = frozenset((*_PLACES, *_CAPTIONS, *_SAID))
_NOBODY: Final = ("owner", "")


@dataclass(frozen=True, slots=True)
class Listed:
    """place: `http(s)://…`, `s3://bucket/key`, `file://…` or `upload:…`. key: the external_id, else the place.
    start: of the line among the list's bytes.
    """

    line: int
    place: str
    description: Description
    start: int = 0

    @property
    def key(self) -> str:
        return self.description.external_id or self.place

    @property
    def scheme(self) -> str:
        return urlsplit(self.place).scheme


@dataclass(frozen=True, slots=True)
class WrongLine:
    """reason: one sentence. start: as of Listed."""

    line: int
    reason: str
    start: int = 0


def list_key(tenant: Tenant, sha256: str) -> str:
    """Of the blob that holds a list until its ingest has ended. Tenants may be any text, keys may not."""
    return f"{LISTS}{hashlib.sha256(tenant.encode()).hexdigest()[:16]}/{sha256}"


def listed(content: bytes, limits: RowLimits) -> Iterator[Listed | WrongLine]:
    """The list's lines, in order. Pure; about 10 µs a line."""
    for number, start, text in _lines(content):
        yield _line(number, start, text, limits)


def absolute(content: bytes, folder: Path) -> bytes:
    """The list with its paths as from the folder; what cannot be understood stays for its reader to tell."""
    return _rewritten(content, lambda text: _absolute(text, folder))


def described(content: bytes, **said: Any) -> bytes:
    """The list with this said of each line that does not say it itself: null, and an owner that is empty, say nothing.
    What is no JSON, or not UTF-8, stays for its reader to tell.
    """
    return _rewritten(content, lambda text: _described(text, said))


def line_at(content: bytes, number: int, start: int, limits: RowLimits) -> Listed | WrongLine:
    """One line of a list, by its number and where it begins. Pure."""
    return _line(number, start, _text_at(content, start)[0], limits)


def _rewritten(content: bytes, write: Callable[[bytes], bytes]) -> bytes:
    """Each line under its own number, by which its reader tells of it."""
    lines: list[bytes] = []
    for number, _, text in _lines(content):
        lines += [b""] * (number - 1 - len(lines))
        lines.append(write(text))
    return b"\n".join(lines) + b"\n"


def _lines(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    start, number = 0, 0
    while start < len(content):
        text, following = _text_at(content, start)
        number += 1
        if text and not text.startswith(b"#"):
            yield number, start, text
        start = following


def _text_at(content: bytes, start: int) -> tuple[bytes, int]:
    """What the line says, and where the next one begins."""
    end = content.find(b"\n", start)
    end = len(content) if end < 0 else end
    return content[start:end].strip().removeprefix(b"\xef\xbb\xbf"), end + 1


def _line(number: int, start: int, text: bytes, limits: RowLimits) -> Listed | WrongLine:
    try:
        return _parsed(number, start, text, limits)
    except OmmaError as error:
        return WrongLine(number, error.detail, start)


def _parsed(number: int, start: int, text: bytes, limits: RowLimits) -> Listed:
    if len(text) > MAX_LINE_BYTES:
        raise InvalidQuery(f"The line has more than {MAX_LINE_BYTES:,} bytes.", field="list")
    line = _decoded(text)
    if not line.startswith("{"):
        return Listed(number, _place(_place_name(line), line), Description(), start)
    entry = _object(line)
    if unknown := sorted(entry.keys() - _KNOWN):
        raise InvalidQuery(f"{unknown[0][:80]!r} is nothing that is said of a picture.", field=unknown[0][:80])
    given = [name for name in _PLACES if entry.get(name)]
    if len(given) != 1:
        raise InvalidQuery("Say where the picture is: url, path or uri, one of them.", field="url")
    place = _place(given[0], entry[given[0]])
    captions = _captions(entry)
    attributes = entry.get("attributes") or {}
    if captions:
        attributes = {"caption": captions, **attributes} if isinstance(attributes, dict) else attributes
    description, wrong = limits.sane_part(
        external_id=entry.get("external_id"),
        owner=entry.get("owner"),
        tags=entry.get("tags"),
        source_url=entry.get("source_url"),
        attributes=attributes,
        private=entry.get("private"),
    )
    if wrong:
        raise InvalidQuery(wrong[0].reason, field=wrong[0].field)
    return Listed(number, place, description, start)


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidQuery("The line is not UTF-8.", field="list") from None


def _object(line: str) -> dict[str, Any]:
    try:
        entry = sent_json.parse(line)
    except RecursionError:
        raise InvalidQuery("The line is nested too deep.", field="list") from None
    except ValueError as error:
        raise InvalidQuery(f"The line is not JSON: {error}.", field="list") from None
    if not isinstance(entry, dict):
        raise InvalidQuery("The line is no JSON object.", field="list")
    return entry


def _place(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidQuery(f"{name} must be text.", field=name)
    if any(one < " " or "\ud800" <= one <= "\udfff" for one in value):
        raise InvalidQuery(f"{name} holds a control character or half of a surrogate pair.", field=name)
    place = _uri_of(value) if name == "path" else value
    try:
        scheme = urlsplit(place).scheme
    except ValueError:
        scheme = ""
    if scheme not in _SCHEMES or (name == "url" and scheme not in ("http", "https")):
        raise InvalidQuery(f"{value[:80]!r} is no address of a picture that Omma reads.", field=name)
    if scheme == SCHEME:
        upload_of(place)
    if len(place.encode()) > MAX_PLACE_BYTES:
        raise InvalidQuery(f"{name} has more than {MAX_PLACE_BYTES:,} bytes.", field=name, limit=MAX_PLACE_BYTES)
    return place


def _uri_of(path: str) -> str:
    try:
        return PurePosixPath(path).as_uri()
    except ValueError:
        raise InvalidQuery(f"{path[:80]!r} is no absolute path.", field="path") from None


def _captions(entry: dict[str, Any]) -> str:
    """One text, each caption on its own line."""
    given = [entry[name] for name in _CAPTIONS if entry.get(name) is not None]
    texts = [one for value in given for one in (value if isinstance(value, list) else [value])]
    if not all(isinstance(one, str) for one in texts):
        raise InvalidQuery("captions must be a list of texts.", field="captions")
    return "\n".join(texts)


def _absolute(text: bytes, folder: Path) -> bytes:
    if not text.startswith(b"{"):
        return text if b"://" in text else os.fsencode(folder / os.fsdecode(text))
    try:
        entry = _object(_decoded(text))
    except InvalidQuery:
        return text
    if not isinstance(entry.get("path"), str):
        return text
    return json.dumps({**entry, "path": str(folder / entry["path"])}).encode()


def _described(text: bytes, said: dict[str, Any]) -> bytes:
    try:
        line = _decoded(text)
        if not line.startswith("{"):
            return json.dumps({_place_name(line): line, **said}).encode()
        entry = {name: value for name, value in _object(line).items() if value is not None and (name, value) != _NOBODY}
        return json.dumps({**said, **entry}).encode()
    except InvalidQuery:
        return text


def _place_name(line: str) -> str:
    return "uri" if "://" in line else "path"
