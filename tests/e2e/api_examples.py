"""The examples of docs/API.md: curl commands, each with the answer that follows it, and what runs them."""

import asyncio
import json
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from services.standalone.sample.canvas import COLOURS
from services.standalone.sample.catalogue import samples
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "API.md"
PICTURES: Final = ("lamp-teal.jpg", "lamp-orange.jpg", "car-green.jpg", "mug-red.jpg")
_UNTIL_SECONDS: Final = 120.0
ANYTHING: Final = "…"

_EXAMPLE: Final = re.compile(
    r"^```sh\n(?P<commands>(?:.*\n)*?)```\n+(?P<answer>```(?P<kind>json|http)\n(?P<told>(?:.*\n)*?)```)$", re.MULTILINE
)
_UNTIL: Final = re.compile(r"# until (?P<field>\w+) is (?P<value>\w+)\n")
_BUSY: Final = (429, 503, 504)
_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Call:
    """What a curl command asks. path: with its query string; variables stand in it, and in data, as in the command."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    data: str | None = None
    form: tuple[tuple[str, str], ...] = ()
    body_file: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """headers: those that are shown. document: None where the answer is no JSON."""

    status: int
    headers: Mapping[str, str]
    document: Any


@dataclass(frozen=True, slots=True)
class Example:
    """line: of the document. place: of the answer's block in it. until: a field and its value, or None."""

    line: int
    call: Call
    answer: Answer
    place: tuple[int, int]
    until: tuple[str, str] | None


def examples(text: str) -> Iterator[Example]:
    """Every example, in order. Raises ValueError for a command that is no call, with its line."""
    for found in _EXAMPLE.finditer(text):
        line = text.count("\n", 0, found.start()) + 2
        until = _UNTIL.search(found["commands"])
        try:
            call = parsed_call(_UNTIL.sub("", found["commands"]))
            answer = parsed_answer(found["kind"], found["told"])
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from error
        place = found.span("answer")
        yield Example(line, call, answer, place, (until["field"], until["value"]) if until else None)


def parsed_call(command: str) -> Call:
    """Of the options that curl has those that the document uses."""
    words = iter(shlex.split(command.replace("\\\n", " ")))
    if next(words, "") != "curl":
        raise ValueError("an example is one curl command")
    method, url, data, body_file = "", "", None, ""
    headers: dict[str, str] = {}
    form: list[tuple[str, str]] = []
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(":")
                headers[name.lower()] = value.strip()
            case "-d":
                data = next(words)
            case "-F":
                name, _, value = next(words).partition("=")
                form.append((name, value))
            case "-T":
                body_file = next(words)
            case "-o" | "-D":
                next(words)
            case _ if word.startswith("-"):
                raise ValueError(f"{word} is no option that is known here")
            case _:
                url = word
    if data is not None or form:
        method = method or "POST"
    if body_file:
        method = method or "PUT"
    return Call(method or "GET", url.removeprefix("$OMMA_URL"), headers, data, tuple(form), body_file)


def parsed_answer(kind: str, told: str) -> Answer:
    """A `json` block is a 200; an `http` block has its status, headers and body."""
    if kind == "json":
        return Answer(200, {}, json.loads(told))
    head, _, body = told.partition("\n\n")
    status, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, json.loads(body) if body.strip() else None)


def written_answer(answer: Answer) -> str:
    """As a block of the document."""
    body = "" if answer.document is None else _lines(answer.document)
    if answer.status == 200 and not answer.headers:
        return f"```json\n{body}\n```"
    reason = httpx.codes.get_reason_phrase(answer.status)
    head = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
    return f"```http\nHTTP/1.1 {answer.status} {reason}\n{head}{body and chr(10) + body + chr(10)}```"


def _lines(value: Any, indent: str = "") -> str:
    """JSON, each object and list on one line that has room for it."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(flat) <= _WIDTH or not isinstance(value, dict | list):
        return flat
    inner = f"{indent}  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_lines(one, inner)}" for name, one in value.items()]
    else:
        parts = [_lines(one, inner) for one in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def differences(expected: Any, got: Any, at: str = "answer") -> list[str]:
    """What is otherwise in shape: fields, types, whether a list is empty. null stands for whatever may be absent, "…"
    for anything, as a field for any others.

    Each item of a list has the shape of one of those that are expected.
    """
    if expected is None or got is None or expected == ANYTHING:
        return []
    if isinstance(expected, dict) and isinstance(got, dict):
        missing = [f"{at}.{name} is missing" for name in expected.keys() - got.keys() - {ANYTHING}]
        others = set() if ANYTHING in expected else got.keys() - expected.keys()
        more = [f"{at}.{name} is not in the document" for name in others]
        both = (differences(expected[name], got[name], f"{at}.{name}") for name in expected.keys() & got.keys())
        return sorted([*missing, *more, *(one for found in both for one in found)])
    if isinstance(expected, list) and isinstance(got, list):
        if bool(expected) != bool(got):
            return [f"{at} has {len(got)} items, in the document {len(expected)}"]
        found = (min((differences(one, item, f"{at}[]") for one in expected), key=len) for item in got)
        return sorted({one for several in found for one in several})
    told, answered = _kind(expected), _kind(got)
    return [] if told == answered else [f"{at} is {answered}, in the document {told}"]


def _kind(value: Any) -> str:
    kind = type(value).__name__
    return "number" if kind in ("int", "float") else kind


def _only_reads(call: Call) -> bool:
    return call.method == "GET" or call.path.startswith(("/search", "/embed"))


class Shell:
    """Runs the calls one after the other. `$QUERY_ID` is the field `query_id` of the newest answer that has one."""

    def __init__(self, client: httpx.AsyncClient, folder: Path) -> None:
        """folder: where the files lie that commands name."""
        self._client = client
        self._folder = folder
        self._known: dict[str, str] = {"PWD": str(folder)}
        self.asked: set[tuple[str, str]] = set()
        """Method and path of every call."""

    async def run(self, example: Example, *, settled: bool = True) -> Answer:
        """What is answered; asked again until it is what the example waits for, and while a busy machine says 503.

        settled: also until a search or a GET is answered as the document says: what is behind leaves things out.
        """
        loop = asyncio.get_running_loop()
        late = loop.time() + _UNTIL_SECONDS
        while True:
            answer = await self._ask(example)
            waits = example.until and str((answer.document or {}).get(example.until[0])) != example.until[1]
            otherwise = settled and _only_reads(example.call) and faults(example, answer)
            if not (waits or otherwise or answer.status in _BUSY) or loop.time() > late:
                return answer
            await asyncio.sleep(0.1)

    async def _ask(self, example: Example) -> Answer:
        call = example.call
        headers = {name: self._filled(value) for name, value in call.headers.items()}
        content: Any = None
        files: list[tuple[str, Any]] = []
        if call.data is not None:
            content = self._filled(call.data)
        elif call.body_file:
            content = (self._folder / call.body_file).read_bytes()
        for name, value in call.form:
            if value.startswith("@"):
                files.append((name, (value[1:], (self._folder / value[1:]).read_bytes())))
            else:
                files.append((name, (None, self._filled(value))))
        asked = self._filled(call.path)
        self.asked.add((call.method, urlsplit(asked).path.removeprefix("/api")))
        answer = await self._client.request(call.method, asked, headers=headers, content=content, files=files or None)
        document = answer.json() if "json" in answer.headers.get("content-type", "") else None
        for name, value in (document or {}).items() if isinstance(document, dict) else ():
            if isinstance(value, str | int):
                self._known[name.upper()] = str(value)
        shown = {name: answer.headers[name] for name in example.answer.headers if name in answer.headers}
        return Answer(answer.status_code, shown, document)

    def _filled(self, text: str) -> str:
        for name in sorted(self._known, key=len, reverse=True):
            text = text.replace(f"${name}", self._known[name])
        return text


def faults(example: Example, got: Answer) -> list[str]:
    """What the document says otherwise than it was answered."""
    told = example.answer
    found = [] if told.status == got.status else [f"the status is {got.status}"]
    found += [f"there is no header {name}" for name in told.headers.keys() - got.headers.keys()]
    if (told.document is None) != (got.document is None):
        return [*found, "one answer is JSON, the other is not"]
    return [*found, *differences(told.document, got.document)]


@asynccontextmanager
async def documented_server() -> Any:
    """A fresh Omma, what runs commands against it, and its OpenAPI document."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "shop"
        folder.mkdir()
        for sample in samples():
            if sample.name in PICTURES:
                drawn = sample.draw(Random(sample.seed), COLOURS[sample.colour]).finished()
                drawn.save(folder / sample.name, quality=88)
        settings = StandaloneSettings(
            data_dir=folder.parent / "omma-data", http_port=0, grpc_port=0, gateway={"keys_max_age_seconds": 0.0}
        )
        async with (
            serving(settings) as (_, address),
            httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as client,
        ):
            openapi = (await client.get("/openapi.json")).raise_for_status().json()
            yield Shell(client, folder), openapi
