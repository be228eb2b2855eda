"""Every route that declares parameters or a body to FastAPI refuses what FastAPI would pass over in silence."""

import json
import re
from functools import cache
from typing import Any

import httpx
import pytest

from omma.rollouts.asked import MAX_JUDGED
from services.gateway.erasing import MAX_PICTURES
from tests.unit.hollow_app import hollow_app

JSON = "application/json"


app = cache(hollow_app)


def operations(what: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path with ids filled in, and document of those that declare it."""
    found = []
    for path, methods in app().openapi()["paths"].items():
        for method, told in methods.items():
            if told.get(what):
                found.append((method.upper(), re.sub(r"\{\w+\}", "1", path), told))
    return found


async def asked(method: str, url: str, **request: Any) -> tuple[int, str | None, str]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://127.0.0.1") as client:
        answer = await client.request(method, url, **request)
        problem = answer.json()
        return answer.status_code, problem.get("field"), problem.get("detail", "")


async def test_a_parameter_that_is_none_or_stands_twice_is_refused() -> None:
    seen = 0
    for method, path, told in operations("parameters"):
        names = [one["name"] for one in told["parameters"] if one["in"] == "query"]
        if not names or names == ["v"]:  # of bytes: what else their address carries changes nothing
            continue
        seen += 1
        assert (await asked(method, path, params={"nosuch": "1"}))[:2] == (422, "nosuch"), path
        for name in set(names) - {"receipts"}:
            twice = [(name, "1"), (name, "2")]
            assert (await asked(method, path, params=twice))[:2] == (422, name), (path, name)
    assert seen > 10


async def test_a_parameter_beside_a_body_is_refused() -> None:
    """What it says would be left out: `/images?private=true` would be everybody's to see."""
    seen = set()
    for method, path, told in operations("requestBody"):
        for type in told["requestBody"]["content"]:
            sent: dict[str, Any] = {"json": {}} if type == JSON else {"files": {"image": b"a"}}
            found = await asked(method, path, params={"nosuch": "1"}, **sent)
            assert found[:2] == (422, "nosuch"), (method, path, type, found)
            seen.add((path, type))
    assert {("/images", "multipart/form-data"), ("/search", JSON), ("/erase", JSON)} <= seen


def bodies() -> list[tuple[str, str]]:
    return [
        (method, path)
        for method, path, told in operations("requestBody")
        if list(told["requestBody"]["content"]) == [JSON]
    ]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "field"),
    [
        (b"{}", "text/plain", 415, None),
        (b"{}", "", 415, None),
        ("{}".encode("utf-16"), JSON, 422, None),
        ("{}".encode("utf-8-sig"), JSON, 422, None),
        (b'{"a": NaN}', JSON, 422, None),
        (b'{"a": 1, "a": 2}', JSON, 422, "a"),
        (b"{" * 3, JSON, 422, None),
        (json.dumps({"nosuch": 1}).encode(), JSON, 422, "nosuch"),
    ],
)
async def test_every_body_of_json_is_held_to_the_same(
    content: bytes, media_type: str, status: int, field: str | None
) -> None:
    every = bodies()
    assert len(every) > 20
    for method, path in every:
        headers = {"content-type": media_type} if media_type else {}
        found = await asked(method, path, content=content, headers=headers)
        assert found[:2] == (status, field), (path, found)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/erase", {"external_ids": [f"catalogue/2026/{number:064}" for number in range(MAX_PICTURES)]}),
        ("/rollouts/1/judgments", {"labels": {str(number): "a label of a length" for number in range(1, MAX_JUDGED)}}),
        ("/rollouts/1/judgments", {"grades": {str(number): {"1": 1} for number in range(1, MAX_JUDGED)}}),
    ],
)
async def test_the_longest_list_that_a_route_takes_fits_its_body(path: str, sent: Any) -> None:
    status, _, detail = await asked("POST", path, json=sent)
    assert status not in (413, 422), detail
