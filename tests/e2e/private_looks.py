"""Six people, a private picture, and every entrance that shows or finds one: whether they see it there."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import httpx
import pytest
import pytest_asyncio

from omma.catalog.api_key import ApiKey, Role
from omma.identity import DEFAULT_TENANT
from omma.v1 import search_pb2, search_pb2_grpc
from services.gateway.callers.auth import hash_secret
from services.standalone.app import Omma
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

PICTURES: Final = [encoded(scene(96, 64, seed)) for seed in range(6)]
HIDDEN: Final = 0
"""The picture that is private; the others are public. Ann owns the first three."""
COPY: Final = encoded(scene(96, 64, HIDDEN), quality=80)
"""Of the hidden one, public, of Bob."""


@dataclass
class World:
    omma: Omma
    rest: httpx.AsyncClient
    channel: grpc.aio.Channel
    secrets: dict[str, str] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    uploads: list[dict[str, Any]] = field(default_factory=list)

    async def join(self, name: str, role: Role) -> None:
        secret = self.secrets[name] = secrets.token_hex(16)
        key = ApiKey(hash_secret(secret), name, DEFAULT_TENANT, role, 0)
        await self.omma.services.storage.catalog.add_api_key(key)

    async def ask(self, who: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.secrets[who]}"}
        return await self.rest.request(method, path, headers=headers, **sent)

    async def ok(self, who: str, method: str, path: str, **sent: Any) -> Any:
        answer = await self.ask(who, method, path, **sent)
        assert answer.is_success, (who, method, path, answer.text)
        return answer.json() if answer.content else None

    async def upload(self, who: str, picture: bytes, **said: Any) -> httpx.Response:
        return await self.ask(who, "POST", "/images", files={"image": picture}, data=said)

    @property
    def hidden(self) -> int:
        return self.ids[HIDDEN]

    def stub(self) -> search_pb2_grpc.SearchServiceStub:
        return search_pb2_grpc.SearchServiceStub(self.channel)

    def metadata(self, who: str) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.secrets[who]}")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("private")
    settings = StandaloneSettings(data_dir=folder, http_port=0, grpc_port=0, gateway={"keys_max_age_seconds": 0.0})
    async with (
        serving(settings) as (omma, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        world = World(omma, rest, channel)
        for name, role in PEOPLE.items():
            await world.join(name, role)
        for seed, picture in enumerate(PICTURES):
            who = "ann" if seed < 3 else "bob"
            said = {"owner": who, "tags": f"t{seed}", "external_id": f"p{seed}", "private": seed == HIDDEN}
            made = await world.upload(who, picture, **said)
            assert made.status_code == 201, made.text
            world.ids.append(made.json()["id"])
            world.receipts.append(made.json()["receipt"])
            world.uploads.append(made.json())
        await world.ok(ADMIN, "POST", "/search", json=looking(world, image_id=world.ids[1]))
        await world.ok(ADMIN, "POST", "/feedback", json={"image_id": world.hidden, "action": "relevant"})
        started = await world.ok(ADMIN, "POST", "/qa/anomalies")
        while (await world.ok(ADMIN, "GET", f"/jobs/{started['job_id']}"))["state"] in ("waiting", "running"):
            await world.ok(ADMIN, "GET", "/stats")
        yield world


ADMIN: Final = "root"
PEOPLE: Final = {
    "ann": Role.WRITE,
    "bob": Role.WRITE,
    "reader": Role.READ,
    "": Role.READ,
    "chief": Role.TENANT_ADMIN,
    ADMIN: Role.ADMIN,
}
SEES: Final = {"ann", "chief", ADMIN}


def looking(world: World, **asked: Any) -> dict[str, Any]:
    return {"k": 100, "timeout_ms": 30_000, "receipts": world.receipts, "near_duplicates": "keep", **asked}


def ids_in(hits: list[dict[str, Any]]) -> set[int]:
    return {hit["id"] for hit in hits} | {other["id"] for hit in hits for other in hit.get("duplicates", [])}


async def search(world: World, who: str, **asked: Any) -> set[int]:
    return ids_in((await world.ok(who, "POST", "/search", json=looking(world, **asked)))["results"])


async def by_picture(world: World, who: str) -> bool:
    data = {"k": 100, "timeout_ms": 30_000}
    found = await world.ok(who, "POST", "/search", files={"image": PICTURES[HIDDEN]}, data=data)
    return world.hidden in ids_in(found["results"])


async def by_vector(world: World, who: str) -> bool:
    made = await world.ok(who, "POST", "/embed/image", files={"image": PICTURES[HIDDEN]})
    return world.hidden in await search(world, who, vector=made["vector"], space=made["space"])


async def by_filter(world: World, who: str) -> bool:
    found = await search(world, who, image_id=world.ids[4], filter={"tags": f"t{HIDDEN}"})
    negated = await search(world, who, image_id=world.ids[4], filter={"not": {"tags": "none"}})
    private = await search(world, who, image_id=world.ids[4], filter={"private": True})
    public = await search(world, who, image_id=world.ids[4], filter={"private": False})
    assert world.hidden not in public and len(public) == len(PICTURES) - 2
    assert (world.hidden in found) == (world.hidden in negated) == (world.hidden in private)
    return world.hidden in found


async def exactly(world: World, who: str) -> bool:
    return world.hidden in await search(world, who, image_id=world.ids[1], exact=True, use_crops=True, explain=True)


async def by_batch(world: World, who: str) -> bool:
    searches = {"searches": [looking(world, image_id=world.ids[1])] * 2}
    answers = (await world.ok(who, "POST", "/search/batch", json=searches))["answers"]
    found = [world.hidden in ids_in(one["results"]) for one in answers]
    assert found[0] == found[1]
    return found[0]


async def by_words(world: World, who: str) -> bool:
    found = await world.ok(who, "GET", "/search", params={"text": "lamp", "k": 100, "timeout_ms": 30_000})
    return world.hidden in ids_in(found["results"])


async def beside(world: World, who: str) -> bool:
    asked = {"k": 100, "timeout_ms": 30_000}
    found = await world.ok(who, "GET", f"/images/{world.ids[1]}/neighbours", params=asked)
    return world.hidden in ids_in(found["results"])


async def by_similar(world: World, who: str) -> bool:
    body = {"image_id": world.ids[1], "limit": 100}
    said = (await world.ask(who, "POST", "/search/similar", json=body)).text
    return f'"id":{world.hidden},' in said or f'"image_id":{world.hidden},' in said


async def page_after_page(world: World, who: str) -> bool:
    """Also with the cursor of somebody who sees it."""
    seen: set[int] = set()
    asked = looking(world, image_id=world.ids[4], k=1)
    first = await world.ok(ADMIN, "POST", "/search", json=asked)
    cursor = first["next_cursor"]
    while cursor:
        page = await world.ok(who, "POST", "/search", json={**asked, "cursor": cursor})
        seen |= ids_in(page["results"])
        cursor = page.get("next_cursor")
    return world.hidden in seen or (world.hidden in ids_in(first["results"]) and who in SEES)


async def in_listing(world: World, who: str) -> bool:
    page = await world.ok(who, "GET", "/images", params={"limit": 100})
    ids = {one["id"] for one in page["images"]}
    assert page["count"] == len(ids) == len(PICTURES) - (world.hidden not in ids)
    return world.hidden in ids


async def among_known(world: World, who: str) -> bool:
    asked = {"sha256": [one["sha256"] for one in world.uploads]}
    return world.hidden in (await world.ok(who, "POST", "/images/known", json=asked))["known"].values()


async def among_anomalies(world: World, who: str) -> bool:
    found = []
    for by in ("distance", "density"):
        cursor = ""
        ids: set[int] = set()
        while cursor is not None:
            page = await world.ok(who, "GET", "/qa/anomalies", params={"by": by, "limit": 2, "cursor": cursor})
            ids |= {one["id"] for one in page["images"]}
            cursor = page.get("next_cursor")
        found.append(world.hidden in ids)
    assert found[0] == found[1]
    return found[0]


async def in_feedback(world: World, who: str) -> bool:
    given = (await world.ok(who, "GET", "/feedback"))["feedback"]
    return world.hidden in {one["image_id"] for one in given}


async def in_groups(world: World, who: str) -> bool:
    ids: set[int] = set()
    cursor = None
    while True:
        page = await world.ok(who, "GET", "/duplicates", params={} if cursor is None else {"cursor": cursor})
        ids |= {id for group in page["groups"] for id in group["ids"]}
        cursor = page.get("next_cursor")
        if cursor is None:
            return world.hidden in ids


async def in_clusters(world: World, who: str) -> bool:
    if not_a_writer(who):
        return who in SEES
    found = []
    for asked in ({"threshold": 0.9}, {"threshold": 0.9, "image_ids": world.ids}):
        told = await world.ok(who, "POST", "/search/cluster", json=asked, params={"wait_seconds": 60})
        found.append(world.hidden in {id for one in told["clusters"] for id in one["ids"]})
    assert found[0] == found[1]
    return found[0]


def not_a_writer(who: str) -> bool:
    return PEOPLE[who] is Role.READ


async def there(world: World, who: str, method: str, path: str, **sent: Any) -> bool:
    """Whether the answer is another one than 404, or than what who is absent is told."""
    answer = await world.ask(who, method, path, **sent)
    assert answer.status_code < 500, answer.text
    return answer.status_code != 404


def at(method: str, path: str, **sent: Any) -> "Look":
    async def look(world: World, who: str) -> bool:
        filled = path.format(id=world.hidden, public=world.ids[1])
        return await there(world, who, method, filled, **sent)

    return look


def with_body(method: str, path: str, body: Callable[[World], dict[str, Any]]) -> "Look":
    async def look(world: World, who: str) -> bool:
        if not_a_writer(who):
            return who in SEES
        return await there(world, who, method, path.format(id=world.hidden), json=body(world))

    return look


async def as_query(world: World, who: str) -> bool:
    return await there(world, who, "POST", "/search", json=looking(world, image_id=world.hidden))


async def as_part_of_a_query(world: World, who: str) -> bool:
    asked = {"queries": [{"image_id": world.hidden, "weight": -1, "bbox": [0, 0, 40, 40]}, {"image_id": world.ids[1]}]}
    return await there(world, who, "POST", "/search", json=looking(world, **asked))


async def as_similar(world: World, who: str) -> bool:
    return await there(world, who, "POST", "/search/similar", json={"image_id": world.hidden})


async def over_grpc(world: World, who: str) -> bool:
    request = search_pb2.SearchRequest(
        queries=[search_pb2.SearchQuery(image=PICTURES[HIDDEN])], k=100, timeout_ms=30_000, near_duplicates=3
    )
    found = await world.stub().Search(request, metadata=world.metadata(who))
    return world.hidden in {hit.id for hit in found.results}


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def got_over_grpc(world: World, who: str) -> bool:
    asked = search_pb2.GetRequest(id=world.hidden)
    return await code_of(world.stub().Get(asked, metadata=world.metadata(who))) is grpc.StatusCode.OK


async def sought_over_grpc(world: World, who: str) -> bool:
    query = search_pb2.SearchQuery(image_id=world.hidden)
    asked = search_pb2.SearchRequest(queries=[query], timeout_ms=30_000)
    return await code_of(world.stub().Search(asked, metadata=world.metadata(who))) is grpc.StatusCode.OK


Look = Callable[[World, str], Awaitable[bool]]
LOOKS: Final[dict[str, list[Look]]] = {
    "POST /search": [by_picture, by_vector, by_filter, exactly, as_query, as_part_of_a_query, page_after_page],
    "GET /search": [by_words],
    "POST /search/batch": [by_batch],
    "POST /search/similar": [by_similar, as_similar],
    "GET /search/similar": [at("GET", "/search/similar?image_id={id}")],
    "GET /image/{image_id}": [at("GET", "/image/{id}")],
    "GET /images/{image_id}/neighbours": [beside, at("GET", "/images/{id}/neighbours")],
    "GET /images": [in_listing],
    "POST /images/known": [among_known],
    "GET /images/{image_id}": [at("GET", "/images/{id}")],
    "GET /images/{image_id}/content": [at("GET", "/images/{id}/content")],
    "GET /images/{image_id}/thumbnail": [at("GET", "/images/{id}/thumbnail")],
    "GET /feedback": [in_feedback],
    "GET /qa/anomalies": [among_anomalies],
    "GET /duplicates": [in_groups],
    "POST /duplicates/merge": [
        with_body("POST", "/duplicates/merge", lambda world: {"keep": world.hidden, "ids": [world.ids[5]]})
    ],
    "POST /duplicates/split": [
        with_body("POST", "/duplicates/split", lambda world: {"keep": world.ids[1], "ids": [world.hidden]})
    ],
    "POST /search/cluster": [in_clusters],
    "POST /feedback": [
        with_body("POST", "/feedback", lambda world: {"image_id": world.hidden, "action": "reviewed"}),
    ],
    "PATCH /images/{image_id}": [with_body("PATCH", "/images/{id}", lambda world: {"tags": [f"t{HIDDEN}"]})],
    "omma.v1.SearchService/Search": [over_grpc, sought_over_grpc],
    "omma.v1.SearchService/Get": [got_over_grpc],
}
ELSEWHERE: Final = {
    "POST /images": "by an upload under its key, below",
    "DELETE /images/{image_id}": "below",
    "POST /images/{image_id}/restore": "below",
    "omma.v1.SearchService/Upsert": "below",
    "omma.v1.SearchService/Delete": "below",
    "GET /jobs": "kinds, states and counts, no results",
    "GET /jobs/{job_id}": "of clusters: below",
    "DELETE /jobs/{job_id}": "as GET",
    "POST /click": "shows nothing",
    "POST /embed/image": "of the caller's own bytes",
    "POST /embed/text": "of words",
}
