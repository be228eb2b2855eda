"""A token opens REST, gRPC and the page as a key does, without a restart when its issuer changes keys."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from omma.v1 import search_pb2, search_pb2_grpc
from services.gateway.callers.tokens import published
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.issuer import AUDIENCE, Issuer, issuer
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def signs() -> Iterator[Issuer]:
    with issuer() as one:
        one.rotate("first", "RS256")
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    tmp_path_factory: pytest.TempPathFactory, signs: Issuer
) -> AsyncIterator[tuple[httpx.AsyncClient, grpc.aio.Channel]]:
    settings = StandaloneSettings(
        data_dir=tmp_path_factory.mktemp("tokens") / "data",
        http_port=0,
        grpc_port=0,
        gateway={"jwt": {"issuer": signs.url, "audience": (AUDIENCE,)}},
    )
    async with (
        serving(settings) as (_, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        yield rest, channel


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_token_is_a_caller_of_its_tenant(
    door: tuple[httpx.AsyncClient, grpc.aio.Channel], signs: Issuer
) -> None:
    rest, channel = door
    assert (await rest.get("/images")).status_code == 401  # with an issuer nobody is let in without
    anns, bobs = bearer(signs.token("first")), bearer(signs.token("first", tenant="bob", sub="bob", role=["read"]))
    made = await rest.post("/images", files={"image": ("a.png", encoded(scene()))}, headers=anns)
    assert made.status_code == 201, made.text
    path = f"/images/{made.json()['id']}"
    assert (await rest.get(path, headers=anns)).status_code == 200
    assert (await rest.get(path, headers=bobs)).status_code == 404
    assert (await rest.delete(path, headers=bobs)).status_code == 403
    stub = search_pb2_grpc.SearchServiceStub(channel)
    request = search_pb2.GetRequest(id=made.json()["id"])
    found = await stub.Get(request, metadata=list(anns.items()), timeout=30)
    assert found.picture.id == request.id
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Get(request, metadata=list(bobs.items()), timeout=30)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_does_not_count_is_401_in_both_protocols(
    door: tuple[httpx.AsyncClient, grpc.aio.Channel], signs: Issuer
) -> None:
    rest, channel = door
    stub = search_pb2_grpc.SearchServiceStub(channel)
    for token in (signs.token("first", exp=1), signs.token("first", aud="else"), "eyJ.a.b"):
        answer = await rest.get("/images", headers=bearer(token))
        assert (answer.status_code, answer.json()["kind"]) == (401, "not_signed_in")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Get(search_pb2.GetRequest(id=1), metadata=list(bearer(token).items()), timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_page_signs_in_with_a_token_until_it_ends(
    door: tuple[httpx.AsyncClient, grpc.aio.Channel], signs: Issuer
) -> None:
    rest, _ = door
    claims: dict[str, Any] = signs.claims(sub="Zoë", exp=signs.claims()["iat"] + 120)
    token = signs.token("first", **claims)
    begun = await rest.post("/ui/session", json={"key": token})
    assert begun.status_code == 201, begun.text
    said = begun.json()
    assert (said["name"], said["tenant"], said["role"], said["ends_at"]) == ("Zoë", "ann", "write", claims["exp"])
    csrf = {"omma-csrf": said["token"]}
    assert (await rest.get("/ui/session")).json()["signed_in"]
    assert (await rest.get("/images")).status_code == 200
    assert (await rest.delete("/images/999999")).status_code == 403
    assert (await rest.delete("/images/999999", headers=csrf)).status_code == 404
    rest.cookies.clear()
    ended = await rest.post("/ui/session", json={"key": signs.token("first", exp=1)})
    assert ended.status_code == 401


async def test_the_issuers_next_key_counts_at_once(
    door: tuple[httpx.AsyncClient, grpc.aio.Channel], signs: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, _ = door
    monkeypatch.setattr(published, "SEEK_SECONDS", 0.0)
    signs.rotate("second", "EdDSA")
    assert (await rest.get("/images", headers=bearer(signs.token("second")))).status_code == 200
    assert (await rest.get("/images", headers=bearer(signs.token("first")))).status_code == 401
    signs.status = 500
    signs.private["third"] = signs.private["second"]
    away = await rest.get("/images", headers=bearer(signs.token("third")))
    assert (away.status_code, away.json()["kind"]) == (503, "replica_down") and int(away.headers["retry-after"]) >= 1
    assert (await rest.get("/images", headers=bearer(signs.token("second")))).status_code == 200
