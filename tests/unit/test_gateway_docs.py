"""/docs: every call, readable without a script and without the internet."""

import re
import shlex
from html import unescape

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.hollow_app import hollow_app


@pytest.fixture
def app() -> FastAPI:
    return hollow_app(open_without_keys=False)


async def got(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.get(path)


async def test_nothing_on_the_page_comes_from_elsewhere(app: FastAPI) -> None:
    page = await got(app, "/docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
    assert "<script" not in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    moved = await got(app, "/redoc")
    assert (moved.status_code, moved.headers["location"]) == (308, "/docs")


async def test_every_call_is_there_with_a_command_that_a_shell_takes(app: FastAPI) -> None:
    openapi = (await got(app, "/openapi.json")).json()
    page = (await got(app, "/docs")).text
    commands = [unescape(found) for found in re.findall(r"<pre>(curl .*?)</pre>", page)]
    calls = [(method, path) for path, said in openapi["paths"].items() for method in said]
    assert len(commands) == len(calls)
    for method, path in calls:
        beginning = re.sub(r"\{.*", "", path)
        assert any(
            shlex.split(command)[-1].startswith(f"$OMMA_URL{beginning}") and (method == "get") == ("-X" not in command)
            for command in commands
        ), (method, path)
        assert f"<code>{path}</code>" in page
    assert 'curl "$OMMA_URL/search?text=a+red+chair"' in commands
    assert "{" not in "".join(command.rpartition('"$OMMA_URL')[2] for command in commands)


async def test_what_fastapi_would_say_of_errors_is_nowhere(app: FastAPI) -> None:
    openapi = (await got(app, "/openapi.json")).json()
    assert "ValidationError" not in openapi["components"]["schemas"]
    for said in openapi["paths"].values():
        for one in said.values():
            assert "application/problem+json" in one["responses"]["4XX"]["content"]
