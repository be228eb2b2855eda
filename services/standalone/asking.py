"""A search over REST as a person asks it, and its answer as a table and as a section of a contact sheet."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

from rich.markup import escape
from rich.table import Table

from omma.errors import Absent
from omma.images import PictureFile, PictureLimits, crop_box, parse_bbox, thumbnail_webp
from omma.written import whole_of
from services.standalone.connection import Connection
from services.standalone.contact_sheet import Card, Fractions, Section
from services.standalone.files import content_of, is_file
from services.standalone.output import Rows, shown

_THUMBNAIL_SIDE = 480
_TIMEOUT_MS = 20_000
"""Who waits for a command would rather have its answer late than none: the folder may just have been opened."""


@dataclass(frozen=True, slots=True)
class Question:
    """picture: a file, or the id of a stored picture. bbox: `x1,y1,x2,y2` in pixels. filter: JSON.

    score_threshold: a cosine, or auto.
    """

    title: str
    picture: Path | int | None = None
    text: str = ""
    bbox: str = ""
    k: int = 50
    filter: str = ""
    score_threshold: float | Literal["auto"] | None = None

    def fields(self) -> dict[str, str | int | float]:
        """What POST /search takes beside the file, as a form or as JSON."""
        given = {
            "text": self.text,
            "bbox": self.bbox,
            "filter": self.filter,
        }
        chosen: dict[str, str | int | float] = {name: value for name, value in given.items() if value}
        if isinstance(self.picture, int):
            chosen["image_id"] = self.picture
        if self.score_threshold is not None:
            chosen["score_threshold"] = self.score_threshold
        return {"k": self.k, "timeout_ms": _TIMEOUT_MS, **chosen}


def picture_argument(given: str) -> Path | int:
    """A file's path, or the id of a stored picture when there is no such file. Raises Absent."""
    path = Path(given)
    if is_file(path):
        return path
    image_id = whole_of(given)
    if image_id is not None:
        return image_id
    raise Absent(f"There is no file {given}, and it is no id of a stored picture.", field="PICTURE")


async def ask(connection: Connection, question: Question) -> dict[str, Any]:
    """The answer of POST /search. Raises what it answers, InvalidQuery for an unreadable file."""
    if not isinstance(question.picture, Path):
        return cast(dict[str, Any], await connection.call("POST", "/search", json=question.fields()))
    content = await asyncio.to_thread(content_of, question.picture, "PICTURE")
    files = {"image": (shown(question.picture.name), content)}
    return cast(dict[str, Any], await connection.call("POST", "/search", data=question.fields(), files=files))


def table(question: Question, answer: Mapping[str, Any]) -> Table:
    """Ranks, scores, ids, names and what is known of them."""
    words = f" “{question.text}”" if question.text else ""
    made = Rows(title=escape(f"{question.title}{words} ({note(answer)})"), title_justify="left", header_style="bold")
    made.add_column("#", justify="right", no_wrap=True, min_width=2)
    made.add_column("score", justify="right", no_wrap=True, min_width=6)
    made.add_column("id", justify="right", no_wrap=True, min_width=4)
    made.add_column("picture", overflow="ellipsis", no_wrap=True)
    made.add_column("about", overflow="ellipsis", no_wrap=True)
    interleaved = any("arm" in hit for hit in answer["results"])
    if interleaved:
        made.add_column("arm", no_wrap=True)
    for rank, hit in enumerate(answer["results"], 1):
        brought = [hit["arm"]] if interleaved else []
        made.add_row(str(rank), f"{hit['score']:.3f}", str(hit["id"]), name_of(hit), _about(hit), *brought)
    return made


async def section(connection: Connection, question: Question, answer: Mapping[str, Any]) -> Section:
    """With the thumbnails of every result and a small picture of the query, its bbox drawn."""
    thumbnails = await asyncio.gather(*[_thumbnail(connection, hit["id"]) for hit in answer["results"]])
    cards = [
        Card(thumbnail, hit["score"], name_of(hit), _about(hit))
        for hit, thumbnail in zip(answer["results"], thumbnails, strict=True)
    ]
    image, box = await _query_picture(connection, question)
    return Section(question.title, cards, image, question.text, box, note(answer))


def note(answer: Mapping[str, Any]) -> str:
    """How long it took, and what it could not do."""
    parts = [f"{len(answer['results'])} found in {answer['latency_ms']:.0f} ms"]
    if answer["coverage"]["fraction"] < 1:
        parts.append(f"{answer['coverage']['fraction']:.0%} of the index answered")
    if answer.get("no_good_match"):
        parts.append("nothing like it")
    return ", ".join([*parts, *answer["degraded"]])


def name_of(hit: Mapping[str, Any]) -> str:
    """The last two parts of a file's path; for an upload its sha256, shortened."""
    parts = urlsplit(hit["uri"])
    if parts.scheme == "file":
        return "/".join(Path(unquote(parts.path)).parts[-2:])
    return str(hit["uri"])[:17]


def _about(hit: Mapping[str, Any]) -> str:
    caption = (hit.get("attributes") or {}).get("caption")
    duplicates = hit.get("duplicates") or []
    also = f"and {len(duplicates)} alike" if duplicates else ""
    return ", ".join(filter(None, [str(caption) if caption else " ".join(hit.get("tags") or []), also]))


async def _thumbnail(connection: Connection, image_id: int) -> bytes:
    try:
        return await connection.content("GET", f"/images/{image_id}/thumbnail")
    except Absent:  # deleted since it was found
        return b""


async def _query_picture(connection: Connection, question: Question) -> tuple[bytes, Fractions | None]:
    if question.picture is None:
        return b"", None
    if isinstance(question.picture, int):
        content = await connection.content("GET", f"/images/{question.picture}/content")
    else:
        content = await asyncio.to_thread(question.picture.read_bytes)
    return await asyncio.to_thread(_small, content, question.bbox)


def _small(content: bytes, bbox: str) -> tuple[bytes, Fractions | None]:
    picture = PictureFile(content, PictureLimits()).decode(least_side=_THUMBNAIL_SIDE)
    image = thumbnail_webp(picture.pixels, _THUMBNAIL_SIDE)
    if not bbox:
        return image, None
    left, top, right, bottom = crop_box(parse_bbox(bbox), picture.width, picture.height)
    return image, (left / picture.width, top / picture.height, right / picture.width, bottom / picture.height)
