"""A page to look at: queries with the pictures found, everything inside one HTML file."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Final

Fractions = tuple[float, float, float, float]
"""left, top, right, bottom in 0 … 1 of the picture."""


@dataclass(frozen=True, slots=True)
class Card:
    """A picture found. thumbnail: WebP bytes, empty when there is none. score: cosine. detail: a second line."""

    thumbnail: bytes
    score: float
    name: str
    detail: str = ""
    box: Fractions | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One query and what it found. image: any picture a browser shows. note: how long it took and the like."""

    title: str
    cards: Sequence[Card]
    image: bytes = b""
    words: str = ""
    box: Fractions | None = None
    note: str = ""


def render(title: str, sections: Sequence[Section]) -> str:
    """The page as HTML; needs no network and no script."""
    body = "\n".join(_section(section) for section in sections)
    return _PAGE.format(
        title=escape(title), style=files(__package__).joinpath("contact_sheet.css").read_text(), body=body
    )


def _section(section: Section) -> str:
    asked = _framed(section.image, section.box, "query") if section.image else ""
    if section.words:
        asked += f'<p class="words">“{escape(section.words)}”</p>'
    cards = "\n".join(_card(rank, card) for rank, card in enumerate(section.cards, 1))
    nothing = "" if section.cards else '<p class="nothing">Nothing found.</p>'
    return (
        f'<section><aside><h2>{escape(section.title)}</h2>{asked}<p class="note">{escape(section.note)}</p></aside>'
        f'<div class="cards">{cards}{nothing}</div></section>'
    )


def _card(rank: int, card: Card) -> str:
    share = max(0.0, min(1.0, card.score))
    return (
        f"<figure>{_framed(card.thumbnail, card.box, card.name)}"
        f'<div class="bar"><i style="width:{share:.0%}"></i></div>'
        f'<figcaption><b>{rank}</b> <span class="score">{card.score:.3f}</span>'
        f'<span class="name" title="{escape(card.name)}">{escape(card.name)}</span>'
        f'<span class="detail">{escape(card.detail)}</span></figcaption></figure>'
    )


def _framed(image: bytes, box: Fractions | None, alt: str) -> str:
    frame = ""
    if box is not None:
        left, top, right, bottom = (100 * one for one in box)
        frame = (
            f'<i class="box" style="left:{left:.2f}%;top:{top:.2f}%;'
            f'width:{right - left:.2f}%;height:{bottom - top:.2f}%"></i>'
        )
    if not image:
        return '<div class="picture empty">no thumbnail</div>'
    source = f"data:{_type(image)};base64,{base64.b64encode(image).decode()}"
    return f'<div class="picture"><span><img alt="{escape(alt)}" src="{source}">{frame}</span></div>'


def _type(image: bytes) -> str:
    if image.startswith(b"\x89PNG"):
        return "image/png"
    if image.startswith(b"RIFF"):
        return "image/webp"
    return "image/gif" if image.startswith(b"GIF8") else "image/jpeg"


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><header><h1>{title}</h1><p>Found by Omma. Scores are cosine similarities, higher is better.</p></header>
{body}
</body></html>
"""
