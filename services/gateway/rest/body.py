"""Request bodies, read within bounds: counted while they stream, refused at the byte that is one too many."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from omma import sent_json
from omma.errors import InvalidQuery, TooLarge, UnsupportedMedia
from services.gateway.rest.fields import require_in_body, unknown_field
from services.gateway.settings import FORM_SLACK_BYTES

_MAX_PARTS: Final = 1_024
_MAX_FIELD_BYTES: Final = 1_000_000
MAX_JSON_VALUES: Final = 20_000
"""Unless an endpoint needs more. 8 MB of `[],[],…` are 2.6 million values and hold the loop for seconds."""


@dataclass(slots=True)
class Form:
    """fields: each name's texts, in order. files: each file's bytes."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FormLimits:
    """names: fields that may occur; files: those of them that are files. max_file_bytes: of each file."""

    names: frozenset[str]
    files: frozenset[str]
    max_file_bytes: int


def is_json(request: Request) -> bool:
    """Whether the body says that it is JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def read_json(
    request: Request, max_bytes: int, max_values: int = MAX_JSON_VALUES, *, parameters: Collection[str] = ()
) -> Any:
    """The parsed body. max_values: numbers, texts, lists and objects in it, told before it is parsed: parsing holds
    the loop. parameters: that the call takes beside it.

    Raises InvalidQuery, also for another parameter, TooLarge, UnsupportedMedia for another media type.
    """
    require_in_body([name for name in request.query_params if name not in parameters])
    if not is_json(request):
        raise UnsupportedMedia("Send application/json.")
    content = await read_content(request, max_bytes)
    if content.count(b",") + content.count(b"[") + content.count(b"{") > max_values:
        raise TooLarge(f"The JSON holds more than {max_values:,} values.", limit=max_values)
    try:
        return sent_json.parse(content)
    except UnicodeDecodeError:
        raise InvalidQuery("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidQuery("The JSON is nested too deep.") from None
    except ValueError as error:
        name = error.name if isinstance(error, sent_json.DoubledName) else None
        raise InvalidQuery(f"The body is not JSON: {error}.", field=name) from None


async def read_form(request: Request, limits: FormLimits) -> Form:
    """A multipart or urlencoded form. An unknown field, or a byte too many, ends the reading at once.

    Raises InvalidQuery, also for a parameter beside it, TooLarge (naming the field), UnsupportedMedia for another media
    type.
    """
    require_in_body(request.query_params.keys())
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        _check_announced(request, limits.max_file_bytes + FORM_SLACK_BYTES, limits)
        return await _read_multipart(request, options.get(b"boundary", b""), limits)
    if kind in (b"", b"application/x-www-form-urlencoded"):
        return _urlencoded(await read_content(request, FORM_SLACK_BYTES), limits)
    raise UnsupportedMedia("Send multipart/form-data or application/json.")


def _check_announced(request: Request, most: int, limits: FormLimits) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        name = next(iter(sorted(limits.files)), None)
        limit = limits.max_file_bytes
        raise TooLarge(
            f"The body announces {int(announced):,} bytes; a picture has at most {limit:,}.", field=name, limit=limit
        )


async def read_content(request: Request, max_bytes: int) -> bytes:
    """The body as it is. Raises TooLarge."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise TooLarge(f"The body has more than {max_bytes:,} bytes.", limit=max_bytes)
    return bytes(content)


async def _read_multipart(request: Request, boundary: bytes, limits: FormLimits) -> Form:
    if not boundary:
        raise InvalidQuery("The multipart body has no boundary in its Content-Type.")
    parts = _Parts(limits)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            parts.count(len(chunk))
        parser.finalize()
    except FormParserError as error:
        raise InvalidQuery(f"The multipart body is malformed: {error}.") from None
    if not parts.ended:
        raise InvalidQuery("The multipart body is cut off: its last boundary is missing.")
    return parts.form


class _Parts:
    """What the parser calls back; keeps nothing of a body that is refused."""

    def __init__(self, limits: FormLimits) -> None:
        self.form = Form()
        self.ended = False
        self._limits = limits
        self._count = 0
        self._beside_files = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[str, bytes] = {}
        self._name = ""
        self._content = bytearray()
        self._max_bytes = 0

    def count(self, size: int) -> None:
        """So many bytes came. Raises TooLarge: what does not go into a file has a bound of its own, all together."""
        self._beside_files += size
        if self._beside_files > FORM_SLACK_BYTES:
            raise TooLarge(
                f"The form has more than {FORM_SLACK_BYTES:,} bytes beside its file.", limit=FORM_SLACK_BYTES
            )

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value_comes,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._content_comes,
            "on_part_end": self._part_ends,
            "on_end": self._body_ends,
        }

    def _part_begins(self) -> None:
        self._count += 1
        if self._count > _MAX_PARTS:
            raise TooLarge(f"A form has at most {_MAX_PARTS} fields.", limit=_MAX_PARTS)
        self._headers = {}
        self._content = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_comes(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name not in self._limits.names:
            raise unknown_field(self._name, self._limits.names)
        is_file = self._name in self._limits.files
        if is_file and b"filename" not in options:
            raise InvalidQuery(f"{self._name} must be a file; with curl: -F {self._name}=@path.", field=self._name)
        if is_file and self._name in self.form.files:
            raise InvalidQuery(f"{self._name} occurs twice.", field=self._name)
        self._max_bytes = self._limits.max_file_bytes if is_file else _MAX_FIELD_BYTES

    def _content_comes(self, data: bytes, start: int, end: int) -> None:
        if len(self._content) + end - start > self._max_bytes:
            limit = self._max_bytes
            self._content.clear()
            raise TooLarge(f"{self._name} has more than {limit:,} bytes.", field=self._name, limit=limit)
        self._content += data[start:end]
        if self._name in self._limits.files:
            self._beside_files -= end - start

    def _part_ends(self) -> None:
        content = bytes(self._content)
        self._content = bytearray()
        if self._name in self._limits.files:
            self.form.files[self._name] = content
        else:
            self.form.fields.setdefault(self._name, []).append(_text(self._name, content))

    def _body_ends(self) -> None:
        self.ended = True


def _urlencoded(content: bytes, limits: FormLimits) -> Form:
    try:
        given: Mapping[str, list[str]] = parse_qs(
            content.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARTS
        )
    except UnicodeDecodeError:
        raise InvalidQuery("The form is not UTF-8.") from None
    except ValueError:
        raise TooLarge(f"A form has at most {_MAX_PARTS} fields.", limit=_MAX_PARTS) from None
    for name in given:
        if name not in limits.names:
            raise unknown_field(name, limits.names)
    return Form(fields=dict(given))


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidQuery(f"{name} is not UTF-8.", field=name) from None
