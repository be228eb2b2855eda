"""The page: calls by tag, each with its fields, a command to try it with, and what it answers. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from services.gateway.rest.docs.command import curl
from services.gateway.rest.docs.document import Document, Operation

_INTRODUCTION: Final = (
    "<p>To try a call in a shell: <code>OMMA_URL=http://127.0.0.1:8080</code>. Once there are API keys, add "
    '<code>-H "Authorization: Bearer $OMMA_API_KEY"</code>. The same as JSON: <a href="/openapi.json">/openapi.json'
    "</a>.</p>"
)


def render(openapi: Mapping[str, Any]) -> str:
    """HTML that needs nothing else. openapi: as FastAPI writes it."""
    document = Document(openapi)
    info = openapi["info"]
    by_tag: dict[str, list[str]] = {}
    for one in document.operations():
        by_tag.setdefault(one.tag, []).append(_operation(document, one))
    sections = "\n".join(f"<h2>{escape(tag)}</h2>\n{''.join(said)}" for tag, said in by_tag.items())
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
        f"<body><h1>{title}</h1><p>{_text(info.get('description', ''))}</p>{_INTRODUCTION}{sections}</body></html>"
    )


def _operation(document: Document, one: Operation) -> str:
    parts = [f"<p>{_text(one.about)}</p>" if one.about else ""]
    parts.append(_fields("Parameters", document.parameters(one)))
    for media_type, schema in document.bodies(one).items():
        parts.append(_fields(media_type, document.properties(schema)))
    parts.append(f"<pre>{escape(curl(document, one))}</pre>")
    parts.append(_table("Answers", document.answers(one)))
    for example in document.answer_examples(one):
        parts.append(f"<pre>{escape(example)}</pre>")
    return (
        f'<details id="{escape(one.id)}"><summary><code class="method">{escape(one.method)}</code>'
        f'<code>{escape(one.path)}</code><span class="about">{_text(one.summary)}</span></summary>'
        f"{''.join(parts)}</details>\n"
    )


def _fields(title: str, fields: Sequence[tuple[str, str, str]]) -> str:
    return _table(title, [(name, f"{kind}. {about}" if about else kind) for name, kind, about in fields])


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    return f"<h3>{escape(title)}</h3><table>{''.join(_rows(rows))}</table>"


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, about in rows:
        yield f"<tr><td><code>{escape(name)}</code></td><td>{_text(about)}</td></tr>"


def _text(text: str) -> str:
    """Escaped; what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))
